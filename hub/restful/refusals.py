"""What went wrong, as issues; every refusal is audited in its own transaction (A12).

The row says what was attempted on what, about whom, and with which query: an officer
asks who tried. The answer says none of it.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import structlog
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from hub import audit
from hub.actor import Actor
from hub.disclosure import cases
from hub.disclosure.cases import Case
from hub.disclosure.grants import visible_to
from hub.faults import is_full, is_lost, is_too_slow
from hub.fhir import dates
from hub.fhir.outcome import FhirError, Issue, issue
from hub.restful.bundle import Entry
from hub.restful.call import FORM, Call
from hub.restful.hub import Hub
from hub.restful.served import SERVED
from hub.store import resources as store

# What may stand in a URL by mistake and must not stand in a log (RFC 6750 §5.3).
_SECRET = re.compile(
    rb"(?i)((?:^|[?&])(?:access_token|token|code|client_assertion)=)[^&]*"
)
_ID = re.compile(r"[A-Za-z0-9\-.]{1,64}")
_LONGEST_QUERY = 8192  # bytes; a longer one was refused for its length

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


@dataclass(frozen=True, slots=True)
class Attempt:
    """What was asked for, as far as it could be read: unverified, for the log alone.

    `type` and `id` name the resource in the path, `target` it and its version;
    `query` is the query as it was sent, raw and without what is a secret.
    """

    interaction: str
    type: str = ""
    id: str = ""
    target: str = ""
    query: bytes | None = None
    request_id: str = ""


def of_call(call: Call, interaction: str) -> Attempt:
    """The attempt that a request was."""
    type_, id_ = call.path.get("type", ""), call.path.get("id", "")
    media = (call.header("content-type") or "").partition(";")[0].strip().lower()
    raw = call.body if media in FORM else b""
    raw = b"&".join(part for part in (call.raw_query, raw) if part)
    place = "/".join(part for part in (type_, id_) if part)
    version = call.path.get("version", "")
    return _attempt(interaction, place, type_, id_, version, raw, call.request_id)


def of_entry(entry: Entry, request_id: str) -> Attempt:
    """The attempt that an entry of a batch was."""
    raw = (entry.query or "").encode()
    place = "/".join(part for part in (entry.type, entry.id) if part)
    version = "" if entry.version is None else str(entry.version)
    id_ = entry.id or ""
    act = str(entry.interaction)
    return _attempt(act, place, entry.type, id_, version, raw, request_id)


def _attempt(
    interaction: str,
    place: str,
    type_: str,
    id_: str,
    version: str,
    raw: bytes,
    request_id: str,
) -> Attempt:
    is_named = type_ in SERVED and bool(_ID.fullmatch(id_))
    target = f"{type_}/{id_}" if is_named else ""
    if target and version.isdecimal():
        target += f"/_history/{version[:9]}"
    shown = _SECRET.sub(rb"\1***", raw)[:_LONGEST_QUERY]
    query = b"%b?%b" % (place.encode(), shown) if raw else None
    known = (type_, id_) if is_named else ("", "")
    return Attempt(interaction, *known, target, query, request_id)


def audit_refusal(
    hub: Hub, actor: Actor | None, attempt: Attempt, issues: Sequence[Issue]
) -> None:
    """Record who was refused what about whom, by issue ids, without a body."""
    case = _case(hub, actor, attempt) if actor and attempt.id else None
    interaction, targets = attempt.interaction, [attempt.target]
    if any(i.id.startswith("HUB-CON-") for i in issues):
        interaction = "consent-deny"
        targets = [case.consent] if case else []
    patients = [f"Patient/{case.patient}"] if case else []
    if not patients and attempt.type == "Patient":
        patients = [f"Patient/{attempt.id}"]
    audit.refuse(
        hub.database,
        actor,
        interaction,
        issues,
        at=dates.now(),
        targets=[target for target in targets if target],
        patients=patients,
        query=attempt.query if interaction != "consent-deny" else None,
    )


def _case(hub: Hub, actor: Actor, attempt: Attempt) -> Case | None:
    """The case of what was asked for, if the caller may see it.

    Of a hidden resource the row is that of an absent one: its caller's officer reads
    it. Whose person it was is found by the resource (audit.Criteria.attempts).
    """
    with hub.database.glance() as session:
        visible = visible_to(actor)
        if store.read(session, attempt.type, attempt.id, visible) is None:
            return None
        found = cases.of_resource(session, attempt.type, attempt.id)
    return found[0] if found else None


def refused(
    hub: Hub, actor: Actor | None, attempt: Attempt, error: Exception
) -> tuple[Issue, ...]:
    """The issues to answer with, after they were audited: no row, no answer (503)."""
    request_id = attempt.request_id
    issues = issues_of(hub, error, request_id)
    try:
        audit_refusal(hub, actor, attempt, issues)
    except (DBAPIError, PoolTimeoutError):
        if issues[0].kind.status not in (503, 507):
            log.error("refusal not audited", request_id=request_id)  # noqa: TRY400
            return (issue("HUB-REST-017"),)
    return issues
