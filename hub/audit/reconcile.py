"""A database that was set back: seen against its checkpoints, and taken up again (K7).

The file of checkpoints tells how far the log once reached. While the database is
behind it the hub only reads: what was acknowledged since the backup is missing, and
the operator has to know before anything new is built on that. `reconcile` puts the
former file aside, keeps the checkpoints that still hold, and says so in the log.
"""

import os
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from sqlalchemy import select

from hub.actor import Actor
from hub.audit.checkpoint import Checkpoint, parse
from hub.audit.copies import lines
from hub.audit.seal import as_bytes, read_head, seal_now
from hub.audit.tables import audit_seal
from hub.audit.write import record
from hub.database import Database, Session
from hub.fhir.dates import instant


@dataclass(frozen=True, slots=True)
class SetBack:
    """`seq` is how far the database reaches, `kept` the last checkpoint that holds,
    `last` the last one there is: rows after `kept` up to `last` may be missing."""

    seq: int
    kept: Checkpoint
    last: Checkpoint

    @property
    def missing(self) -> int:
        """Audit rows that were signed for and are not there, at least."""
        return self.last.seq - self.seq


def find_set_back(database: Database, path: Path) -> SetBack | None:
    """How far the database was set back; None when it was not, or when it is not an
    older state of the log that the checkpoints are of."""
    found = _read(path)
    with database.transaction(write=False) as session:
        seq = read_head(session).seq
        if not found or found[-1].seq <= seq:
            return None
        holding = [one for one in found if _holds(session, one)]
    if not holding:
        return None
    return SetBack(seq, max(holding, key=lambda one: one.seq), found[-1])


def reconcile(
    database: Database, path: Path, actor: Actor, at: datetime
) -> SetBack | None:
    """Take the database as it is from now on; None when it was not set back.

    The former file stays beside the new one, named after `at`. The caller anchors
    afterwards. Safe to run again after a crash.
    """
    found = find_set_back(database, path)
    if found is None:
        return None
    with database.transaction() as session:
        record(
            session,
            actor,
            "operation",
            at=at,
            description=f"reconciled: set back from {found.last.seq} to {found.seq}",
        )
        seal_now(session)
    _keep(path, found.kept, at)
    return found


def _read(path: Path) -> list[Checkpoint]:
    size = path.stat().st_size if path.exists() else 0
    parsed = [parse(line) for line in lines(path, size)]
    return [one[0] for one in parsed if one is not None]


def _holds(session: Session, checkpoint: Checkpoint) -> bool:
    """True when the database has the very row that was signed for."""
    query = select(audit_seal.c.hash).where(audit_seal.c.seq == checkpoint.seq)
    hash_ = session.execute(query).scalar()
    return hash_ is not None and as_bytes(hash_).hex() == checkpoint.head


def _keep(path: Path, kept: Checkpoint, at: datetime) -> None:
    """Leave the lines up to `kept`; at no moment is there no file."""
    former = path.with_name(f"{path.name}.{instant(at).replace(':', '')}")
    os.link(path, former)
    shorter = path.with_name(f"{path.name}.new")
    with shorter.open("wb") as file:
        for line in lines(path, path.stat().st_size):
            parsed = parse(line)
            if parsed is not None and parsed[0].seq <= kept.seq:
                file.write(line + b"\n")
        file.flush()
        os.fsync(file.fileno())
    shorter.replace(path)
