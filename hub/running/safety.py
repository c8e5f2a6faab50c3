"""What a hub must be set to before it starts: every refusal in one place.

Outside `--dev` a hub starts only when, in this order,

1. tokens cannot travel in clear text: an https base URL (http on loopback alone), and
   nothing that lets the OAuth library do without it (HUB-AUTH-025, -026);
2. its three kinds of keys are there, are what they should be, are nobody else's to
   read, and are no example that is printed somewhere (signing HUB-AUTH-022 to -024,
   content HUB-KEY-002 to -004, audit HUB-KEY-007 to -009, examples HUB-KEY-010), and
   so is the secret shared with a proxy, where there is one (HUB-KEY-011, -012);
3. it is said where it may deliver to, or that it delivers nowhere (HUB-REST-110);
4. what the database has acknowledged it keeps (HUB-REST-111).

A database role that may do everything is only warned of (HUB-REST-112). With `--dev`
the first rule alone holds, and missing keys are made.
"""

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import text

from hub.audit.checkpoint import load_key
from hub.database import Database
from hub.fhir.outcome import FhirError, Issue, issue, require_none
from hub.proxied import proxy_secret
from hub.running.parts import audit_key_path
from hub.sealing.keys import content_keys, load, path_of
from hub.settings import Settings
from hub.smart.routes import require_safe
from hub.smart.signing import signing_keys

# Keys that are printed: SMART's sample clients, RFC 7520, RFC 8032. SHA-256 of the
# public member (of the key itself for symmetric ones), so that none is printed here.
_PRINTED = frozenset(
    [
        # the SMART client library's sample
        "b5cadb40f302fb5adbda41845e3f9a3a112da298351b9b01ad07b9926de117a1",
        # SMART's ES384.private.json
        "5627563a0423ae1087072f0facc10c63ee30c6189d2f7d16de8a74d6066c09d8",
        # RFC 8032 §7.1, RFC 8037 A.1
        "4ebbe859de728e527bf2c053d3d7dabc7745b6c0c95cdf9dd7952317c3000b1f",
        # RFC 7520 §3.5
        "d21c237eacf59c6f58e81eae3cc0db12ae0db242fa7838179275614323733ce7",
    ]
)
_FEWEST = 16  # different bytes: 32 random ones have fewer once in 10^13 keys
_DURABLE = {
    "sqlite": {"journal_mode": ("wal",), "synchronous": ("2", "3")},
    "postgresql": {
        "fsync": ("on",),
        "synchronous_commit": ("on", "local", "remote_write", "remote_apply"),
        "full_page_writes": ("on",),
    },
}


def require_ready(settings: Settings) -> None:
    """Raise FhirError with everything that keeps this hub from starting (1 and 2)."""
    require_none([*_transport(settings), *_keys(settings)])


def require_destinations(settings: Settings) -> None:
    """Raise FhirError HUB-REST-110 where nobody has said where messages may go (3)."""
    if not settings.dev and not settings.delivery_allowed_hosts.strip():
        raise FhirError(issue("HUB-REST-110"))


def require_durable(settings: Settings, database: Database) -> None:
    """Raise FhirError HUB-REST-111 where an acknowledged referral could be lost (4)."""
    weak = weaknesses(database)
    if weak and not settings.dev:
        raise FhirError(issue("HUB-REST-111", names=", ".join(weak)))


def weaknesses(database: Database) -> list[str]:
    """Settings of the database under which an acknowledged write could be lost (§5)."""
    with database.engine.connect() as connection:
        kind = connection.dialect.name
        ask = "PRAGMA" if kind == "sqlite" else "SHOW"
        return [
            name
            for name, safe in _DURABLE[kind].items()
            if str(connection.exec_driver_sql(f"{ask} {name}").scalar()) not in safe
        ]


def warnings(settings: Settings, database: Database) -> list[Issue]:
    """What is unwise, but no reason not to start."""
    if settings.dev or database.is_sqlite:
        return []
    asked = text("SELECT rolsuper FROM pg_roles WHERE rolname = current_user")
    with database.engine.connect() as connection:
        is_superuser = bool(connection.execute(asked).scalar())
    return [issue("HUB-REST-112", severity="warning")] if is_superuser else []


def _transport(settings: Settings) -> Iterator[Issue]:
    yield from _raised(lambda: require_safe(settings))


def _keys(settings: Settings) -> Iterator[Issue]:
    """With `dev` what is missing is made on the way."""
    yield from _raised(lambda: _require_own_signing(settings))
    yield from _raised(lambda: _require_own_content(settings))
    yield from _raised(lambda: _require_own_audit(settings))
    yield from _raised(lambda: _require_proxy(settings))


def _raised(check: Callable[[], None]) -> tuple[Issue, ...]:
    try:
        check()
    except FhirError as error:
        return error.issues
    return ()


def _require_proxy(settings: Settings) -> None:
    proxy_secret(settings)


def _require_own_signing(settings: Settings) -> None:
    for key in signing_keys(settings):
        _require_unprinted(str(key.as_dict(private=False)["x"]), "TSUNAGI_SIGNING_KEY")


def _require_own_content(settings: Settings) -> None:
    content_keys(settings)
    for key in load(path_of(settings)):
        if len(set(key.raw_value)) < _FEWEST:
            raise FhirError(issue("HUB-KEY-010", name="TSUNAGI_CONTENT_KEYS"))
        _require_unprinted(key.raw_value.hex(), "TSUNAGI_CONTENT_KEYS")


def _require_own_audit(settings: Settings) -> None:
    path = audit_key_path(settings)
    public = _audit_key(path, create=settings.dev).public_key().public_bytes_raw()
    if path.stat().st_mode & 0o077:
        raise FhirError(issue("HUB-KEY-009"))
    _require_unprinted(public.hex(), "TSUNAGI_AUDIT_KEY")


def _audit_key(path: Path, *, create: bool) -> Ed25519PrivateKey:
    try:
        return load_key(path, create=create)
    except OSError:
        raise FhirError(issue("HUB-KEY-007")) from None
    except (ValueError, TypeError):
        raise FhirError(issue("HUB-KEY-008")) from None


def _require_unprinted(public: str, name: str) -> None:
    if hashlib.sha256(public.encode()).hexdigest() in _PRINTED:
        raise FhirError(issue("HUB-KEY-010", name=name))
