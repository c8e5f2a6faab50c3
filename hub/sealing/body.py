"""Seal a body for one place, and open it there and nowhere else.

A sealed body is a JWE (RFC 7516, compact, `dir` with A256GCM): a text that names its
key, readable with the key file by any JOSE library. Its place stands in the protected
header, so that a row put into another's place does not open. Sealed bodies begin with
`eyJ`, JSON with `{`: what is not sealed costs a reader the look at one byte.
"""

from typing import Any

import orjson
from joserfc import jwe
from joserfc.errors import JoseError
from joserfc.jwe import JWERegistry
from joserfc.jwk import OctKey
from joserfc.registry import HeaderParameter
from joserfc.util import urlsafe_b64decode
from sqlalchemy import insert, select

from hub.database import Database, Session, collect
from hub.fhir.outcome import FhirError, issue
from hub.sealing.keys import ContentKeys
from hub.sealing.tables import content_key, sealed_content

_OPTION = "tsunagi_content_keys"
ALWAYS = ("Binary", "DocumentReference")
DATA = b'"data":"'  # as `encode` writes the element; within a text it is escaped
_PLAIN = (b"{", b"")
_PROOF = b"tsunagi"


class _Registry(JWERegistry):
    # The library's own limit is 64 KiB: a body may be as large as a request.
    max_ciphertext_length = 1 << 30


_REGISTRY = _Registry(
    header_registry={"place": HeaderParameter("The row it is sealed for", "str")},
    algorithms=["dir", "A256GCM"],
)


def keep(database: Database, keys: ContentKeys) -> None:
    """Say once, at start-up, with which keys this database is sealed."""
    database.carry(**{_OPTION: keys})


def carries_content(resource_type: str, body: bytes) -> bool:
    """True for what is sealed: Binary, DocumentReference, and whatever has data."""
    return resource_type in ALWAYS or DATA in body


def sealed(session: Session, place: str, body: bytes) -> bytes:
    """`body` sealed for `place` with the newest key, and that noted for a rotation.

    Raises FhirError HUB-KEY-001 without a key.
    """
    key = _keys(session).newest()
    _note(session, key)
    collect(session, sealed_content, [{"place": place, "key_id": key.kid}])
    return seal(key, place, body)


def opened(session: Session, place: str, body: bytes) -> bytes:
    """What was sealed for `place`; a body that is not sealed as it is.

    Raises FhirError HUB-KEY-001 (its key is missing) and -005 (another row's, touched,
    or sealed with another key of that id); both 503.
    """
    return body if body[:1] in _PLAIN else unseal(_keys(session), place, body)


def seal(key: OctKey, place: str, body: bytes) -> bytes:
    """`body` sealed for `place` with this key."""
    header = {"alg": "dir", "enc": "A256GCM", "kid": key.kid, "place": place}
    return jwe.encrypt_compact(header, body, key, registry=_REGISTRY).encode()


def unseal(keys: ContentKeys, place: str, body: bytes) -> bytes:
    """As `opened`, for a body that is sealed."""
    key = keys.find(key_id(body))
    if key is None:
        raise FhirError(issue("HUB-KEY-001"))
    try:
        found = jwe.decrypt_compact(body, key, registry=_REGISTRY)
    except (JoseError, ValueError):
        raise FhirError(issue("HUB-KEY-005")) from None
    if found.protected.get("place") != place or found.plaintext is None:
        raise FhirError(issue("HUB-KEY-005"))
    return found.plaintext


def key_id(body: bytes) -> str:
    """Which key sealed this body, as it says itself; HUB-KEY-005 when it does not."""
    try:
        header = orjson.loads(urlsafe_b64decode(body.partition(b".")[0]))
        return str(header["kid"])
    except (ValueError, KeyError, TypeError):
        raise FhirError(issue("HUB-KEY-005")) from None


def is_readable(session: Session) -> bool:
    """True when every key that was ever used is there and is the one it was."""
    try:
        keys = _keys(session)
        keys.newest()
        for row in session.execute(select(content_key)):
            if unseal(keys, f"key/{row.id}", bytes(row.proof)) != _PROOF:
                return False
    except FhirError:
        return False
    return True


def _keys(session: Session) -> ContentKeys:
    found: Any = session.get_execution_options().get(_OPTION)
    if not isinstance(found, ContentKeys):
        raise FhirError(issue("HUB-KEY-001"))
    return found


def _note(session: Session, key: OctKey) -> None:
    known = select(content_key.c.id).where(content_key.c.id == key.kid)
    if session.execute(known).first() is None:
        proof = seal(key, f"key/{key.kid}", _PROOF)
        session.execute(insert(content_key).values(id=key.kid, proof=proof))
