"""Idempotent submissions: the same content or Idempotency-Key twice, one effect.

Four keys lead to a stored answer: the sender's Idempotency-Key, with the hash of the
body it came with; the submission identifier of the ServiceRequest, which the hub's own
mappings derive from source and content; the very bytes of a referral; and the
ServiceRequest itself, for a sender that finds it again by If-None-Exist.
"""

import hashlib
import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Row, bindparam, select

from hub import sealing
from hub.actor import Actor
from hub.database import Session, collect, run
from hub.disclosure.grants import visible_to
from hub.fhir import dates, references
from hub.fhir.canonical import SUBMISSION_ID
from hub.fhir.json import Resource, decode, encode
from hub.fhir.outcome import FhirError, issue
from hub.restful.bundle import Entry
from hub.restful.call import Call
from hub.restful.tables import place, submission
from hub.store import resources as store
from hub.store.resources import Stored

_KEY = re.compile(r"[\x20-\x7e]{1,255}")
_REFERRAL = {"ServiceRequest", "Task"}
_SUBMISSION = "submission:"
# When a sender wrote a resource, not what it says.
_STAMPS = ("authored", "authoredOn", "lastModified", "meta")
_STORED_DEPTH = 1000  # an answer holds resources that were checked when they came


def key_of(call: Call) -> str | None:
    """The Idempotency-Key of a call; 400 when it is malformed."""
    raw = call.header("idempotency-key")
    if raw is not None and not _KEY.fullmatch(raw):
        raise FhirError(issue("HUB-REST-018", name="Idempotency-Key"))
    return raw


_GIVEN = select(submission.c.key, submission.c.body_hash, submission.c.response).where(
    submission.c.organisation == bindparam("organisation"),
    submission.c.key == bindparam("key"),
)
_ANY_GIVEN = select(
    submission.c.key, submission.c.body_hash, submission.c.response
).where(
    submission.c.organisation == bindparam("organisation"),
    submission.c.key.in_(bindparam("keys", expanding=True)),
)


def find(
    session: Session,
    actor: Actor,
    key: str | None,
    entries: list[Entry],
    body: bytes,
    said: str,
) -> bytes | None:
    """The answer given before; None for a new submission.

    Under the same key the very bytes, for the same content entries that say 200;
    without what it showed when the caller may not see all of that any more. `said` is
    `content_of` the entries: 422 HUB-REF-042 when a submission identifier comes again
    with another content, as for an Idempotency-Key (security.md §5). To answer it with
    the first referral would let a correction vanish.
    """
    row = _keyed(session, actor, key, body)
    if row is not None:
        return _as_still_seen(session, actor, _response(session, actor, row))
    row = _first(session, actor, _identifiers(entries, body))
    if row is None:
        return None
    is_named = row.key.startswith(_SUBMISSION)
    if is_named and said and row.body_hash not in ("", said):
        raise FhirError(issue("HUB-REF-042", "Bundle"))
    return _as_known(session, actor, _response(session, actor, row))


def content_of(entries: list[Entry], body: bytes) -> str:
    """What a submission with an identifier says, as a hash; before anything is linked.

    Empty without such an identifier, and for one that came by a mapping: that derives
    the identifier from the content. The urn:uuid of a Bundle and the stamps of its
    writing may differ each time it is made.
    """
    named = any(one.startswith(_SUBMISSION) for one in _identifiers(entries, b""))
    if not named or not body:
        return ""
    urls = {e.full_url: f"#{e.index}" for e in entries if e.full_url}
    said = [
        [e.method, e.type, e.query, e.if_none_exist, _unstamped(e.resource, urls)]
        for e in entries
    ]
    return _hash(encode({"said": said}))


def _unstamped(resource: Resource | None, urls: Mapping[str, str]) -> Resource:
    said = references.rewritten(resource or {}, lambda one: urls.get(one, one))
    return {key: value for key, value in said.items() if key not in _STAMPS}


def find_request(session: Session, actor: Actor, reference: str) -> bytes | None:
    """The answer to the submission that made this ServiceRequest."""
    row = _row(session, actor, f"made:{reference}")
    return _as_known(session, actor, _response(session, actor, row)) if row else None


def keep(
    session: Session,
    actor: Actor,
    key: str | None,
    entries: list[Entry],
    body: bytes,
    response: bytes,
    at: datetime,
    said: str,
    made: str | None = None,
) -> None:
    """Remember the answer under every key; `made` is the new ServiceRequest."""
    found = _identifiers(entries, body)
    named = [one for one in found if one.startswith(_SUBMISSION)]
    _keep(session, actor, named, said, response, at)
    keys = [one for one in found if one not in named]
    if key:
        keys.append(_named(actor, key))
    if made:
        keys.append(f"made:{made}")
    _keep(session, actor, keys, _hash(body), response, at)


def find_created(
    session: Session, actor: Actor, key: str | None, body: bytes
) -> Stored | None:
    """The version that a POST with this key and body made before."""
    row = _keyed(session, actor, key, body)
    if row is None:
        return None
    kind, id, version = row.response.decode().split("/")
    found = store.vread(session, kind, id, int(version), visible_to(actor))
    if found is None:
        raise FhirError(issue("HUB-REST-001"))
    return found


def keep_created(
    session: Session,
    actor: Actor,
    key: str | None,
    body: bytes,
    stored: Stored,
    at: datetime,
) -> None:
    """Remember what a POST made, if it came with a key."""
    made = f"{stored.reference}/{stored.version}".encode()
    if key:
        _keep(session, actor, [_named(actor, key)], _hash(body), made, at)


def _keyed(
    session: Session, actor: Actor, key: str | None, body: bytes
) -> Row[*tuple[Any, ...]] | None:
    row = _row(session, actor, _named(actor, key)) if key else None
    if row is not None and row.body_hash != _hash(body):
        raise FhirError(issue("HUB-REST-022"))
    return row


def _named(actor: Actor, key: str) -> str:
    # Two clients of one organisation may use the same key for different things.
    return f"key:{actor.client_id}:{key}"


def _keep(
    session: Session,
    actor: Actor,
    keys: list[str],
    body_hash: str,
    response: bytes,
    at: datetime,
) -> None:
    rows = [
        {
            "organisation": actor.organisation,
            "key": one,
            "body_hash": body_hash,
            "response": _kept(session, actor, one, response),
            "at": dates.micros(at),
        }
        for one in dict.fromkeys(keys)
    ]
    if rows:
        collect(session, submission, rows)


def _kept(session: Session, actor: Actor, key: str, response: bytes) -> bytes:
    """As it is stored: an answer that shows content is sealed like the content."""
    if not sealing.carries_content("Bundle", response):
        return response
    return sealing.sealed(session, place(actor.organisation, key), response)


def _response(session: Session, actor: Actor, row: Row[*tuple[Any, ...]]) -> bytes:
    where = place(actor.organisation, row.key)
    return sealing.opened(session, where, bytes(row.response))


def _row(session: Session, actor: Actor, key: str) -> Row[*tuple[Any, ...]] | None:
    asked = {"organisation": actor.organisation, "key": key}
    return run(session, _GIVEN, asked).first()


def _first(
    session: Session, actor: Actor, keys: list[str]
) -> Row[*tuple[Any, ...]] | None:
    """What is kept under the first of these keys that there is."""
    if not keys:
        return None
    asked = {"organisation": actor.organisation, "keys": keys}
    rows = session.execute(_ANY_GIVEN, asked).all()
    return min(rows, key=lambda row: keys.index(row.key), default=None)


def _identifiers(entries: list[Entry], body: bytes) -> list[str]:
    made = {entry.type for entry in entries if entry.method == "POST"}
    # A sender that heard no answer sends the same bytes again, with or without a key.
    content = [f"content:{_hash(body)}"] if body and made >= _REFERRAL else []
    return content + [
        f"{_SUBMISSION}{identifier.get('value', '')}"
        for entry in entries
        if entry.type == "ServiceRequest" and entry.method == "POST" and entry.resource
        for identifier in entry.resource.get("identifier", ())
        if identifier.get("system") == SUBMISSION_ID
    ]


def shown(response: bytes) -> list[tuple[str, str]]:
    """(type, id) of every resource whose content stands in a kept answer."""
    return [
        (one["resourceType"], one["id"])
        for one in _contents(decode(response, _STORED_DEPTH))
    ]


def _contents(bundle: Resource) -> Iterator[Resource]:
    for entry in bundle.get("entry", ()):
        resource = entry.get("resource", {})
        if resource.get("resourceType") == "Bundle":
            yield from _contents(resource)
        elif "id" in resource:
            yield resource


def _as_still_seen(session: Session, actor: Actor, response: bytes) -> bytes:
    """The answer, decided anew: a grant may have closed since (security.md §1.4)."""
    visible = visible_to(actor)
    for kind, id in shown(response):
        found = store.read(session, kind, id, visible)
        if found is None or found.deleted or not _may_see(actor, kind):
            return _without_contents(response)
    return response


def _may_see(actor: Actor, kind: str) -> bool:
    # What it wrote itself it was shown without a scope to read.
    return any(actor.may(letter, kind) for letter in ("r", "s", "c", "u"))


def _without_contents(response: bytes) -> bytes:
    bundle = decode(response, _STORED_DEPTH)
    for entry in bundle.get("entry", ()):
        entry.pop("resource", None)
    return encode(bundle)


def _as_known(session: Session, actor: Actor, response: bytes) -> bytes:
    bundle = decode(_as_still_seen(session, actor, response), _STORED_DEPTH)
    for entry in bundle.get("entry", ()):
        if entry["response"]["status"].startswith("201"):
            entry["response"]["status"] = "200 OK"
    return encode(bundle)


def _hash(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()
