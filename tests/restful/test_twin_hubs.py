"""Two hubs, one of which also holds another organisation's data, answer alike (AB3).

Generated queries over HTTP. Ids, moments and page tokens are all that may differ.
"""

import re
import shutil
from itertools import islice

import pytest

from hub.restful.served import SERVED, searchable
from tests.restful.build import (
    HOSPITAL,
    OTHER_HOSPITAL,
    a_caller,
    a_patient,
    a_referral,
    submit,
)
from tests.running import Caller, RunningHub, running_hub
from tests.store.queries import queries

ROUNDS = 60
TYPES = sorted(searchable())


@pytest.fixture(scope="module")
def twins(sqlite_template, tmp_path_factory):
    one, two = (tmp_path_factory.mktemp(name) for name in ("plain", "fuller"))
    for folder in (one, two):
        shutil.copyfile(sqlite_template, folder / "hub.db")
    with (
        running_hub(f"sqlite:///{one}/hub.db", one, drafts=True) as plain,
        running_hub(f"sqlite:///{two}/hub.db", two, drafts=True) as fuller,
    ):
        yield World(plain, crowded=False), World(fuller, crowded=True)


class World:
    """A hub as one hospital sees it; `crowded` when another hospital writes too."""

    def __init__(self, hub: RunningHub, *, crowded: bool) -> None:
        self.caller = a_caller(hub, HOSPITAL)
        self.ids: list[str] = []
        for n in range(3):
            if crowded:
                fill(a_caller(hub, OTHER_HOSPITAL), n)
            self.ids += fill(self.caller, n)
        self.hidden = fill(a_caller(hub, OTHER_HOSPITAL), 9) if crowded else []

    def answer(self, place: str, query: str) -> tuple[int, str]:
        """Status and body, with ids by their order and moments left out."""
        for n, id_ in enumerate(self.ids):
            place, query = (part.replace(f"own{n}own", id_) for part in (place, query))
        got = self.caller.get(f"/{place}?{query}")
        text = got.text.replace(str(self.caller.http.base_url).rstrip("/"), "")
        for n, id_ in enumerate(self.ids):
            text = text.replace(id_, f"own{n}own")
        text = re.sub(r"_page=[^\"]*", "_page", text)
        text = re.sub(r"\d{4}-\d\d-\d\dT[\d:.]+(Z|[+-]\d\d:\d\d)", "moment", text)
        text = re.sub(r"[0-9a-f]{8}-[0-9a-f-]{27}", "uuid", text)
        return got.status_code, text


def fill(caller: Caller, n: int) -> list[str]:
    """A referral and drafts that point at its patient; their ids."""
    made = submit(caller, a_referral(name=f"架空{n}号"))
    patient = made["Patient"]
    found = [reference.partition("/")[2] for reference in made.values()]
    for resource in (
        a_patient(f"架空{n}号", gender="female"),
        {
            "resourceType": "Observation",
            "status": "final",
            "code": {"coding": [{"system": "http://loinc.org", "code": "c1"}]},
            "subject": {"reference": patient},
            "valueQuantity": {"value": 5.4, "system": "http://x.example", "code": "c1"},
        },
    ):
        answer = caller.post(f"/{resource['resourceType']}", resource)
        assert answer.status_code == 201, answer.text
        found.append(answer.json()["id"])
    return found


@pytest.mark.parametrize("seed", range(3))
def test_AB3_two_hubs_answer_alike_whatever_is_asked(twins, seed):
    plain, fuller = twins
    names = [f"own{n}own" for n in range(len(plain.ids))]
    assert len(plain.ids) == len(fuller.ids)
    seen = set()
    # Ids are random, and so is an order by them: the store's worlds compare orders.
    asked = (one for one in queries(seed, TYPES, names) if "_sort" not in one[1])
    for place, query in islice(asked, ROUNDS):
        status, text = plain.answer(place, query)
        assert (status, text) == fuller.answer(place, query), (place, query)
        assert status in (200, 400, 404), (place, query, text)
        seen.add(status)
    assert {200, 400} <= seen


@pytest.mark.parametrize("kind", ["Patient", "Task", "*"])
def test_AB2_anothers_id_is_as_good_as_none(twins, kind):
    _plain, fuller = twins
    for id_ in fuller.hidden:
        for place in (f"Patient/{id_}/{kind}", f"Encounter/{id_}/{kind}"):
            there = fuller.caller.get(f"/{place}")
            nowhere = fuller.caller.get(f"/{place.replace(id_, 'nobody')}")
            assert there.status_code == nowhere.status_code
            assert there.text.replace(id_, "nobody") == nowhere.text


def test_AuditEvent_is_in_no_search_of_several_types(twins):
    _plain, fuller = twins
    assert "AuditEvent" in SERVED
    patient = fuller.ids[0]
    for place in (f"/Patient/{patient}/AuditEvent", f"/Device/{patient}/AuditEvent"):
        assert fuller.caller.get(place).status_code == 404
