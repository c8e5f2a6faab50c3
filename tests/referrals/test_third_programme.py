"""A programme nobody has heard of, from a folder of its own, sent over HTTP."""

import json

import pytest

from hub.actor import Actor
from hub.changes import By, put
from hub.directory.resources import healthcare_service
from hub.fhir import canonical
from hub.routing import Desk
from tests.referrals.build import (
    Referral,
    answered,
    business,
    coded,
    entry,
    reason,
    refusal,
    sent,
    state,
)
from tests.running import running_hub

TOPIC = canonical.code_system("machi-topic")
ROLE = f"{canonical.ROOT}/StructureDefinition/form-role"
PROGRAMME = """
id = "machi"
version = "1"
valid_from = 2020-01-01
plan_definition = "PLAN"
source_kinds = ["municipality"]
needs_statement = []
phone_call = "required"
max_transfers = 1

[title]
ja = "架空町くらし相談連携"
en = "an invented town's programme"

[forms]
intake = "machi"
record = []
feedback = []

[consent]
givers = ["person", "family"]
rule = "both"
person_first = true
accept_sheet_mark = true
paper_first = false
basis_person = "consent-person"
basis_family = "consent-family"
purposes = ["care-contact"]
statutory_bases = []

[consent.recipient]
code = "own-section"
ja = "架空町の担当係"
en = "a section of the invented town"

[routing]
kind = "section-by-topic"
[[routing.sections]]
desk = "machi-debt"
topic = "debt"
[[routing.sections]]
desk = "machi-general"

[priority]
default = "routine"
[[priority.rules]]
system = "TOPIC"
code = "eviction"
priority = "asap"

[clocks]

[report]
forms = []
excluded_kinds = []
period = "none"
columns = []
printed_rows = 0

[leaflet]
title_ja = "ご案内"
title_en = "Where to ask"
ja = "いつでもどうぞ"
en = "any time"
desks = []

[lifecycle]
"requested" = { ja = "届いた", en = "arrived" }
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("programmes")
    home = root / "machi"
    (home / "questionnaires").mkdir(parents=True)
    (home / "codesystems").mkdir()
    text = PROGRAMME.replace("PLAN", canonical.plan_definition("machi"))
    (home / "programme.toml").write_text(text.replace("TOPIC", TOPIC), "utf-8")
    form = {
        "resourceType": "Questionnaire",
        "id": "machi",
        "url": canonical.questionnaire("machi"),
        "version": "1.0.0",
        "status": "active",
        "item": [
            {
                "linkId": "m.consent",
                "type": "boolean",
                "text": "同意",
                "extension": [{"url": ROLE, "valueCode": "consent"}],
            },
            {"linkId": "m.topic", "type": "choice", "text": "内容"},
        ],
    }
    topics = {
        "resourceType": "CodeSystem",
        "id": "machi-topic",
        "url": TOPIC,
        "status": "active",
        "content": "complete",
        "concept": [
            {"code": code, "display": code} for code in ("debt", "eviction", "other")
        ],
    }
    _write(home / "questionnaires" / "machi.json", form)
    _write(home / "codesystems" / "machi-topic.json", topics)
    return root


def _write(path, resource):
    path.write_text(json.dumps(resource, ensure_ascii=False), "utf-8")


@pytest.fixture
def town(database_url, tmp_path, folder):
    with running_hub(database_url, tmp_path / "state", programmes=folder) as hub:
        by = By(Actor("hub", "tsunagi-hub", roles=frozenset({"hub"})))
        with hub.database.transaction() as session:
            for id_, name in (
                ("machi-debt", "債務の係"),
                ("machi-general", "総合の係"),
            ):
                put(session, by, healthcare_service(Desk(id_, name, "muni-46215")))
        yield hub


def about(topic, **over):
    return {
        "source": "muni-46218",
        "programme": "machi",
        "form": "machi",
        "givers": ("person", "family"),
        "request": {"reasonCode": [coded(TOPIC, topic)]},
        "answers": [answered("m.topic", valueCoding={"system": TOPIC, "code": topic})],
    } | over


def test_a_third_programme_needs_no_code(town):
    """issue item 5: its form, consent rule, phone rule, priority, route and chain."""
    debt = sent(town, **about("debt")).child("muni-46215")
    assert debt["owner"]["reference"] == "HealthcareService/machi-debt"
    assert debt["priority"] == "routine"
    referral = sent(town, **about("eviction"))
    task = referral.child("muni-46215")
    assert task["owner"]["reference"] == "HealthcareService/machi-general"
    assert task["priority"] == "asap"
    assert state(task) == ("requested", None)
    _refuses_by_its_own_rules(town)
    _transfers_among_its_own_sections(town, referral)


def _refuses_by_its_own_rules(town):
    source = town.caller("muni-46218", "source")
    for over, found in (
        ({"givers": ("person",)}, (403, ["HUB-CON-010"])),
        ({"inputs": ()}, (422, ["HUB-REF-026"])),
        ({"form": "k1", "answers": None}, (422, ["HUB-REF-020"])),
    ):
        wanted = about("debt", **over)
        del wanted["source"]
        assert refusal(source.post("", Referral(**wanted).bundle())) == found
    hospital = town.caller("4619999917", "source")
    wanted = about("debt")
    del wanted["source"]
    answer = hospital.post("", Referral(**wanted).bundle())
    assert refusal(answer) == (422, ["HUB-REF-012"])


def _transfers_among_its_own_sections(town, referral):
    sections = town.caller("muni-46215", "recipient")
    task = referral.child("muni-46215")
    passing = {
        "status": "rejected",
        "businessStatus": business("transferred"),
        "statusReason": reason("wrong-desk"),
    }

    def proposing(desk):
        reference = {"reference": f"HealthcareService/{desk}"}
        return {"output": [entry("proposed-desk", valueReference=reference)]}

    outside = sections.change(task, **passing, **proposing("aira"))
    assert refusal(outside) == (422, ["HUB-REF-029"])
    sections.move(task, **passing, **proposing("machi-debt"))
    new = referral.child("muni-46215")
    assert new["owner"]["reference"] == "HealthcareService/machi-debt"
    # The same organisation is still in charge: nothing of the case is hidden from it.
    assert sections.get(f"/Consent/{referral.consents[0]}").status_code == 200
    again = sections.change(new, **passing, **proposing("machi-general"))
    assert refusal(again) == (422, ["HUB-REF-006"])
