"""Every refusal is audited in its own transaction: the act's was rolled back (A12)."""

from collections.abc import Sequence

from hub import audit
from hub.actor import Actor
from hub.fhir import dates
from hub.fhir.outcome import Issue
from hub.restful.hub import Hub

_BY_METHOD = {
    "GET": "read",
    "HEAD": "read",
    "POST": "create",
    "PUT": "update",
    "PATCH": "patch",
    "DELETE": "delete",
}


def audit_refusal(
    hub: Hub, actor: Actor | None, method: str, issues: Sequence[Issue]
) -> None:
    """Record who was refused what, by issue ids, without the input."""
    interaction = _BY_METHOD.get(method, "read")
    if any(i.id.startswith("HUB-CON-") for i in issues):
        interaction = "consent-deny"
    audit.refuse(hub.database, actor, interaction, issues, at=dates.now())
