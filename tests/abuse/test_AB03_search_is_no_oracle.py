"""AB2, AB3, AB4: what is asked of another's data is answered with nothing at all."""

import string

import pytest

from tests.restful.build import CENTRE, HOSPITAL, a_caller, a_referral, submit

SECRET = "k7m"


@pytest.fixture(scope="module")
def asker(hub):
    """A hospital that may ask for every type."""
    return a_caller(hub, HOSPITAL)


@pytest.fixture(scope="module")
def other(hub):
    """Another hospital's person, whose identifier is to be guessed."""
    caller = a_caller(hub, "4619999925")
    sid = {"system": "https://secret.example/sid", "value": SECRET}
    return submit(caller, a_referral(patient={"identifier": [sid]}, name=f"秘{SECRET}"))


# Ways to ask whether somebody's value begins with what was guessed so far.
WAYS = (
    "Patient?name={g}&_summary=count",
    "Patient?name:contains={g}&_total=accurate",
    "Task?patient.name={g}",
    "Patient?_has:Task:patient:patient.name:contains={g}",
    "Task?patient:Patient.name:contains={g}&_sort=-_lastUpdated",
    "Consent?patient.name={g}&_include=Consent:patient",
    "Observation?subject:Patient.identifier=https://secret.example/sid|{g}",
    "Patient?identifier=https://secret.example/sid|{g}",
    "Task?patient.identifier:not=https://secret.example/sid|{g}&_summary=count",
    "EpisodeOfCare?patient._has:Task:patient:patient.name={g}",
)


@pytest.mark.parametrize("way", WAYS)
def test_AB3_a_search_for_a_secret_learns_no_bit(asker, other, way):
    """Every answer is that to any other guess, byte for byte but for the guess."""
    answers = set()
    for letter in (*string.ascii_lowercase, *string.digits, SECRET, f"秘{SECRET}"):
        answer = asker.get("/" + way.format(g=letter))
        assert answer.status_code == 200
        found = answer.json()
        answers.add((found["total"], len(found.get("entry", ()))))
    assert len(answers) == 1
    assert other["Patient"]


@pytest.mark.parametrize("asked", ["_filter=name eq x", "_text=x", "_content=x"])
def test_AB3_what_reads_all_text_is_refused(source, asked):
    assert source.get(f"/Patient?{asked}").status_code == 400


def test_AB3_a_chain_into_a_type_out_of_scope_is_403(hub):
    narrow = a_caller(hub, CENTRE, "recipient", scopes="system/Task.rs")
    for query in (
        "Task?patient.name=x",
        "Task?_include=Task:patient",
        "Task?_revinclude=Provenance:target",
        "Task?_has:Provenance:target:agent=x",
    ):
        assert narrow.get(f"/{query}").status_code == 403, query


def test_AB2_the_next_link_of_another_is_404(hub, source):
    for _ in range(2):
        submit(source)
    page = source.read("/Task?_count=1")
    following = next(x["url"] for x in page["link"] if x["relation"] == "next")
    path = following.removeprefix(hub.settings.fhir_base)
    thief = a_caller(hub, "4619999925")
    assert source.get(path).status_code == 200
    replayed, made_up = thief.get(path), thief.get("/Task?_page=AAAA")
    assert replayed.status_code == made_up.status_code == 404
    assert replayed.content == made_up.content
    altered = path[:-3] + ("AAA" if not path.endswith("AAA") else "BBB")
    assert source.get(altered).content == made_up.content
