"""history-instance: every version, newest first, in pages (rest.md F9)."""

from typing import Any

from hub.actor import Actor
from hub.disclosure.grants import visible_to
from hub.fhir import dates
from hub.fhir.outcome import FhirError, issue
from hub.fhir.search_values import date_range
from hub.restful import answers, links
from hub.restful.answers import Answer
from hub.restful.call import Call, require_interaction, require_parameters
from hub.restful.hub import Hub
from hub.restful.visible import record_read, require_visible
from hub.store import resources as store
from hub.store.history import History
from hub.store.resources import Stored


def history(hub: Hub, actor: Actor, call: Call) -> Answer:
    """GET /T/id/_history: a request and a response per entry."""
    require_interaction(actor, "history-instance", call.resource_type)
    path = f"{call.resource_type}/{call.id}/_history"
    asked = require_parameters(call, "_count", "_since", links.PAGE)
    link = links.follow(hub, actor, path, list(asked.items()))
    criteria, position = link or (asked, None)
    with hub.database.transaction(write=False) as session:
        current = require_visible(session, actor, call.resource_type, call.id)
        page = store.history(
            session,
            call.resource_type,
            call.id,
            visible_to(actor),
            since=_since(criteria.get("_since")),
            count=_count(hub, criteria.get("_count")),
            after=tuple(position) if position else None,
        )
        record_read(session, actor, "history-instance", current)
    return answers.of_json(_bundle(hub, actor, path, criteria, page))


def _bundle(
    hub: Hub, actor: Actor, path: str, criteria: dict[str, str], page: History
) -> dict[str, Any]:
    links_ = [{"relation": "self", "url": f"{hub.base}/{path}"}]
    if page.next is not None and page.entries:
        links_.append(links.next_link(hub, actor, path, criteria, page.next))
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
