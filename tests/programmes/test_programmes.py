"""Programmes as data: the two that are shipped, a third, and every fault."""

from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from hub.fhir import canonical
from hub.fhir.outcome import FhirError
from hub.programmes import choose, load

PROFILES = Path(__file__).resolve().parents[2] / "profiles" / "programmes"
CHANNEL = canonical.code_system("lifelink-channel")


@pytest.fixture(scope="module")
def programmes():
    return load(PROFILES)


def test_the_plan_definition_is_the_canonical_of_the_id(programmes):
    for id_, programme in programmes.items():
        assert programme.plan_definition == canonical.plan_definition(id_)


def test_KG_01_only_psychiatric_hospitals_state_the_need(programmes):
    programme = programmes["kagoshima"]
    assert programme.statement_kinds == {"psychiatric-hospital"}
    assert programme.needs_statement("psychiatric-hospital")
    assert not programme.needs_statement("emergency-hospital")


def test_D_03_psychiatric_hospitals_get_no_monthly_report(programmes):
    programme = programmes["kagoshima"]
    assert programme.reports_to("cooperating-hospital")
    assert not programme.reports_to("psychiatric-hospital")
    assert not programmes["lifelink"].reports_to("counselling-provider")
    assert len(programme.report.columns) == 7


def test_KG_14_the_wording_explains_the_onward_notice(programmes):
    consent = programmes["kagoshima"].consent
    assert consent.covers_transfer(consent.items("2019-03"))
    assert not consent.covers_transfer(consent.items("unknown"))
    assert programmes["lifelink"].consent.covers_transfer(())


def test_D_11_a_sheet_mark_opens_the_gate_only_for_a_registered_wording(programmes):
    consent = programmes["kagoshima"].consent
    assert consent.mark_opens_gate("2019-03")
    assert not consent.mark_opens_gate(None)
    assert not replace(consent, paper_first=True).mark_opens_gate("2019-03")


def test_KG_17_D_01_either_giver_suffices(programmes):
    consent = programmes["kagoshima"].consent
    assert (consent.givers, consent.rule) == (("person", "family"), "either")
    assert consent.basis == {"person": "consent-person", "family": "consent-family"}
    assert programmes["lifelink"].consent.givers == ("person",)


def test_LL_08_only_the_dedicated_account_is_urgent(programmes):
    priority = programmes["lifelink"].priority
    assert priority([(CHANNEL, "ch-inochi-muni")]) == "urgent"
    for channel in ("ch-ikizurabit", "ch-inochi-sns", "ch-inochi-tel"):
        assert priority([(CHANNEL, channel)]) == "routine"
    assert priority([]) == "routine"


def test_KG_04_the_leaflet_names_help_desks_in_both_languages(programmes):
    for programme in programmes.values():
        leaflet = programme.leaflet
        assert leaflet.text.ja
        assert leaflet.text.en
        assert any(desk.telephone for desk in leaflet.desks)


STATES = [
    ("requested", None),
    ("requested", "address-unknown"),
    ("requested", "awaiting-phone"),
    ("received", None),
    ("received", "awaiting-information"),
    ("received", "rerouting"),
    ("accepted", None),
    ("rejected", "declined"),
    ("rejected", "transferred"),
    ("failed", "transferred"),
    ("in-progress", "contact-attempted"),
    ("in-progress", "scheduled"),
    ("in-progress", "visited"),
    ("in-progress", "no-show"),
    ("in-progress", "event-cancelled"),
    ("in-progress", "monitoring"),
    ("on-hold", None),
    ("completed", None),
    ("failed", "unreachable"),
    ("failed", "person-declined"),
    ("failed", "provider-unable"),
    ("cancelled", None),
    ("cancelled", "consent-withdrawn"),
    ("failed", "consent-withdrawn"),
    ("entered-in-error", None),
    ("accepted", "transferring"),
    ("in-progress", "overdue-report"),
]


@pytest.mark.parametrize(("status", "business_status"), STATES)
def test_every_state_of_the_table_has_one_word(programmes, status, business_status):
    for programme in programmes.values():
        state = programme.state(status, business_status)
        assert state.word.ja
        assert state.word.en
        alone = programme.state(status)
        # A businessStatus with a word of its own never falls back to the status.
        if business_status and alone:
            assert state is not alone


def test_a_programme_is_in_force_on_its_first_and_last_day(programmes):
    programme = replace(programmes["kagoshima"], valid_to=date(2026, 3, 31))
    assert programme.is_valid(date(2019, 3, 1))
    assert programme.is_valid(date(2026, 3, 31))
    assert not programme.is_valid(date(2019, 2, 28))
    assert not programme.is_valid(date(2026, 4, 1))


def test_the_plan_decides_before_the_form_and_the_form_before_the_source(programmes):
    plan = canonical.plan_definition("lifelink")
    assert choose(programmes, plan, "k1", ["kagoshima"]).id == "lifelink"
    assert choose(programmes, f"{plan}|2026-01").id == "lifelink"
    form = canonical.questionnaire("k1")
    assert choose(programmes, None, form, ["lifelink"]).id == "kagoshima"
    assert choose(programmes, None, "unknown", ["lifelink"]).id == "lifelink"
    assert choose(programmes, None, None, ["lifelink"]).id == "lifelink"


@pytest.mark.parametrize(
    ("arguments", "id_"),
    [
        (("https://x.example/PlanDefinition/x",), "HUB-PROG-002"),
        ((None, None, []), "HUB-PROG-001"),
        ((None, None, ["kagoshima", "lifelink"]), "HUB-PROG-001"),
        ((None, "k1", [], date(2000, 1, 1)), "HUB-PROG-003"),
    ],
)
def test_an_undecided_programme_is_refused_with_422(programmes, arguments, id_):
    with pytest.raises(FhirError, match=id_) as caught:
        choose(programmes, *arguments)
    assert caught.value.status == 422
    assert caught.value.issues[0].expression == "ServiceRequest.instantiatesCanonical"


def test_a_form_of_two_programmes_is_decided_by_the_source(programmes):
    twin = replace(programmes["kagoshima"], id="twin")
    both = {**programmes, "twin": twin}
    assert choose(both, None, "k1", ["twin"]).id == "twin"
    with pytest.raises(FhirError, match="HUB-PROG-001"):
        choose(both, None, "k1", ["lifelink"])


def change(tmp_path, old, new):
    text = (PROFILES / "kagoshima" / "programme.toml").read_text("utf-8")
    assert old in text
    folder = tmp_path / "changed"
    folder.mkdir()
    (folder / "programme.toml").write_text(text.replace(old, new, 1), "utf-8")
    return tmp_path


@pytest.mark.parametrize(
    ("old", "new", "id_", "key"),
    [
        ('id = "kagoshima"\n', "", "HUB-PROG-012", "id"),
        (
            "valid_from = 2019-03-01",
            'valid_from = "2019"',
            "HUB-PROG-013",
            "valid_from",
        ),
        (
            "valid_from = 2019-03-01",
            "valid_from = 2019-03-01T00:00:00",
            "HUB-PROG-013",
            "valid_from",
        ),
        ('phone_call = "noted"', 'phone_call = "never"', "HUB-PROG-013", "phone_call"),
        (
            'kind = "source-jurisdiction"',
            'kind = "magic"',
            "HUB-PROG-013",
            "routing.kind",
        ),
        (
            'then = "residence-transfer"',
            'then = "stay"',
            "HUB-PROG-013",
            "routing.then",
        ),
        ("advice_ja", "advise_ja", "HUB-PROG-012", "routing.advice_ja"),
        (
            'givers = ["person", "family"]',
            'givers = ["friend"]',
            "HUB-PROG-013",
            "consent.givers",
        ),
        (
            "transfer_item = 7",
            "transfer_item = true",
            "HUB-PROG-013",
            "consent.transfer_item",
        ),
        (
            "items = [1, 2",
            'items = ["1", 2',
            "HUB-PROG-013",
            "consent.wordings[0].items",
        ),
        (
            "paper_first = false",
            "paper_furst = false",
            "HUB-PROG-015",
            "consent.paper_furst",
        ),
        ("max_transfers = 5", "max_transfer = 5", "HUB-PROG-015", "max_transfer"),
    ],
)
def test_a_fault_names_the_file_and_the_key(tmp_path, old, new, id_, key):
    with pytest.raises(FhirError) as caught:
        load(change(tmp_path, old, new))
    (found,) = caught.value.issues
    assert found.id == id_
    assert key in found.text
    assert "changed/programme.toml" in found.text


def test_files_that_cannot_be_read_are_named(tmp_path):
    with pytest.raises(FhirError, match="HUB-PROG-010"):
        load(tmp_path / "nowhere")
    with pytest.raises(FhirError, match="HUB-PROG-011") as caught:
        load(change(tmp_path, "[title]", "[title"))
    assert "changed/programme.toml" in caught.value.issues[0].text
    (tmp_path / "changed" / "programme.toml").write_bytes(b"\xff")
    with pytest.raises(FhirError, match="HUB-PROG-011"):
        load(tmp_path)


def test_two_programmes_with_one_id_are_refused(tmp_path):
    with pytest.raises(FhirError, match="HUB-PROG-014"):
        load(PROFILES, change(tmp_path, "max_transfers = 5", "max_transfers = 4"))
