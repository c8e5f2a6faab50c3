"""Every table of the hub, so that the migrations can be compared with them."""

from hub.audit import tables as audit
from hub.database import metadata
from hub.delivery import tables as delivery
from hub.directory import tables as directory
from hub.disclosure import tables as disclosure
from hub.restful import tables as restful
from hub.sealing import tables as sealing
from hub.smart import tables as smart
from hub.store import tables as store
from hub.subscriptions import tables as subscriptions

__all__ = [
    "audit",
    "delivery",
    "directory",
    "disclosure",
    "metadata",
    "restful",
    "sealing",
    "smart",
    "store",
    "subscriptions",
]
