"""Scope and consent algebra (security.md §9.3, G8), over HTTP.

What a caller gets under (scope, grants) is the model's filter of all there is. The
model is written down here once more, in sets, from the text of the specification.
"""

import shutil
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select, update

from hub.disclosure.classes import PUBLIC_TYPES, DataClass
from hub.disclosure.tables import case_resource, grant
from hub.fhir import dates
from hub.restful.served import CASE_TYPES, searchable
from hub.smart.tables import client
from hub.store import tables
from tests.conftest import BACKENDS, _admin, _url
from tests.oracles.worlds import CENTRE, HOSPITAL, NEXT, OTHER, World
from tests.oracles.worlds import _write as write
from tests.referrals.build import FAR, NEAR
from tests.running import RunningHub, running_hub

KINDS = sorted(CASE_TYPES.keys() & searchable().keys())
ASKED = ("Patient", "Task", "Observation", "Consent", "EpisodeOfCare", "Provenance")
EVERY = sum(int(one) for one in DataClass)
Key = tuple[str, str]
Scopes = dict[str, str]


@dataclass
class Bench:
    """A hub with three cases of two hospitals and two centres."""

    hub: RunningHub
    world: World
    bodies: dict[Key, dict[str, Any]]
    places: dict[Key, list[tuple[str, int]]]  # the case and the class bit of each
    grants: list[tuple[str, str, str]]  # id, case, organisation


@dataclass(frozen=True)
class Held:
    """How one grant stands: its class bits, open, ended or not begun."""

    classes: int
    state: str

    @property
    def opens(self) -> int:
        return self.classes if self.state == "open" else 0


@pytest.fixture(scope="module", params=BACKENDS)
def bench(request, tmp_path_factory) -> Iterator[Bench]:
    folder, name = tmp_path_factory.mktemp("algebra"), ""
    if request.param == "sqlite":
        shutil.copyfile(request.getfixturevalue("sqlite_template"), folder / "hub.db")
        url = f"sqlite:///{folder}/hub.db"
    else:
        name = f"tsunagi_test_{uuid.uuid4().hex[:12]}"
        template = request.getfixturevalue("postgres_template")
        _admin(f"CREATE DATABASE {name} TEMPLATE {template}")
        url = _url(name)
    with running_hub(url, folder / "state", drafts=False) as hub:
        yield _filled(hub)
    if name:
        _admin(f"DROP DATABASE {name} WITH (FORCE)")


def _filled(hub: RunningHub) -> Bench:
    world = World(hub)
    world.submit("one", HOSPITAL, NEAR, {})
    world.submit("two", HOSPITAL, NEAR, {})
    world.submit("three", OTHER, FAR, {})
    for name, centre in (("one", CENTRE), ("three", NEXT)):
        for kind in ("Observation", "Encounter", "Communication"):
            write(world, centre, "recipient", name, kind)
    current = tables.resource
    with hub.database.transaction(write=False) as session:
        rows = session.execute(select(case_resource)).mappings().all()
        places: dict[Key, list[tuple[str, int]]] = {}
        for row in rows:
            key = (row["type"], row["id"])
            places.setdefault(key, []).append((row["case_id"], row["data_class"]))
        from_store = session.execute(
            select(current.c.type, current.c.id, current.c.body)
        )
        bodies = {
            (row.type, row.id): orjson.loads(bytes(row.body))
            for row in from_store
            if (row.type, row.id) in places
        }
        grants = [
            (row.id, row.case_id, row.organisation)
            for row in session.execute(select(grant).order_by(grant.c.id))
        ]
    return Bench(hub, world, bodies, places, grants)


letters = st.sets(st.sampled_from("rs")).map(lambda found: "".join(sorted(found)))
scopes = st.dictionaries(st.sampled_from((*ASKED, "*")), letters, max_size=6)
held = st.builds(
    Held,
    st.integers(0, EVERY),
    st.sampled_from(("open", "open", "closed", "ended", "not yet")),
)
quick = settings(
    max_examples=12,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


@quick
@given(data=st.data())
def test_G8_what_is_got_is_the_models_filter_of_everything(bench, data):
    allowed, stands = data.draw(scopes), _draw(bench, data)
    seen = _seen(bench, HOSPITAL, stands)
    caller = _scoped(bench, HOSPITAL, "source", allowed)
    _stand(bench, stands)
    for kind in ASKED:
        answer = caller.get(f"/{kind}?_count=200&_total=accurate")
        if not _may(allowed, "s", kind):
            assert answer.status_code == 403
            continue
        found = answer.json()
        wanted = {key for key in seen if key[0] == kind}
        assert _keys(found, "match") == wanted
        assert found["total"] == len(wanted)
        counted = caller.get(f"/{kind}?_summary=count").json()
        assert counted["total"] == len(wanted)
    for key in sorted(bench.places):
        status = caller.get("/{}/{}".format(*key)).status_code
        may = _may(allowed, "r", key[0])
        assert status == (403 if not may else 200 if key in seen else 404), key


@quick
@given(data=st.data())
def test_G2_G3_what_is_included_and_chained_is_filtered_alike(bench, data):
    allowed, stands = data.draw(scopes), _draw(bench, data)
    seen = _seen(bench, HOSPITAL, stands)
    caller = _scoped(
        bench, HOSPITAL, "source", {**allowed, "Task": "rs", "Patient": "rs"}
    )
    _stand(bench, stands)
    tasks = {key for key in seen if key[0] == "Task"}
    patients = {key for key in seen if key[0] == "Patient"}
    found = caller.get("/Task?_include=Task:patient&_count=200").json()
    assert _keys(found, "match") == tasks
    assert (
        _keys(found, "include") == {_about(bench, t, "for") for t in tasks} & patients
    )
    named = caller.get("/Task?patient.name:missing=false&_count=200").json()
    assert _keys(named, "match") == {
        t for t in tasks if _about(bench, t, "for") in patients
    }
    records = {key for key in seen if key[0] == "Observation"}
    of = {_about(bench, key, "subject") for key in records} & patients
    has = caller.get("/Patient?_has:Observation:patient:status=final&_count=200")
    back = caller.get("/Patient?_revinclude=Observation:subject&_count=200")
    if not _may(allowed, "s", "Observation"):
        assert has.status_code == back.status_code == 403
        return
    assert _keys(has.json(), "match") == of
    mine = {key for key in records if _about(bench, key, "subject") in patients}
    assert _keys(back.json(), "include") == mine


@quick
@given(data=st.data(), one=scopes, other=scopes)
def test_G8_the_union_of_two_scopes_is_the_union_of_their_results(
    bench, data, one, other
):
    _stand(bench, _draw(bench, data))
    results = [_history(bench, scope) for scope in (one, other, _union(one, other))]
    assert results[0] | results[1] == results[2]


@quick
@given(data=st.data())
def test_G8_one_restriction_more_never_adds_a_result(bench, data):
    allowed, stands = {"*": "rs"}, _draw(bench, data)
    _stand(bench, stands)
    before = _history(bench, allowed)
    index = data.draw(st.integers(0, len(stands) - 1))
    less = Held(
        stands[index].classes & data.draw(st.integers(0, EVERY)), stands[index].state
    )
    _stand(bench, [*stands[:index], less, *stands[index + 1 :]])
    assert _history(bench, allowed) <= before
    kind = data.draw(st.sampled_from(ASKED))
    assert _history(bench, {kind: "rs"}) <= _history(bench, allowed)


def _draw(bench: Bench, data: st.DataObject) -> list[Held]:
    return [data.draw(held) for _ in bench.grants]


def _stand(bench: Bench, stands: list[Held]) -> None:
    """Write how each grant stands straight into its row."""
    now, day = dates.now(), timedelta(days=1)
    with bench.hub.database.transaction() as session:
        for (id_, _case, _organisation), one in zip(bench.grants, stands, strict=True):
            closed = dates.micros(now - day) if one.state == "closed" else None
            starts = now + day if one.state == "not yet" else now - 2 * day
            ends = dates.micros(now - day) if one.state == "ended" else None
            session.execute(
                update(grant)
                .where(grant.c.id == id_)
                .values(
                    classes=one.classes,
                    closed_at=closed,
                    starts=dates.micros(starts),
                    ends=ends,
                )
            )


def _seen(bench: Bench, organisation: str, stands: list[Held]) -> set[Key]:
    """The model: a class bit of an open grant of the organisation on the case."""
    opened: dict[str, int] = {}
    for (_id, case_id, holder), one in zip(bench.grants, stands, strict=True):
        if holder == organisation:
            opened[case_id] = opened.get(case_id, 0) | one.opens
    return {
        key
        for key, places in bench.places.items()
        if any(opened.get(case_id, 0) & bit for case_id, bit in places)
    }


def _may(allowed: Scopes, letter: str, kind: str) -> bool:
    return letter in allowed.get(kind, "") + allowed.get("*", "")


def _union(one: Scopes, other: Scopes) -> Scopes:
    return {
        kind: "".join(sorted(set(one.get(kind, "") + other.get(kind, ""))))
        for kind in one.keys() | other.keys()
    }


def _scoped(bench: Bench, organisation: str, role: str, allowed: Scopes) -> Any:
    """A client whose registration now says these scopes; its token has them all."""
    every = " ".join(("system/*.cruds", *(f"system/{k}.cruds" for k in KINDS)))
    caller = bench.world.caller(organisation, role, every)
    words = " ".join(f"system/{k}.{found}" for k, found in allowed.items() if found)
    with bench.hub.database.transaction() as session:
        session.execute(
            update(client)
            .where(client.c.client_id == caller.client_id)
            .values(scopes=words)
        )
    return caller


def _history(bench: Bench, allowed: Scopes) -> set[Key]:
    """What the system history shows; nothing without a scope to search."""
    answer = _scoped(bench, HOSPITAL, "source", allowed).get("/_history?_count=1000")
    if answer.status_code == 403:
        return set()
    found = _keys(answer.json(), None)
    return {key for key in found if key[0] not in PUBLIC_TYPES}


def _keys(bundle: dict[str, Any], mode: str | None) -> set[Key]:
    return {
        (one["resource"]["resourceType"], one["resource"]["id"])
        for one in bundle.get("entry", ())
        if mode is None or one["search"]["mode"] == mode
    }


def _about(bench: Bench, key: Key, element: str) -> Key:
    kind, _, id_ = bench.bodies[key][element]["reference"].partition("/")
    return kind, id_


def test_every_class_is_somewhere_in_the_bench(bench):
    """Else the model would agree about nothing."""
    classes = {bit for places in bench.places.values() for _case, bit in places}
    # What was recalled is of a class of its own; nothing here was.
    assert classes >= {int(one) for one in DataClass if int(one) <= 32}
