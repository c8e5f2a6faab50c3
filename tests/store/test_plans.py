"""PostgreSQL enters an index for each hot query: no table is read as a whole."""

import json
from collections.abc import Iterator

import pytest
from sqlalchemy import event, text

from hub.store import tables
from hub.store.parameters import declared, definitions
from tests.store.conftest import Store, opened
from tests.store.values import asked

PEOPLE = 4000
BIG = {tables.resource.name, *(table.name for table in tables.INDEXES)}
SID = "https://hospital.example/sid"


def a_person(n: int):
    return {
        "resourceType": "Patient",
        "id": f"p{n}",
        "identifier": [{"system": SID, "value": f"{n:07d}"}],
        "name": [{"text": f"架空{n}号", "family": f"姓{n}"}],
        "birthDate": f"{1940 + n % 60}-{n % 12 + 1:02d}-{n % 28 + 1:02d}",
        "gender": "female" if n % 2 else "male",
    }


def a_task(n: int):
    return {
        "resourceType": "Task",
        "id": f"t{n}",
        "status": "requested" if n % 500 == 0 else "completed",
        "intent": "order",
        "identifier": [{"system": SID, "value": f"t{n:07d}"}],
        "for": {"reference": f"Patient/p{n}"},
        "owner": {"reference": f"Organization/o{n % 50}"},
        "authoredOn": f"{2000 + n % 27}-{n % 12 + 1:02d}-{n % 28 + 1:02d}",
    }


def an_observation(n: int):
    return {
        "resourceType": "Observation",
        "id": f"ob{n}",
        "status": "final",
        "code": {"coding": [{"system": "http://loinc.org", "code": f"c{n % 400}"}]},
        "subject": {"reference": f"Patient/p{n}"},
        "valueQuantity": {"value": n, "code": "g"},
    }


@pytest.fixture(scope="module")
def crowded(tmp_path_factory) -> Iterator[Store]:
    with opened("postgresql", tmp_path_factory.mktemp("plans")) as database:
        store = Store(database)
        documents = [make(n) for n in range(PEOPLE) for make in MAKERS]
        moments = [store.tick() for _ in documents]
        store.create_at(documents, moments)
        with database.engine.connect() as session:
            session.execution_options(isolation_level="AUTOCOMMIT")
            session.execute(text("ANALYZE"))
        yield store


MAKERS = (a_person, a_task, an_observation)
LAST = "2026-11-02T12:19:55Z"  # five seconds before the last of the writes


def nodes(plan) -> Iterator[dict[str, str]]:
    yield plan
    for below in plan.get("Plans", ()):
        yield from nodes(below)


def plans(store: Store, query: str) -> list[dict[str, str]]:
    """The plan nodes of every statement that a search runs."""
    seen = []

    def note(_connection, _cursor, statement, parameters, *_rest):
        if statement.startswith("SELECT"):
            seen.append((statement, parameters))

    event.listen(store.database.engine, "before_cursor_execute", note)
    try:
        store.search(query)
    finally:
        event.remove(store.database.engine, "before_cursor_execute", note)
    found: list[dict[str, str]] = []
    with store.database.engine.connect() as session:
        for statement, parameters in seen:
            explained = session.exec_driver_sql(
                f"EXPLAIN (FORMAT JSON) {statement}", parameters
            ).scalar_one()
            plan = json.loads(explained) if isinstance(explained, str) else explained
            found += nodes(plan[0]["Plan"])
    assert found
    return found


@pytest.mark.parametrize(
    "query",
    [
        "Task?status=requested",
        "Task?status=http://hl7.org/fhir/task-status|requested",
        f"Patient?identifier={SID}|0000123",
        "Patient?identifier=0000123,0000124",
        "Patient?_id=p123",
        "Patient?birthdate=1987-04-04",
        "Patient?name=架空1234",
        "Patient?family:exact=姓1234",
        "Task?patient=Patient/p123",
        "Task?patient=p123&status=completed",
        f"Task?patient.identifier={SID}|0000123",
        "Task?subject:Patient.name=架空1234",
        "Patient?_has:Task:patient:identifier=t0000123",
        f"Patient?identifier={SID}|0000123&_revinclude=Task:patient",
        f"Task?identifier={SID}|t0000123&_include=Task:patient",
        f"Task?_lastUpdated=ge{LAST}",
        f"Task?_lastUpdated=ge{LAST}&_sort=_lastUpdated&_count=10",
        "Task?_sort=-_lastUpdated&_count=10&_total=none",
        "Task?_count=10&_total=none",
        "Observation?code=c17",
        "Observation?code-value-quantity=c17$gt3900",
        "Observation?value-quantity=1234",
        f"?_type=Task,Patient&_lastUpdated=ge{LAST}",
    ],
)
def test_a_hot_query_reads_no_table_as_a_whole(crowded, query):
    whole = {
        node["Relation Name"]
        for node in plans(crowded, query)
        if node["Node Type"] == "Seq Scan"
    }
    assert not whole & BIG, query


@pytest.mark.parametrize("type_", ["Patient", "Task", "Observation"])
def test_no_parameter_reads_all_resources_for_a_rare_value(crowded, type_):
    for code, parameter in declared()[type_].items():
        paths = definitions()[type_][code].paths
        if code in ("_id", "_lastUpdated") or paths[0]["as"] in ("present", "boolean"):
            continue
        value = asked(parameter, paths[0])
        found = plans(crowded, f"{type_}?{code}={value}&_total=none")
        whole = [n for n in found if n["Node Type"] == "Seq Scan"]
        # Nothing here has a URI: that table is empty, and read as such.
        assert not {n["Relation Name"] for n in whole} & (BIG - {"search_uri"}), code
