"""The restricted role of PostgreSQL: the hub works, the log can only grow."""

import uuid

import pytest
from sqlalchemy import text
from sqlalchemy.exc import ProgrammingError

from hub.audit.checkpoint import Checkpoints, load_key
from hub.audit.seal import Sealer, seal_batch
from hub.audit.verify import verify
from hub.database import Database
from hub.migrations.role import apply, statements
from tests.conftest import POSTGRES, _admin, _url
from tests.referrals.build import sent
from tests.running import running_hub

pytestmark = pytest.mark.skipif(not POSTGRES, reason="PostgreSQL is not here")


@pytest.fixture
def database_url(postgres_template):
    """PostgreSQL alone: SQLite has no roles."""
    name = f"tsunagi_test_{uuid.uuid4().hex[:12]}"
    _admin(f"CREATE DATABASE {name} TEMPLATE {postgres_template}")
    yield _url(name)
    _admin(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def role():
    name = f"hub_{uuid.uuid4().hex[:12]}"
    yield name
    _admin(f"DROP ROLE IF EXISTS {name}")


@pytest.fixture
def restricted(database, role):
    """The URL of the same database for the restricted role."""
    assert apply(database, role)
    assert not apply(database, role)
    yield database.engine.url.set(username=role).render_as_string(hide_password=False)
    with database.engine.begin() as connection:
        connection.exec_driver_sql(f"DROP OWNED BY {role}")


def refused(url: str, statement: str) -> bool:
    database = Database(url)
    try:
        with database.engine.begin() as connection:
            connection.execute(text(statement))
    except ProgrammingError as error:
        return "permission denied" in str(error.orig)
    finally:
        database.close()
    return False


def test_the_hub_works_under_the_role_and_nobody_changes_a_row(restricted, tmp_path):
    with running_hub(restricted, tmp_path) as hub:
        referral = sent(hub)
        consent = referral.source.read(f"/Consent/{referral.consents[0]}")
        answer = referral.source.put(
            f"/Consent/{consent['id']}", consent | {"status": "inactive"}
        )
        assert answer.status_code == 200
        sealer = Sealer(hub.database)
        sealer.start()
        sealer.stop()
        assert not sealer.failing
        while seal_batch(hub.database):
            pass
        key = load_key(tmp_path / "audit.pem", create=True)
        anchors = Checkpoints(tmp_path / "anchors.jsonl", key)
        anchors.anchor(hub.database)
        report = verify(hub.database, anchors.path, key.public_key())
        assert report.is_intact
        assert report.anchored > 10
    for statement in (
        "UPDATE audit_event SET body = body",
        "UPDATE audit_event SET patient = NULL",
        "DELETE FROM audit_event",
        "TRUNCATE audit_event",
        "UPDATE audit_seal SET hash = hash",
        "DELETE FROM audit_seal",
        "TRUNCATE audit_seal",
        "DELETE FROM audit_head",
        "TRUNCATE audit_head",
        "DROP TABLE audit_event",
        "ALTER TABLE audit_event ADD COLUMN more TEXT",
        "UPDATE alembic_version SET version_num = '0'",
    ):
        is_drop = statement.startswith(("DROP", "ALTER"))
        assert is_drop or refused(restricted, statement), statement
        if is_drop:
            with pytest.raises(ProgrammingError, match="must be owner"):
                _run(restricted, statement)


def _run(url: str, statement: str) -> None:
    database = Database(url)
    try:
        with database.engine.begin() as connection:
            connection.execute(text(statement))
    finally:
        database.close()


def test_without_the_role_the_same_statements_succeed(database, restricted):
    owner = database.engine.url.render_as_string(hide_password=False)
    assert not refused(owner, "DELETE FROM audit_event")
    assert not refused(owner, "TRUNCATE audit_seal")


@pytest.mark.parametrize("name", ["Hub", "a b", 'x"; DROP TABLE audit_event; --', ""])
def test_a_name_that_needs_quoting_is_refused(name):
    with pytest.raises(ValueError, match="role name"):
        statements(name)
