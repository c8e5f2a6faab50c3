"""Signed checkpoints of the chain, in a file outside the database.

A chain cannot see its own tail cut. A checkpoint says how far it reached and is
signed with Ed25519 by a key that the database does not hold. The file belongs on
another volume; each line is one checkpoint, numbers only grow.
"""

import fcntl
import json
import os
import threading
from base64 import b64decode, b64encode
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, astuple, dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import IO, Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import (
    Ed25519PrivateKey,
    Ed25519PublicKey,
)
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)
from sqlalchemy import func, select

from hub.audit.copies import LONGEST, Copy
from hub.audit.seal import read_head
from hub.audit.tables import audit_seal
from hub.database import Database, Session
from hub.fhir.dates import instant, micros, now

_CONTEXT = b"tsunagi audit checkpoint 1\n"
_HANDOVER = b"tsunagi audit handover 1\n"


class SetBackError(RuntimeError):
    """The database is behind its own signed checkpoint (A8): it was set back."""

    def __init__(self, seq: int, found: int, path: Path) -> None:
        super().__init__(
            f"監査ログの控え（{path.name}）は{seq}番まで署名済みですが、データベースは"
            f"{found}番までです。バックアップから戻したときは tsunagi reconcile を、"
            f"空のデータベースで始め直すときは控えファイルを別の場所へ移してください。"
            f" / the database ({found}) is behind its checkpoint ({seq}): run"
            f" `tsunagi reconcile` after a restore, or move {path.name} away when"
            f" starting afresh"
        )


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """How far the chain reached.

    `seq` and `head` (hex) of the last sealed row, `count` of seals up to it, `time`
    a FHIR instant. With `next`, a public key (raw, base64), it is also a handover:
    the key that signed it signs no more, the next one does.
    """

    seq: int
    head: str
    count: int
    time: str
    next: str = ""


class Checkpoints:
    """Appends checkpoints to one file; several processes may share it.

    One is due after `every` rows or `seconds`. The file is the only memory of what
    was anchored.
    """

    def __init__(
        self,
        path: Path,
        key: Ed25519PrivateKey,
        every: int = 1000,
        seconds: float = 60.0,
        copies: Sequence[Copy] = (),
    ) -> None:
        self.path = path
        self._key = key
        self._every = every
        self._micros = int(seconds * 1_000_000)
        self._last: tuple[int, int] | None = None  # seq, microseconds
        self._copies = copies
        self._mutex = threading.Lock()

    def anchor(self, database: Database, at: datetime | None = None) -> Checkpoint:
        """Write down the committed head now; the last checkpoint when none is newer.

        Returns after the line is on disk. Raises OSError when it cannot be written
        and SetBackError when the database is older than the file: then nothing may
        be acknowledged that needs a checkpoint.
        """
        at = at or now()
        with self._mutex, _locked(self.path) as file:
            last = _last_line(file)
            with database.transaction(write=False) as session:
                head = read_head(session)
                is_newer = last is None or head.seq > last.seq
                count = _count(session, head.seq) if is_newer else 0
            if last is not None and head.seq < last.seq:
                raise SetBackError(last.seq, head.seq, self.path)
            if last is None or is_newer:
                last = Checkpoint(head.seq, head.hash.hex(), count, instant(at))
                _append(file, sign(self._key, last))
            self._last = (last.seq, micros(at))
        return last

    def copy(self) -> None:
        """Bring what the copies lack to them; OSError when one cannot be written.

        Not part of anchoring: a withdrawal does not wait for a second volume.
        """
        with self._mutex:
            for one in self._copies:
                one.take(self.path)

    def anchor_if_due(self, database: Database, at: datetime | None = None) -> bool:
        """Anchor when enough rows or enough time passed since the last checkpoint."""
        at = at or now()
        with database.transaction(write=False) as session:
            seq = read_head(session).seq
        done, when = self._last or (0, 0)
        is_due = seq - done >= self._every or micros(at) - when >= self._micros
        if seq == done or not is_due:
            return False
        self.anchor(database, at)
        return True


def sign(key: Ed25519PrivateKey, checkpoint: Checkpoint) -> bytes:
    """One line of the file, without its end."""
    signature = key.sign(_signed_bytes(checkpoint))
    told = {key: value for key, value in asdict(checkpoint).items() if value != ""}
    line = {**told, "signature": b64encode(signature).decode()}
    return json.dumps(line, separators=(",", ":")).encode()


def parse(line: bytes) -> tuple[Checkpoint, bytes] | None:
    """A line as (checkpoint, signature), not yet verified; None when unreadable."""
    try:
        value: dict[str, Any] = json.loads(line)
        checkpoint = Checkpoint(
            int(value["seq"]),
            str(value["head"]),
            int(value["count"]),
            str(value["time"]),
            str(value.get("next", "")),
        )
        return checkpoint, b64decode(value["signature"], validate=True)
    except (ValueError, KeyError, TypeError):
        return None


def is_signed(key: Ed25519PublicKey, unverified: Checkpoint, signature: bytes) -> bool:
    try:
        key.verify(signature, _signed_bytes(unverified))
    except InvalidSignature:
        return False
    return True


def load_key(path: Path, *, create: bool = False) -> Ed25519PrivateKey:
    """The signing key from a PEM file (PKCS8), with `.pub` beside it for verifiers.

    `create` makes a new key when the file is missing, for `--dev`; otherwise a
    missing key is a FileNotFoundError. Keep it where the database's backups are not.
    """
    if not path.exists():
        if not create:
            raise FileNotFoundError(
                f"監査ログの署名鍵がありません: {path.name}"
                f" / the audit signing key {path.name} is missing"
            )
        _create_key(path)
    key = load_pem_private_key(path.read_bytes(), password=None)
    if not isinstance(key, Ed25519PrivateKey):
        raise ValueError(  # noqa: TRY004 - a wrong file, not a wrong call
            f"Ed25519の鍵ではありません: {path.name} / not an Ed25519 key: {path.name}"
        )
    return key


def load_public_key(path: Path) -> Ed25519PublicKey:
    """The verifying key: a public PEM, or the private PEM it belongs to."""
    raw = path.read_bytes()
    if b"PRIVATE KEY" in raw:
        return load_key(path).public_key()
    key = load_pem_public_key(raw)
    if not isinstance(key, Ed25519PublicKey):
        raise ValueError(  # noqa: TRY004 - a wrong file, not a wrong call
            f"Ed25519の鍵ではありません: {path.name} / not an Ed25519 key: {path.name}"
        )
    return key


def _create_key(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    key = Ed25519PrivateKey.generate()
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:  # another process was first; its key counts
        return
    with os.fdopen(handle, "wb") as file:
        file.write(pem)
    path.with_name(f"{path.name}.pub").write_bytes(public_pem(key.public_key()))


def public_pem(key: Ed25519PublicKey) -> bytes:
    """The public half as a verifier keeps it (PEM)."""
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def _signed_bytes(checkpoint: Checkpoint) -> bytes:
    context, fields = _CONTEXT, astuple(checkpoint)[:-1]
    if checkpoint.next:
        context, fields = _HANDOVER, astuple(checkpoint)
    return context + json.dumps(fields, separators=(",", ":")).encode()


def raw_public(key: Ed25519PublicKey) -> str:
    """A public key as a handover names it: raw, base64."""
    return b64encode(key.public_bytes(Encoding.Raw, PublicFormat.Raw)).decode()


def next_key(handover: Checkpoint) -> Ed25519PublicKey:
    """The key that signs after a handover, whose own signature was checked."""
    return Ed25519PublicKey.from_public_bytes(b64decode(handover.next))


def hand_over(
    path: Path, key: Ed25519PrivateKey, next: Ed25519PublicKey, at: datetime
) -> Checkpoint:
    """Say in the file, under the old key, that from here on another one signs.

    Raises LookupError when there is no checkpoint yet. Once written it is the last
    word of the old key; writing it again for the same key changes nothing.
    """
    with _locked(path) as file:
        last = _last_line(file)
        if last is None:
            raise LookupError("there is no checkpoint to hand over")
        if last.next == raw_public(next):
            return last
        made = replace(last, time=instant(at), next=raw_public(next))
        _append(file, sign(key, made))
    return made


@contextmanager
def _locked(path: Path) -> Iterator[IO[bytes]]:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+b") as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # freed by close
        yield file


def _last_line(file: IO[bytes]) -> Checkpoint | None:
    end = file.seek(0, os.SEEK_END)
    start = file.seek(max(0, end - 2 * LONGEST))
    tail = file.read(end - start)
    whole, newline, torn = tail.rpartition(b"\n")
    if torn:
        # A crash tore this line; nothing was acknowledged on its strength.
        file.truncate(end - len(torn))
    parsed = parse(whole.rpartition(b"\n")[2]) if newline else None
    return parsed[0] if parsed else None


def _append(file: IO[bytes], line: bytes) -> None:
    file.seek(0, os.SEEK_END)
    file.write(line + b"\n")
    file.flush()
    os.fsync(file.fileno())


def _count(session: Session, seq: int) -> int:
    statement = select(func.count()).select_from(audit_seal)
    found: int = session.execute(statement.where(audit_seal.c.seq <= seq)).scalar_one()
    return found
