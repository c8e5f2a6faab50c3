"""The running hub as the REST layer sees it: made once by `create_app`."""

from collections.abc import Callable
from dataclasses import dataclass

from hub.allowance import Allowance
from hub.database import Database
from hub.fhir.search import Declared
from hub.referrals.knowledge import Knowledge
from hub.settings import Settings
from hub.subscriptions.judge import Rules


@dataclass(frozen=True, slots=True)
class Hub:
    """`wake` tells the worker that something may be waiting in the outbox; `anchor`
    signs a checkpoint of the audit log before a withdrawal is acknowledged.

    `link_key` signs the next links of searches; `declared` are the search
    parameters of every served type; `subscribable` is what a Subscription may ask.
    `is_read_only` after a restore until it is reconciled (K7).
    """

    settings: Settings
    database: Database
    knowledge: Knowledge
    declared: Declared
    link_key: bytes
    wake: Callable[[], None]
    anchor: Callable[[], None]
    allowance: Allowance
    subscribable: Rules
    is_read_only: bool = False

    @property
    def base(self) -> str:
        return self.settings.fhir_base
