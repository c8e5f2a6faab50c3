"""F14 and F16 row by row, each by GET and by POST, on a hub that keeps drafts."""

import re
from collections.abc import Iterator
from urllib.parse import parse_qs, parse_qsl, urlsplit

import pytest

from hub.restful.served import SERVED
from tests.restful.build import HOSPITAL, a_caller, a_name, a_patient, concept, refusal
from tests.running import Caller, RunningHub, running_hub

FORM = {"Content-Type": "application/x-www-form-urlencoded"}
LOINC, UCUM = "http://loinc.org", "http://unitsofmeasure.org"
SID = "https://hospital.example/sid"


@pytest.fixture(scope="module")
def keeping(module_url, tmp_path_factory) -> Iterator[RunningHub]:
    with running_hub(module_url, tmp_path_factory.mktemp("s"), drafts=True) as made:
        yield made


class World:
    """A person with observations, all of one mark; nobody else has this mark."""

    def __init__(self, caller: Caller) -> None:
        self.caller, self.name = caller, a_name()
        self.mark = self.name[-8:]
        self.patient = self.add(
            a_patient(
                self.name,
                meta={"tag": [{"code": self.mark}]},
                identifier=[
                    {
                        "system": SID,
                        "value": self.mark,
                        "type": concept(SID + "/type", "MR"),
                    }
                ],
                gender="female",
            )
        )
        self.others = [
            self.add(a_patient("別の人", meta={"tag": [{"code": self.mark}]}))
            for _ in range(2)
        ]
        self.weights = {
            value: self.observation("29463-7", value)
            for value in ("1.8", "1.96", "2", "2.04", "2.05")
        }

    def add(self, resource) -> str:
        answer = self.caller.post(f"/{resource['resourceType']}", resource)
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"])

    def observation(self, code: str, value: str) -> str:
        quantity = {"value": float(value), "unit": "g", "system": UCUM, "code": "g"}
        return self.add(
            {
                "resourceType": "Observation",
                "meta": {"tag": [{"code": self.mark}]},
                "status": "final",
                "code": {"coding": [{"system": LOINC, "code": code}]},
                "subject": {"reference": f"Patient/{self.patient}"},
                "valueQuantity": quantity,
            }
        )

    def both(self, path: str):
        """What GET and POST answer, which is the same."""
        got = self.caller.get(path)
        place, _, query = path.partition("?")
        form = dict.fromkeys(name for name, _ in parse_qsl(query, True))
        for name, value in parse_qsl(query, True):
            form[name] = [*(form[name] or []), value]
        posted = self.caller.request(
            "POST", f"{place}/_search", data=form, headers=FORM
        )
        assert got.status_code == posted.status_code
        # The link of a next page says when it ends.
        one, two = (re.sub(r"_page=[^\"]*", "", a.text) for a in (got, posted))
        assert one == two
        return got

    def ids(self, path: str) -> set[str]:
        answer = self.both(path)
        assert answer.status_code == 200, answer.text
        return {
            e["resource"]["id"]
            for e in answer.json().get("entry", ())
            if e["search"]["mode"] == "match"
        }


@pytest.fixture(scope="module")
def world(keeping) -> World:
    return World(a_caller(keeping, HOSPITAL))


def test_F14_id(world):
    assert world.ids(f"/Patient?_id={world.patient}") == {world.patient}


def test_F14_count_1_shows_one_and_counts_all(world):
    bundle = world.both(f"/Patient?_tag={world.mark}&_count=1").json()
    assert (len(bundle["entry"]), bundle["total"]) == (1, 3)


def test_F14_no_criteria_counts_all(world):
    bundle = world.both("/Patient?_count=1000").json()
    assert bundle["total"] == len(bundle["entry"]) >= 3


def test_F14_a_string_matches_from_its_start(world):
    assert world.ids(f"/Patient?name={world.name[:-1]}") == {world.patient}
    assert world.ids(f"/Patient?name={world.name[3:]}") == set()


def test_F14_every_way_to_name_the_patient_agrees(world):
    base = world.caller.read("/Patient")["link"][0]["url"].rpartition("/")[0]
    ways = [
        f"patient=Patient/{world.patient}",
        f"patient={base}/Patient/{world.patient}",
        f"patient={world.patient}",
        f"patient:Patient={world.patient}",
        f"subject:Patient={world.patient}",
        f"patient.name={world.name}",
        f"patient._id={world.patient}",
        f"patient.identifier={SID}|{world.mark}",
        f"subject:Patient.identifier={world.mark}",
        f"patient.identifier:of-type={SID}/type|MR|{world.mark}",
    ]
    for way in ways:
        assert world.ids(f"/Observation?{way}") == {*world.weights.values()}, way


def test_F14_includes_have_their_mode(world):
    bundle = world.both(
        f"/Observation?_tag={world.mark}&_include=Observation:subject"
    ).json()
    modes = [
        (e["resource"]["resourceType"], e["search"]["mode"]) for e in bundle["entry"]
    ]
    assert modes == [("Observation", "match")] * 5 + [("Patient", "include")]
    bundle = world.both(
        f"/Patient?_id={world.patient}&_revinclude=Observation:patient"
    ).json()
    modes = [
        (e["resource"]["resourceType"], e["search"]["mode"]) for e in bundle["entry"]
    ]
    assert modes == [("Patient", "match")] + [("Observation", "include")] * 5
    assert bundle["total"] == 1


@pytest.mark.parametrize(
    ("asked", "values"),
    [
        ("value-quantity=2.0", {"1.96", "2", "2.04"}),
        (f"value-quantity=2.0|{UCUM}|g", {"1.96", "2", "2.04"}),
        ("value-quantity=2.0||g", {"1.96", "2", "2.04"}),
        ("value-quantity=2.0||mg", set()),
        ("value-quantity=gt2", {"2.04", "2.05"}),
        (f"code-value-quantity={LOINC}|29463-7$gt2", {"2.04", "2.05"}),
        ("code-value-quantity=29463-7$2.0||g", {"1.96", "2", "2.04"}),
        ("code-value-quantity=1-1$gt2", set()),
        ("combo-code-value-quantity=29463-7$1.8", {"1.8"}),
    ],
)
def test_F14_quantities(world, asked, values):
    expected = {world.weights[value] for value in values}
    assert world.ids(f"/Observation?_tag={world.mark}&{asked}") == expected


def test_F14_missing(world):
    here = f"/Patient?_tag={world.mark}&gender:missing="
    assert world.ids(f"{here}false") == {world.patient}
    assert world.ids(f"{here}true") == {*world.others}


@pytest.mark.parametrize("sign", ["%25", "_", r"\\"])
def test_F14_signs_of_like_are_literal(world, sign):
    assert world.ids(f"/Patient?_tag={world.mark}&name={sign}") == set()
    assert world.ids(f"/Patient?_tag={world.mark}&name:contains={sign}") == set()


def test_F14_what_is_unknown_is_400_or_ignored_in_the_open(world):
    assert refusal(world.both("/Patient?nonsense=x")) == (400, "HUB-SEARCH-001")
    lenient = {"Prefer": "handling=lenient"}
    bundle = world.caller.get("/Patient?nonsense=x&_count=1", headers=lenient).json()
    assert "nonsense" not in bundle["link"][0]["url"]
    assert bundle["entry"][-1]["search"]["mode"] == "outcome"


@pytest.mark.parametrize(
    "asked",
    [
        "birthdate=2026-13",
        "identifier=a|b|c",
        "gender:missing=maybe",
        "_lastUpdated=yesterday",
        r"name=a\b",
        "name=",
        "identifier:of-type=a|b",
        "_count=many",
    ],
)
def test_F14_a_malformed_value_is_400_even_when_lenient(world, asked):
    lenient = {"Prefer": "handling=lenient"}
    assert world.both(f"/Patient?{asked}").status_code == 400
    assert world.caller.get(f"/Patient?{asked}", headers=lenient).status_code == 400


def test_F14_an_unknown_type_is_404(world):
    assert refusal(world.caller.get("/Nonsense?_id=x")) == (404, "HUB-REST-003")
    answer = world.caller.request("POST", "/Nonsense/_search", headers=FORM)
    assert refusal(answer) == (404, "HUB-REST-003")


def test_a_value_set_selects_its_codes(world):
    genders = "http://hl7.org/fhir/ValueSet/administrative-gender"
    here = f"/Patient?_tag={world.mark}&gender"
    assert world.ids(f"{here}:in={genders}") == {world.patient}
    assert world.ids(f"{here}:not-in={genders}") == {*world.others}
    wrong = "http://hl7.org/fhir/ValueSet/observation-status"
    assert world.ids(f"{here}:in={wrong}") == set()
    answer = world.both(f"{here}:in=http://x.example/ValueSet/y")
    assert refusal(answer) == (400, "HUB-SEARCH-020")


def test_the_system_is_searched_by_type(world):
    here = f"?_type=Patient,Observation&_tag={world.mark}"
    everything = {world.patient, *world.others, *world.weights.values()}
    assert world.ids(here) == everything
    bundle = world.both(f"{here}&_count=3").json()
    seen = [e["resource"]["id"] for e in bundle["entry"]]
    assert bundle["total"] == len(everything)
    while path := _next(bundle):
        bundle = world.caller.read(path)
        seen += [e["resource"]["id"] for e in bundle["entry"]]
    assert sorted(seen) == sorted(everything)
    for wrong in ("", "?_type=", "?_type=Nonsense", "?_type=Patient&gender=a,b&name=x"):
        answer = world.both(wrong)
        assert answer.status_code == (200 if "name" in wrong else 400), wrong


@pytest.mark.parametrize("kind", ["Observation", "*"])
def test_a_compartment_is_searched_by_type_or_whole(world, kind):
    here = f"/Patient/{world.patient}/{kind}"
    found = {*world.weights.values(), *({world.patient} if kind == "*" else ())}
    assert world.ids(here) == found
    assert world.ids(f"{here}?_tag=nobody") == set()
    if kind == "*":
        assert world.ids(f"{here}?_type=Patient") == {world.patient}
        return
    value = world.ids(f"{here}?value-quantity=gt2")
    assert value == {world.weights["2.04"], world.weights["2.05"]}
    bundle = world.caller.read(f"{here}?_count=2")
    assert f"{here}?_page=" in bundle["link"][1]["url"]
    seen = [e["resource"]["id"] for e in bundle["entry"]]
    while path := _next(bundle):
        bundle = world.caller.read(path)
        seen += [e["resource"]["id"] for e in bundle["entry"]]
    assert sorted(seen) == sorted(found)


def test_a_compartment_of_nobody_is_empty_and_needs_the_types_scope(world, keeping):
    for id_ in ("nobody", world.patient):
        bundle = a_caller(keeping, "4619999925").read(f"/Patient/{id_}/Observation")
        assert (bundle["total"], "entry" in bundle) == (0, False)
    narrow = a_caller(keeping, HOSPITAL, scopes="system/Patient.rs")
    path = f"/Patient/{world.patient}"
    assert refusal(narrow.get(f"{path}/Observation")) == (403, "HUB-AUTH-003")
    whole = narrow.read(f"{path}/*")
    assert {e["resource"]["resourceType"] for e in whole["entry"]} == {"Patient"}
    answer = narrow.get(f"{path}/*?_type=Patient,Observation")
    assert refusal(answer) == (403, "HUB-AUTH-003")
    answer = narrow.get("?_type=Patient,Observation")
    assert refusal(answer) == (403, "HUB-AUTH-003")


def test_summary_true_keeps_what_r4_marks(world):
    resource = a_patient(
        a_name(),
        maritalStatus={"text": "不明"},
        link=[
            {"other": {"reference": f"Patient/{world.others[0]}"}, "type": "seealso"}
        ],
    )
    made = world.add(resource)
    (part,) = world.caller.search(f"/Patient?_id={made}&_summary=true")
    assert set(part) == {"resourceType", "id", "meta", "name", "address", "link"}
    assert part["meta"]["tag"][-1]["code"] == "SUBSETTED"
    assert world.caller.read(f"/Patient/{made}?_summary=true") == part


def test_F16_the_self_link_says_what_was_understood(world):
    bundle = world.both("/Patient?name=x&_format=json&_count=3&_sort=-_lastUpdated")
    asked = parse_qs(urlsplit(bundle.json()["link"][0]["url"]).query)
    assert asked == {"name": ["x"], "_count": ["3"], "_sort": ["-_lastUpdated"]}


def test_F16_counting_alone_is_two_ways_the_same(world):
    one, two = (
        world.both(f"/Patient?_tag={world.mark}&{how}").json()
        for how in ("_summary=count", "_count=0")
    )
    assert one["total"] == two["total"] == 3
    assert "entry" not in one
    assert "entry" not in two


def _next(bundle) -> str | None:
    for link in bundle["link"]:
        if link["relation"] == "next":
            return str(link["url"]).partition("/fhir/R4")[2]
    return None


def test_every_served_type_can_be_asked_for_together(world):
    types = ",".join(sorted(set(SERVED) - {"AuditEvent", "Binary"}))
    assert world.both(f"?_type={types}&_count=1").status_code == 200
    answer = world.both("?_type=AuditEvent,Patient")
    assert refusal(answer) == (400, "HUB-SEARCH-008")
