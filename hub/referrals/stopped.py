"""Messages that are stopped after a try: perhaps disclosed, and so recorded.

A delivery that ends leaves its row of audit; one that is stopped between two tries
ends here. Its receiver may have kept what it answered with an error.
"""

from hub import audit
from hub.changes import By
from hub.database import Session
from hub.delivery import operate
from hub.disclosure.cases import Case


def record_attempts(
    session: Session, hub: By, case: Case, organisation: str | None = None
) -> None:
    """One `disclose` row a message (and person); before the messages are ended."""
    waiting = operate.find(
        session, case=case.id, organisation=organisation, limit=1_000_000
    )
    for message in waiting:
        if message.status in ("queued", "claimed") and message.sends:
            audit.record(
                session,
                hub.actor,
                "disclose",
                at=hub.at,
                outcome="4",
                targets=[message.subject],
                patients=message.patients,
                description="stopped after a try",
                recipient=message.organisation,
                details={"attempts": str(message.sends), "kind": message.kind},
            )
