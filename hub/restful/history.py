"""history of an instance, a type, the system: newest first, in pages (rest.md F9)."""

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from hub import audit
from hub.actor import Actor
from hub.database import Session
from hub.disclosure import cases
from hub.disclosure.grants import visible_to
from hub.fhir import dates
from hub.fhir.outcome import FhirError, issue
from hub.fhir.search import TRANSPORT
from hub.fhir.search_values import date_range
from hub.restful import answers, links
from hub.restful.answers import Answer
from hub.restful.call import Call, Pairs, require_interaction
from hub.restful.hub import Hub
from hub.restful.served import SERVED
from hub.restful.visible import record_read, require_visible
from hub.store import resources as store
from hub.store.history import History
from hub.store.resources import Stored

_PARAMETERS = ("_count", "_since", links.PAGE)
# R4 has them; answering as if they were not there would show something else.
_REFUSED = ("_at", "_list")


@dataclass(frozen=True, slots=True)
class Asked:
    """Whose history: `type` None is the system's, `id` None a type's."""

    type: str | None = None
    id: str | None = None

    @property
    def path(self) -> str:
        return "/".join(part for part in (self.type, self.id, "_history") if part)

    @property
    def interaction(self) -> str:
        if self.id is not None:
            return "history-instance"
        return "history-type" if self.type else "history-system"


def history(hub: Hub, actor: Actor, call: Call) -> Answer:
    """GET /T/id/_history."""
    require_interaction(actor, "history-instance", call.resource_type)
    return _answer(hub, actor, call, Asked(call.resource_type, call.id))


def history_type(hub: Hub, actor: Actor, call: Call) -> Answer:
    """GET /T/_history: the letter s, as a search (security.md §2.2)."""
    require_interaction(actor, "history-type", call.resource_type)
    return _answer(hub, actor, call, Asked(call.resource_type))


def history_system(hub: Hub, actor: Actor, call: Call) -> Answer:
    """GET /_history: of the types that the caller may search; 403 without any."""
    require_system(actor)
    return _answer(hub, actor, call, Asked())


def require_system(actor: Actor) -> None:
    """403 for a caller who may search no type at all."""
    if not _types(actor):
        raise FhirError(issue("HUB-AUTH-003", scope="system/*.s"))


def history_bundle(
    hub: Hub,
    session: Session,
    actor: Actor,
    asked: Asked,
    query: Pairs,
    *,
    lenient: bool = False,
) -> dict[str, Any]:
    """The page as a Bundle, recorded in the audit log; the scope was checked."""
    given = _parameters(query, lenient=lenient)
    link = links.follow(hub, actor, asked.path, list(given.items()))
    criteria, position = link or (given, None)
    way, place = position or ("after", None)
    start = {way: tuple(place)} if place else {}
    if asked.type and asked.id:
        current = require_visible(session, actor, asked.type, asked.id)
    page = store.history(
        session,
        asked.type or _types(actor),
        asked.id,
        visible_to(actor),
        since=_since(criteria.get("_since")),
        count=_count(hub, criteria.get("_count")),
        **start,
    )
    if asked.id:
        record_read(session, actor, "history-instance", current)
    else:
        _record(session, actor, asked, criteria, page)
    return _bundle(hub, actor, asked.path, criteria, page)


def _answer(hub: Hub, actor: Actor, call: Call, asked: Asked) -> Answer:
    with hub.database.transaction(write=False) as session:
        bundle = history_bundle(
            hub, session, actor, asked, call.query, lenient=call.is_lenient
        )
    return answers.of_json(bundle)


def _types(actor: Actor) -> list[str]:
    """What the system history holds: the log has its own door (`privacy`)."""
    return [t for t in SERVED if "history-type" in SERVED[t] and actor.may("s", t)]


def _parameters(query: Pairs, *, lenient: bool) -> dict[str, str]:
    found: dict[str, str] = {}
    for position, (name, value) in enumerate(query, 1):
        if name in TRANSPORT:
            continue
        if name in _REFUSED:
            raise FhirError(issue("HUB-SEARCH-003", name=name))
        if name in _PARAMETERS and name not in found:
            found[name] = value
        elif name in _PARAMETERS or not lenient:
            raise FhirError(issue("HUB-SEARCH-001", position=position))
    return found


def _record(
    session: Session,
    actor: Actor,
    asked: Asked,
    criteria: dict[str, str],
    page: History,
) -> None:
    """One event per patient disclosed, one event when there is none, as a search."""
    shown = [(one.type, one.id) for one in page.entries]
    patients = cases.patients_of(session, shown)
    patients |= {id for type_, id in shown if type_ == "Patient"}
    audit.record(
        session,
        actor,
        asked.interaction,
        query=_url(asked.path, criteria),
        patients=[f"Patient/{p}" for p in sorted(patients)],
        at=dates.now(),
    )


def _url(path: str, criteria: dict[str, str]) -> str:
    return f"{path}?{urlencode(criteria)}" if criteria else path


def _bundle(
    hub: Hub, actor: Actor, path: str, criteria: dict[str, str], page: History
) -> dict[str, Any]:
    here = f"{hub.base}/{_url(path, criteria)}"
    links_ = [{"relation": "self", "url": here}, {"relation": "first", "url": here}]
    for relation, way, place in (
        ("previous", "before", page.previous),
        ("next", "after", page.next),
    ):
        if place is not None:
            position = (way, place)
            link = links.next_link(hub, actor, path, criteria, position, relation)
            links_.append(link)
    bundle: dict[str, Any] = {
        "resourceType": "Bundle",
        "type": "history",
        "total": page.total,
        "link": links_,
    }
    if page.entries:
        bundle["entry"] = [_entry(hub, one) for one in page.entries]
    return bundle


def _entry(hub: Hub, stored: Stored) -> dict[str, Any]:
    method = stored.method
    status = {"DELETE": "204", "POST": "201", "PUT": "200"}[method]
    url = stored.type if method == "POST" else stored.reference
    entry: dict[str, Any] = {
        "fullUrl": f"{hub.base}/{stored.reference}",
        "request": {"method": method, "url": url},
        "response": {
            "status": status,
            "etag": stored.etag,
            "lastModified": dates.instant(stored.last_updated),
        },
    }
    if not stored.deleted:
        entry["resource"] = answers.embedded(stored.body)
    return entry


def _since(text: str | None) -> Any:
    if text is None:
        return None
    try:
        return dates.from_micros(date_range(text)[0])
    except ValueError:
        raise FhirError(issue("HUB-SEARCH-002", parameter="_since")) from None


def _count(hub: Hub, text: str | None) -> int:
    if text is None:
        return hub.settings.page_size
    if not (text.isascii() and text.isdecimal()) or len(text) > 9:  # noqa: PLR2004 - digits of any sane count
        raise FhirError(issue("HUB-SEARCH-008", parameter="_count"))
    return min(int(text), hub.settings.max_page_size)
