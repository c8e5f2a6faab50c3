"""The search columns of rows that were there before the columns were."""

from pathlib import Path

import pytest
from alembic import command
from sqlalchemy import select, text

from hub.audit.checkpoint import Checkpoints, load_key
from hub.audit.columns import SEARCHED
from hub.audit.event import Facts, Observer, Peer, build
from hub.audit.kinds import KINDS
from hub.audit.seal import GENESIS, link
from hub.audit.tables import audit_event
from hub.audit.verify import verify
from hub.database import Database
from hub.fhir.dates import micros
from hub.migrations import config, upgrade
from tests.audit.conftest import START
from tests.conftest import BACKENDS


@pytest.fixture(params=BACKENDS)
def database(request, tmp_path: Path):
    url = f"sqlite:///{tmp_path}/old.db"
    if request.param == "postgresql":
        url = request.getfixturevalue("empty_postgres")
    made = Database(url)
    settings = config()
    with made.engine.begin() as connection:
        settings.attributes["connection"] = connection
        command.upgrade(settings, "0004")
    yield made
    made.close()


def write_as_before(database: Database) -> int:
    """A sealed row of every kind, in the columns that there were; how many."""
    previous = GENESIS
    event = text(
        "INSERT INTO audit_event (id, recorded, patient, organisation, action, body,"
        " seq) VALUES (:id, :recorded, :patient, :organisation, :action, :body, :seq)"
    )
    seal = text("INSERT INTO audit_seal (seq, event, hash) VALUES (:seq, :id, :hash)")
    with database.engine.begin() as connection:
        for seq, kind in enumerate(sorted(KINDS), start=1):
            facts = Facts(kind, START, targets=["Task/t1/_history/2"], query="a=1")
            peer = Peer("client-1", "o1", "10.0.0.1")
            body = build(f"e{seq}", Observer(), peer, facts, "Patient/p1")
            previous = link(seq, previous, body)
            row = {
                "id": f"e{seq}",
                "recorded": micros(START),
                "patient": "Patient/p1",
                "organisation": "o1",
                "action": KINDS[kind].action,
                "body": body,
                "seq": seq,
                "hash": previous,
            }
            connection.execute(event, row)
            connection.execute(seal, row)
        head = {"seq": len(KINDS), "hash": previous}
        connection.execute(
            text("INSERT INTO audit_head (id, seq, hash) VALUES (1, :seq, :hash)"), head
        )
    return len(KINDS)


def test_rows_from_before_are_given_what_their_sealed_bodies_say(database, tmp_path):
    count = write_as_before(database)
    upgrade(database)
    key = load_key(tmp_path / "audit.pem", create=True)
    anchors = Checkpoints(tmp_path / "anchors.jsonl", key)
    anchors.anchor(database)
    report = verify(database, anchors.path, key.public_key())
    assert report.is_intact, report.problems
    assert report.anchored == count
    columns = [audit_event.c[name] for name in SEARCHED]
    with database.transaction(write=False) as session:
        rows = session.execute(select(*columns)).all()
    read = next(row for row in rows if row.subtype == "read")
    assert (read.client, read.entity, read.type, read.outcome) == (
        "client-1",
        "Task/t1",
        "rest",
        "0",
    )


def test_a_body_that_was_altered_before_stops_no_migration_and_is_found(
    database, tmp_path
):
    write_as_before(database)
    with database.engine.begin() as connection:
        broken = text("UPDATE audit_event SET body = :body WHERE id = 'e3'")
        connection.execute(broken, {"body": b"{"})
    upgrade(database)
    key = load_key(tmp_path / "audit.pem", create=True)
    report = verify(database, tmp_path / "none.jsonl", key.public_key())
    assert [found.id for found in report.problems] == ["HUB-AUD-001"]
