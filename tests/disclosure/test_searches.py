"""Searches of one organisation among many: what is found, and what is looked at.

Every case belongs to one of fifty organisations; each search may look at the rows of
the caller's own, not at everybody's (rest.md §3, security.md G3).
"""

import json
from collections.abc import Iterator

import pytest
from sqlalchemy import event, insert, text

from hub.actor import Actor
from hub.database import metadata
from hub.disclosure.classes import WHOLE
from hub.disclosure.grants import visible_to
from hub.disclosure.tables import case, case_resource, draft, grant
from hub.store import conditions
from tests.store.conftest import KINDS, Store, opened

PEOPLE, ORGANISATIONS = 3000, 50
MINE = PEOPLE // ORGANISATIONS
CALLER = visible_to(Actor("client", "o7"))
SID = "https://hospital.example/sid"
LONG_AGO = 0
QUERIES = [
    "Patient?name=架空",
    "Patient?name=架空&gender=female",
    "Patient?name:contains=空",
    "Patient?name:exact=架空",
    "Patient?name=架空2107",
    "Patient?gender=female",
    "Patient?birthdate=ge1970",
    f"Patient?identifier={SID}|0000107",
    "Patient?_has:Task:patient:status=requested",
    "Patient?_has:Task:patient:code:text=紹介",
    "Task?status=requested",
    "Task?code:text=紹介",
    "Task?patient.name=架空",
    "Task?patient.gender=female&status=requested",
    "Task?_has:Task:part-of:status=requested",
]


def a_person(n: int):
    return {
        "resourceType": "Patient",
        "id": f"p{n}",
        "identifier": [{"system": SID, "value": f"{n:07d}"}],
        "name": [{"text": f"架空{n}"}, {"text": "架空"}],
        "birthDate": f"{1940 + n % 60}-01-01",
        "gender": "female" if n % 3 else "male",
    }


def a_task(n: int):
    return {
        "resourceType": "Task",
        "id": f"t{n}",
        "status": "requested",
        "intent": "order",
        "code": {"text": "紹介"},
        "for": {"reference": f"Patient/p{n}"},
        "partOf": [{"reference": f"Task/t{n}"}],
    }


def a_case(n: int):
    return {
        **dict.fromkeys(("programme", "consent", "correlation"), "c"),
        "id": f"c{n}",
        "source": f"o{n % ORGANISATIONS}",
        "patient": f"p{n}",
        "service_request": f"s{n}",
        "parent_task": f"t{n}",
        "provided_at": LONG_AGO,
        "opened_at": LONG_AGO,
    }


def a_grant(n: int):
    return {
        **dict.fromkeys(("role", "basis", "consent", "clause"), "x"),
        "id": f"g{n}",
        "case_id": f"c{n}",
        "organisation": f"o{n % ORGANISATIONS}",
        "classes": int(WHOLE),
        "starts": LONG_AGO,
    }


@pytest.fixture(scope="module", params=KINDS)
def crowded(request, tmp_path_factory) -> Iterator[Store]:
    with opened(request.param, tmp_path_factory.mktemp("searches")) as database:
        metadata.create_all(database.engine, tables=[case, case_resource, grant, draft])
        store, numbers = Store(database), range(PEOPLE)
        documents = [make(n) for n in numbers for make in (a_person, a_task)]
        store.create_at(documents, [store.tick() for _ in documents])
        of_case = [
            {"type": one["resourceType"], "id": one["id"], "case_id": f"c{place // 2}"}
            for place, one in enumerate(documents)
        ]
        with database.transaction() as session:
            session.execute(insert(case), [a_case(n) for n in numbers])
            session.execute(insert(grant), [a_grant(n) for n in numbers])
            rest = {"data_class": int(WHOLE), "author": "x"}
            session.execute(insert(case_resource), [row | rest for row in of_case])
        with database.engine.connect() as session:
            session.execution_options(isolation_level="AUTOCOMMIT")
            session.execute(text("ANALYZE"))
        yield store


def found(store: Store, query: str) -> list[str]:
    return store.ids(f"{query}&_count=1000", CALLER)


def a_filtered(store: Store, query: str) -> list[str]:
    """The same by hand: everything that matches, then only the caller's."""
    result = store.search(f"{query}&_count=5000", max_count=5000)
    own = {n for n in range(PEOPLE) if n % ORGANISATIONS == 7}
    return sorted(one.id for one in result.matches if int(one.id[1:]) in own)


@pytest.mark.parametrize("query", QUERIES)
def test_G1_a_search_finds_what_matches_and_is_the_callers_own(crowded, query):
    assert found(crowded, query) == a_filtered(crowded, query)
    assert found(crowded, query)


@pytest.mark.parametrize("few", [0, 10_000])
@pytest.mark.parametrize("query", QUERIES)
def test_G1_a_common_text_and_a_rare_one_are_found_alike(
    crowded, query, few, monkeypatch
):
    expected = found(crowded, query)
    monkeypatch.setattr(conditions, "_FEW", few)
    assert found(crowded, query) == expected


@pytest.mark.parametrize("query", QUERIES)
def test_a_search_looks_at_the_callers_rows_alone(crowded, query):
    if crowded.database.is_sqlite:
        pytest.skip("SQLite does not tell how many rows a plan looked at")
    most = max(rows for _, rows in looked_at(crowded, query))
    # A word that half of the others have, too, is met a few times for each own row.
    assert most <= 8 * MINE, query


def looked_at(store: Store, query: str) -> Iterator[tuple[str, int]]:
    """Tables and the rows that each step of the plans read there, run for real."""
    seen = []

    def note(_connection, _cursor, statement, parameters, *_rest):
        if statement.startswith("SELECT"):
            seen.append((statement, parameters))

    event.listen(store.database.engine, "before_cursor_execute", note)
    try:
        store.search(query, CALLER)
    finally:
        event.remove(store.database.engine, "before_cursor_execute", note)
    with store.database.engine.connect() as session:
        # Three thousand people are soon read as a whole; a country's are not.
        session.exec_driver_sql("SET LOCAL seq_page_cost = 1000")
        for statement, parameters in seen:
            explained = session.exec_driver_sql(
                f"EXPLAIN (ANALYZE, FORMAT JSON) {statement}", parameters
            ).scalar_one()
            yield from steps(json.loads(json.dumps(explained))[0]["Plan"])


def steps(plan) -> Iterator[tuple[str, int]]:
    if "Relation Name" in plan:
        dropped = sum(plan[name] for name in plan if name.startswith("Rows Removed"))
        rows = (plan["Actual Rows"] + dropped) * plan["Actual Loops"]
        yield plan["Relation Name"], int(rows)
    for below in plan.get("Plans", ()):
        yield from steps(below)
