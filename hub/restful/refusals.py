"""What went wrong, as issues; every refusal is audited in its own transaction (A12)."""

from collections.abc import Sequence

import structlog
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from hub import audit
from hub.actor import Actor
from hub.faults import is_full, is_lost, is_too_slow
from hub.fhir import dates
from hub.fhir.outcome import FhirError, Issue, issue
from hub.restful.hub import Hub

log = structlog.get_logger(__name__)


def issues_of(hub: Hub, error: Exception, request_id: str) -> tuple[Issue, ...]:
    """The issues of an exception; what nobody foresaw is logged and says nothing."""
    if isinstance(error, FhirError):
        return error.issues
    if isinstance(error, DBAPIError | OSError) and is_full(error):
        log.error("full", request_id=request_id)
        return (issue("HUB-REST-025"),)
    if isinstance(error, DBAPIError) and is_too_slow(error):
        log.error("too slow", request_id=request_id)
        return (issue("HUB-REST-080"),)
    gone = OperationalError | InterfaceError | PoolTimeoutError
    if isinstance(error, gone) or is_lost(error):
        log.error("database", request_id=request_id)
        return (issue("HUB-REST-017"),)
    # Without `--dev` no traceback: its values may be personal data.
    say = log.exception if hub.settings.dev else log.error
    say("internal error", request_id=request_id, kind=type(error).__name__)
    return (issue("HUB-REST-002"),)


def audit_refusal(
    hub: Hub, actor: Actor | None, interaction: str, issues: Sequence[Issue]
) -> None:
    """Record who was refused what, by issue ids, without the input."""
    if any(i.id.startswith("HUB-CON-") for i in issues):
        interaction = "consent-deny"
    audit.refuse(hub.database, actor, interaction, issues, at=dates.now())


def refused(
    hub: Hub,
    actor: Actor | None,
    interaction: str,
    error: Exception,
    request_id: str,
) -> tuple[Issue, ...]:
    """The issues to answer with, after they were audited: no row, no answer (503)."""
    issues = issues_of(hub, error, request_id)
    try:
        audit_refusal(hub, actor, interaction, issues)
    except (DBAPIError, PoolTimeoutError):
        if issues[0].kind.status not in (503, 507):
            log.error("refusal not audited", request_id=request_id)  # noqa: TRY400
            return (issue("HUB-REST-017"),)
    return issues
