"""The file of content keys: a JWKS of AES-256 keys, the first of which encrypts.

The others still decrypt. The file lies outside the database, like the hub's other
keys: who reads a backup of the database reads no content. A running hub notices when
the file changes, so that a new key needs no restart.
"""

import fcntl
import os
import secrets
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import orjson
from joserfc.errors import JoseError
from joserfc.jwk import OctKey
from joserfc.util import urlsafe_b64decode

from hub.fhir import dates
from hub.fhir.outcome import FhirError, issue
from hub.settings import Settings

FILE_NAME = "content-keys.json"
_BITS = 256


def path_of(settings: Settings) -> Path:
    """Where the content keys are kept."""
    return settings.content_keys or settings.state / FILE_NAME


class ContentKeys:
    """The keys of a file, read anew when it changes. Thread-safe.

    Raises FhirError HUB-KEY-002 (missing), -003 (not such keys), -004 (readable by
    other users of the machine) when made, HUB-KEY-001 (503) when the file is gone
    or broken later.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen = _mark(path)
        self._keys = load(path)

    def newest(self) -> OctKey:
        """The key that encrypts."""
        return self._current()[0]

    def find(self, id: str) -> OctKey | None:
        """The key with this id, None when the file has none."""
        return next((key for key in self._current() if key.kid == id), None)

    def _current(self) -> tuple[OctKey, ...]:
        try:
            mark = _mark(self._path)
            if mark != self._seen:
                self._keys, self._seen = load(self._path), mark
        except FhirError:
            raise FhirError(issue("HUB-KEY-001")) from None
        return self._keys


def content_keys(settings: Settings) -> ContentKeys:
    """The keys of the settings' file; with `dev` a missing file is made (0600)."""
    path = path_of(settings)
    if settings.dev and not path.exists():
        create(path)
    return ContentKeys(path)


def create(path: Path) -> None:
    """Make a file with a first key, unless another process was faster."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with _changing(path):
        if not path.exists():
            _write(path, [generate()])


def add(path: Path) -> str:
    """Put a new key before the others: it encrypts from now on. Returns its id."""
    made = generate()
    with _changing(path):
        _write(path, [made, *load(path)])
    return str(made.kid)


def drop(path: Path, ids: Sequence[str]) -> None:
    """Take keys out of the file; never the one that encrypts."""
    with _changing(path):
        first, *others = load(path)
        _write(path, [first, *(key for key in others if key.kid not in ids)])


def generate() -> OctKey:
    """A fresh key. Its id is a day and chance: it says nothing about the key."""
    id = f"{dates.now():%Y%m%d}-{secrets.token_hex(4)}"
    return OctKey.generate_key(_BITS, {"kid": id, "alg": "dir", "use": "enc"})


def load(path: Path) -> tuple[OctKey, ...]:
    """The keys of a file, the one that encrypts first; raises as ContentKeys."""
    try:
        if path.stat().st_mode & 0o077:
            raise FhirError(issue("HUB-KEY-004"))
        raw = path.read_bytes()
    except OSError:
        raise FhirError(issue("HUB-KEY-002")) from None
    try:
        keys = tuple(_imported(member) for member in orjson.loads(raw)["keys"])
    except (ValueError, TypeError, KeyError, JoseError):
        raise FhirError(issue("HUB-KEY-003")) from None
    if not keys or len({key.kid for key in keys}) != len(keys):
        raise FhirError(issue("HUB-KEY-003"))
    return keys


def _imported(member: dict[str, str | list[str]]) -> OctKey:
    raw = urlsafe_b64decode(str(member["k"]).encode())
    if len(raw) * 8 != _BITS or not member["kid"]:
        raise ValueError("not an AES-256 key with an id")
    return OctKey.import_key(member)


def _mark(path: Path) -> tuple[int, ...]:
    try:
        found = path.stat()
    except OSError:
        raise FhirError(issue("HUB-KEY-002")) from None
    return found.st_mtime_ns, found.st_ino, found.st_size, found.st_mode


@contextmanager
def _changing(path: Path) -> Iterator[None]:
    """One at a time: of two `keys new` neither may lose the other's key."""
    handle = os.open(path.parent, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _write(path: Path, keys: Sequence[OctKey]) -> None:
    """Whole or not at all: a key that is half written opens nothing."""
    handle, name = tempfile.mkstemp(dir=path.parent)  # made with mode 0600
    with os.fdopen(handle, "wb") as file:
        file.write(orjson.dumps({"keys": [k.as_dict(private=True) for k in keys]}))
        file.flush()
        os.fsync(file.fileno())
    Path(name).replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
