"""Two worlds with the same visible rows; one holds more that the actor cannot see.

Whatever is asked, the answers are equal (security.md §9): totals, order, pages,
includes, chains, versions, history.
"""

from urllib.parse import parse_qsl

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hub.fhir.search import parse
from hub.store import resources, tables
from hub.store.history import history
from hub.store.parameters import declared
from hub.store.search import match, search
from tests.store.conftest import KINDS, Store, opened

SID = "https://hospital.example/sid"


def mine(rows):
    return rows.c.id.like("a%")


ids = st.sampled_from(["0", "1", "2"])
names = st.sampled_from(["高崎", "髙﨑", "高木", "たかぎ"])


@st.composite
def a_document(draw, owner: str, others: str):
    """A resource of `owner` that may point to those of `others` too."""

    def reference(type_):
        return {"reference": f"{type_}/{draw(st.sampled_from(others))}{draw(ids)}"}

    type_ = draw(st.sampled_from(["Patient", "Organization", "Task", "Observation"]))
    content = {
        "Patient": lambda: {
            "name": [{"family": draw(names)}],
            "identifier": [{"system": SID, "value": draw(ids)}],
            "birthDate": draw(st.sampled_from(["1990", "1990-05", "2001-01-01"])),
            "managingOrganization": reference("Organization"),
        },
        "Organization": lambda: {
            "name": draw(names),
            "partOf": reference("Organization"),
        },
        "Task": lambda: {
            "status": draw(st.sampled_from(["requested", "accepted"])),
            "for": reference("Patient"),
            "owner": reference("Organization"),
            "partOf": [reference("Task")],
        },
        "Observation": lambda: {
            "subject": reference("Patient"),
            "valueQuantity": {"value": draw(st.integers(1, 3))},
        },
    }[type_]()
    return {"resourceType": type_, "id": owner + draw(ids), **content}


QUERIES = [
    "Patient",
    "Patient?name=高崎",
    "Patient?name:contains=か",
    "Patient?name:missing=true",
    "Patient?identifier=https://hospital.example/sid|1",
    "Patient?birthdate=ge1990-06",
    "Patient?organization.name=高",
    "Patient?organization.partof.name=高",
    "Patient?organization:missing=false",
    "Patient?_has:Task:patient:status=requested",
    "Patient?_has:Task:patient:owner.name=高木",
    "Organization?_has:Patient:organization:_has:Observation:patient:value-quantity=2",
    "Task?status:not=requested",
    "Task?patient.name=高崎&owner.name=高木",
    "Task?patient=b1",
    "Task?part-of.part-of.status=accepted",
    "Task?subject.identifier=1",
    "Observation?value-quantity=ge2",
    "?_type=Patient,Task&_lastUpdated=ge2000",
]
SHAPES = [
    "",
    "&_count=1",
    "&_summary=count",
    "&_total=none&_count=2",
    "&_sort=-_lastUpdated&_count=2",
    "&_sort=_id",
    "&_include=Task:patient&_include:iterate=Patient:organization",
    "&_include:iterate=Organization:partof&_include=Patient:organization&_count=1",
    "&_revinclude=Task:patient&_revinclude:iterate=Task:part-of",
    "&_revinclude=Observation:subject",
]


class World(Store):
    def fill(self, *documents) -> None:
        """Create or update, as it comes."""
        for document in documents:
            seen = self.read(document["resourceType"], document["id"])
            (self.update if seen else self.create)(document)

    def fill_aside(self, documents) -> None:
        """Fill while the clock stands still, so that it agrees between worlds."""
        moment = self.at
        self.fill(*documents)
        self.at = moment

    def answers(self, query: str):
        """Everything a walk over the pages shows, without what is random."""
        type_, _, rest = query.partition("?")
        pairs = parse_qsl(rest, keep_blank_values=True)
        parsed = parse(type_, pairs, declared())
        shown: list[object] = []
        after = None
        with self.database.transaction(write=False) as session:
            while True:
                page = search(session, type_, parsed, mine, after=after)
                shown.append((page.matches, page.included, page.total, page.next))
                after = page.next
                if after is None:
                    break
            if type_:
                shown.append(match(session, type_, parsed, mine))
            shown.append(history(session, type_ or None, None, mine, count=3))
            for id_ in ("a1", "b1"):
                shown.append(resources.read(session, type_ or "Task", id_, mine))
                shown.append(resources.vread(session, type_ or "Task", id_, 1, mine))
        return shown


@pytest.fixture(params=KINDS, scope="module")
def worlds(request, tmp_path_factory):
    one, two = (tmp_path_factory.mktemp(name) for name in ("one", "two"))
    with opened(request.param, one) as first, opened(request.param, two) as second:
        yield first, second


def emptied(database) -> World:
    with database.transaction() as session:
        for table in (tables.resource, tables.resource_version, *tables.INDEXES):
            session.execute(table.delete())
    return World(database)


@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    visible=st.lists(a_document("a", "ab"), max_size=8),
    hidden=st.lists(st.tuples(st.integers(0, 8), a_document("b", "ab")), max_size=8),
    queries=st.lists(
        st.tuples(st.sampled_from(QUERIES), st.sampled_from(SHAPES)),
        min_size=3,
        max_size=6,
    ),
)
def test_rows_that_are_hidden_never_change_an_answer(worlds, visible, hidden, queries):
    plain, fuller = (emptied(database) for database in worlds)
    for place, document in enumerate(visible):
        fuller.fill_aside(foreign for before, foreign in hidden if before == place)
        plain.fill(document)
        fuller.fill(document)
    fuller.fill_aside(foreign for before, foreign in hidden if before >= len(visible))
    for query, shape in queries:
        whole = query + (shape if "?" in query else shape.replace("&", "?", 1))
        assert fuller.answers(whole) == plain.answers(whole), whole
