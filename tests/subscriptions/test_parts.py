"""What is pure: filters, headers, seals, topics; and what matching costs."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import event

from hub.actor import Actor
from hub.app import know
from hub.changes import By, update
from hub.database import Database
from hub.fhir import dates
from hub.settings import Settings
from hub.smart.signing import generate
from hub.store import resources as store
from hub.store.visibility import hub_sees_all
from hub.subscriptions import headers, secrets
from hub.subscriptions.filters import PARAMETERS, FilterError, holds, parse
from hub.subscriptions.topic import topics
from tests.referrals.build import HOSPITAL, sent
from tests.subscriptions.build import TOPIC

BASE = "https://hub.example/fhir/R4"
TASK = {
    "resourceType": "Task",
    "status": "received",
    "owner": {"reference": "HealthcareService/near"},
    "code": {"coding": [{"system": "s", "code": "fulfill"}, {"code": "plain"}]},
}


@pytest.mark.parametrize(
    ("query", "fits"),
    [
        ("owner=HealthcareService/near", True),
        ("owner=near", True),
        (f"owner={BASE}/HealthcareService/near", True),
        ("owner=HealthcareService%2Fnear", True),
        ("owner=Organization/near", False),
        ("owner=far,near", True),
        ("owner=near&owner=far", False),
        ("requester=near", False),
        ("status=received", True),
        ("status=http://hl7.org/fhir/task-status|received", True),
        ("status=requested,accepted", False),
        ("owner=near&status=requested", False),
        ("code=fulfill", True),
        ("code=s|fulfill", True),
        ("code=s|", True),
        ("code=|plain", True),
        ("code=|fulfill", False),
        ("code=t|fulfill", False),
    ],
)
def test_S9_a_filter_reads_as_in_a_search(query, fits):
    filters = parse(f"Task?{query}", "Task", PARAMETERS, BASE)
    assert holds(filters, TASK) is fits


@given(st.text(max_size=40))
def test_S8_any_text_is_a_filter_or_refused(text):
    try:
        filters = parse(f"Task?{text}", "Task", PARAMETERS, BASE)
    except FilterError:
        return
    assert filters
    assert all(one.parameter in PARAMETERS and all(one.values) for one in filters)
    holds(filters, TASK)


@given(st.lists(st.text(max_size=30), max_size=5))
def test_S10_a_header_that_is_taken_splits_no_request(lines):
    taken, wrong = headers.read(lines)
    assert len(taken) + len(wrong) == len(lines)
    for name, value in taken.items():
        assert not {"\r", "\n", "\0"} & set(name + value)
        assert name.isascii()
        assert value.isascii()


def test_S10_a_seal_opens_with_the_old_key_and_for_its_own_subscription_alone():
    old, new = secrets.keys((generate(), generate()))
    sealed = secrets.seal((old,), "a", {"X-Key": "secret"})
    assert sealed is not None
    assert b"secret" not in sealed
    assert secrets.unseal((new, old), "a", sealed) == {"X-Key": "secret"}
    assert secrets.unseal((new,), "a", sealed) is None
    assert secrets.unseal((old,), "b", sealed) is None
    assert len(secrets.webhook_secrets((new, old), "a")) == 2


def test_the_topic_that_is_shipped_names_what_the_code_can_filter(tmp_path):
    packages = know(Settings(dev=True, state=tmp_path)).packages
    found = topics(packages.all())
    assert set(found) == {TOPIC}
    assert found[TOPIC].filters == set(PARAMETERS)
    assert found[TOPIC].resource == "Task"


def test_without_a_subscription_a_changed_task_costs_one_query(hub):
    with hub.database.transaction() as session:
        session.exec_driver_sql("UPDATE subscription SET status = 'off'")
    task = sent(hub, HOSPITAL).parent_id
    asked: list[str] = []

    def note(_c, _cursor, statement, *_):
        if "subscription" in statement:
            asked.append(statement)

    event.listen(hub.database.engine, "before_cursor_execute", note)
    try:
        _touch(hub.database, task)
    finally:
        event.remove(hub.database.engine, "before_cursor_execute", note)
    assert len(asked) == 1


def _touch(database: Database, task_id: str) -> None:
    by = By(Actor("hub", "tsunagi-hub", roles=frozenset({"hub"})), dates.now())
    with database.transaction() as session:
        stored = store.read(session, "Task", task_id, hub_sees_all)
        assert stored is not None
        for note in ("一", "二"):
            resource = json.loads(stored.body) | {"note": [{"text": note}]}
            update(session, by, resource)
