"""What `profiles/` holds: exact words, whole code systems, a quick and clear start."""

import csv
import json
from pathlib import Path

import pytest

from hub.fhir import canonical
from hub.packages import Packages, PackagesError

REPOSITORY = Path(__file__).parent.parent
PROFILES = REPOSITORY / "profiles"
DOMAIN = REPOSITORY.parent / "shared/domain"
PACKAGES = Packages.load(PROFILES)
FORMS = {
    "k1": "k1",
    "k2": "k2",
    "k3": "k3",
    "k5-1": "k5-1",
    "k5-2": "k5-2",
    "ll": "lifelink",
}


def rows_of(name):
    if not DOMAIN.exists():
        pytest.skip("the handbook is not beside this repository")
    with (DOMAIN / name).open(encoding="utf-8-sig") as file:
        return list(csv.DictReader(file))


def items_of(form):
    def walk(node, parent):
        for item in node.get("item", []):
            yield item, parent
            yield from walk(item, item["linkId"])

    questionnaire = PACKAGES.questionnaire(canonical.questionnaire(form))
    return {item["linkId"]: (item, parent) for item, parent in walk(questionnaire, "")}


def test_every_code_of_the_handbook_has_its_exact_words():
    used = {Path(p).stem for p in PROFILES.glob("codesystems/*.json")}
    rows = [r for r in rows_of("codes.csv") if r["code_set"] in used]
    assert len({r["code_set"] for r in rows}) >= 18
    for row in rows:
        system = canonical.code_system(row["code_set"])
        assert PACKAGES.display(system, row["code"]) == row["display_ja"]


@pytest.mark.parametrize("form", FORMS)
def test_every_field_of_the_form_has_its_exact_words_and_place(form):
    items = items_of(form)
    for row in rows_of("forms_fields.csv"):
        if row["form"] == FORMS[form]:
            item, parent = items[row["linkId"]]
            assert item["text"] == row["label_ja"]
            assert parent == row["parent"]
            if (
                row["linkId"] != "k2.provisions"
            ):  # its seven items are displays of a group
                assert item["type"] == row["type"]
            assert bool(row["enableWhen"]) == ("enableWhen" in item)


def test_every_choice_of_form_1_has_its_exact_words():
    items = items_of("k1")
    words = {r["code"]: r["display_ja"] for r in rows_of("codes.csv")}
    for row in rows_of("forms_fields.csv"):
        if row["form"] == "k1" and row["answer_set"]:
            options = [
                o["valueCoding"] for o in items[row["linkId"]][0]["answerOption"]
            ]
            assert [o["display"] for o in options] == [
                words[o["code"]] for o in options
            ]


def test_KG_18_no_item_of_form_1_is_required():
    assert [k for k, (item, _) in items_of("k1").items() if item.get("required")] == []


def test_every_option_is_a_code_of_its_system():
    for form in FORMS:
        for item, _ in items_of(form).values():
            for option in item.get("answerOption", []):
                coding = option["valueCoding"]
                display = PACKAGES.display(coding["system"], coding["code"])
                assert display == coding["display"]


def test_every_code_has_japanese_and_english_and_is_plain_ascii():
    for system in PACKAGES.all("CodeSystem"):
        assert system["language"] == "ja"
        for concept in concepts(system):
            assert concept["display"]
            if system["id"] != "jisx0402":  # proper names have no English of their own
                assert concept["designation"][0]["language"] == "en"
            assert concept["code"].isascii()
        assert system["count"] == len(list(concepts(system)))


def concepts(node):
    for concept in node.get("concept", []):
        yield concept
        yield from concepts(concept)


@pytest.mark.parametrize(
    ("system", "codes"),
    [
        (
            canonical.BUSINESS_STATUS,
            "address-unknown awaiting-phone awaiting-information declined transferred transferring rerouting contact-attempted scheduled visited no-show event-cancelled monitoring unreachable person-declined provider-unable consent-withdrawn overdue-acknowledgement overdue-contact overdue-report",
        ),
        (canonical.OUTCOME, "support-not-needed no-resource"),
        (canonical.REFERRAL_REASON, "needs-community-support"),
        (
            canonical.LEGAL_BASIS,
            "consent-person consent-family appi-27-1-1 appi-27-1-2 appi-27-1-3 appi-27-1-4 appi-69-2-2 appi-69-2-3 appi-69-2-4 swa-106-6 nsa-9 spa-council",
        ),
        (
            canonical.ORGANIZATION_KIND,
            "emergency-hospital cooperating-hospital psychiatric-hospital other-hospital health-centre municipality prefecture counselling-provider npo hub",
        ),
        (canonical.TASK_INPUT, "phone-call"),
    ],
)
def test_the_hubs_own_systems_hold_every_code_of_the_design(system, codes):
    missing = [c for c in codes.split() if PACKAGES.display(system, c) is None]
    assert missing == []


def test_no_title_tells_what_the_person_did():
    for resource in PACKAGES.all():
        assert "自殺" not in resource.get("title", "")
        assert "未遂" not in resource.get("title", "")


def test_a_canonical_is_found_with_or_without_its_version():
    url = canonical.questionnaire("k1")
    assert PACKAGES.questionnaire(url) is PACKAGES.questionnaire(f"{url}|1.0.0")
    assert PACKAGES.questionnaire(f"{url}|9") is None
    assert PACKAGES.questionnaire(canonical.code_system("means")) is None
    assert PACKAGES.code_system(canonical.code_system("means"))


def test_a_programme_of_another_folder_brings_its_own_form_and_layout(tmp_path):
    folder = tmp_path / "third"
    (folder / "questionnaires").mkdir(parents=True)
    (folder / "mappings").mkdir()
    (folder / "programme.toml").write_text("", "utf-8")
    form = {
        "resourceType": "Questionnaire",
        "url": canonical.questionnaire("t1"),
        "status": "active",
    }
    (folder / "questionnaires/t1.json").write_text(json.dumps(form), "utf-8")
    (folder / "mappings/t1.toml").write_text('mapping = "third"', "utf-8")
    packages = Packages.load(PROFILES, tmp_path)
    assert packages.questionnaire(canonical.questionnaire("t1")) == form
    assert "third" in packages.layouts()


@pytest.mark.parametrize(
    ("name", "content", "word"),
    [
        ("codesystems/a.json", "{", "cannot be read as JSON"),
        ("codesystems/a.json", "[]", "no resourceType"),
        ("mappings/a.toml", "=", "cannot be read as TOML"),
        ("mappings/a.toml", "", "mapping"),
    ],
)
def test_a_broken_file_is_named(tmp_path, name, content, word):
    path = tmp_path / name
    path.parent.mkdir()
    path.write_text(content, "utf-8")
    with pytest.raises(PackagesError, match=word) as error:
        Packages.load(tmp_path)
    assert str(path) in str(error.value)


def test_a_missing_folder_and_a_canonical_twice_are_named(tmp_path):
    with pytest.raises(PackagesError, match="not found"):
        Packages.load(tmp_path / "nowhere")
    for name in ("a", "b"):
        folder = tmp_path / "codesystems"
        folder.mkdir(exist_ok=True)
        (folder / f"{name}.json").write_text(
            '{"resourceType": "CodeSystem", "url": "u"}', "utf-8"
        )
    with pytest.raises(PackagesError, match="twice"):
        Packages.load(tmp_path)
