"""A referral's route with the committed directory and programmes."""

import csv
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hub.database import Database, metadata
from hub.directory import seeds, tables
from hub.directory.ask import SeedDirectory, StoredDirectory
from hub.directory.index import index
from hub.directory.source import source_from_json
from hub.fhir import canonical
from hub.programmes import choose, load
from hub.referrals.route import route, route_with_warnings, to_json, to_parameters

REPOSITORY = Path(__file__).resolve().parents[2]
SAMPLE = REPOSITORY.parent / "shared/domain/samples/csv/yoshiki1_wide_cp932.csv"
ON = date(2026, 4, 10)
SEED = seeds.read(REPOSITORY / "profiles" / "directory")
DIRECTORY = SeedDirectory(SEED)
PROGRAMMES = load(REPOSITORY / "profiles" / "programmes")
KAGOSHIMA = PROGRAMMES["kagoshima"]
LIFELINK = PROGRAMMES["lifelink"]
HOSPITALS = ["4619999917", "4619999925", "4619999933"]
FIRST = {"4619999917": "kagoshima-shi", "4619999925": "aira", "4619999933": "naze"}
WISH = {"extension": [{"url": canonical.NEAREST_CENTRE, "valueBoolean": True}]}


def organisation(directory, code):
    found = directory.organisation(code)
    assert found is not None
    return found


def patient(text="", postal_code="", **address):
    value = {"text": text, "postalCode": postal_code, **address}
    return {"resourceType": "Patient", "address": [value]}


def routed(person, request=None, source="4619999917", programme=KAGOSHIMA, on=ON):
    own = organisation(DIRECTORY, source)
    return route(DIRECTORY, programme, own, person, request, on)


def ids(decision):
    return tuple(desk and desk.id for desk in (decision.initial, decision.onward))


def table():
    path = REPOSITORY / "profiles" / "directory" / "jurisdictions.csv"
    with path.open(encoding="utf-8", newline="") as file:
        return [r for r in csv.DictReader(file) if r["municipality"].startswith("46")]


@pytest.mark.parametrize("hospital", HOSPITALS)
def test_KG_11_every_municipality_routes_from_every_hospital_as_the_table_says(
    hospital,
):
    rows = table()
    assert len(rows) == 43
    for row in rows:
        decision = routed(patient(row["municipality_name"] + "架空1"), source=hospital)
        onward = row["desk"] if row["desk"] != FIRST[hospital] else None
        assert ids(decision) == (FIRST[hospital], onward)
        assert decision.needs_confirmation == bool(onward and row["confidence"] == "C")
        assert decision.trace[0].rule == "address"


def test_KG_11_every_municipality_can_be_the_source():
    for row in table():
        source = source_from_json(
            {
                "organizationCode": "4619999941",
                "name": "架空病院",
                "kind": "その他",
                "municipality": row["municipality"],
                "programme": "kagoshima",
            },
            DIRECTORY.gazetteer,
        )
        person = patient(row["municipality_name"])
        decision = route(DIRECTORY, KAGOSHIMA, source, person, None, ON)
        assert ids(decision) == (row["desk"], None)
        assert decision.unconfirmed == (
            ("initial",) if row["confidence"] == "C" else ()
        )


def test_the_sample_sheet_routes_as_its_table_says():
    if not SAMPLE.exists():
        pytest.skip("the shared samples are not beside the repository")
    with SAMPLE.open(encoding="cp932", newline="") as file:
        records = list(csv.DictReader(file))
    found = []
    for record in records:
        wished = record["その他特記事項"] == "最寄りの保健所への相談を希望"
        decision = routed(
            patient(record["住所"], record["郵便番号"]), WISH if wished else None
        )
        found.append(
            (*ids(decision), decision.business_status, decision.needs_confirmation)
        )
    first = "kagoshima-shi"
    assert found == [
        (first, None, None, False),
        (first, "aira", None, False),
        (first, "naze", None, False),
        (first, None, None, False),
        (first, None, None, False),
        (first, "ijuin", None, True),
        (first, None, "address-unknown", False),
        (first, None, None, False),
    ]


@pytest.mark.parametrize("value", [False, None, "true", 1])
def test_KG_12_D_09_only_an_explicit_wish_counts(value):
    request = {"extension": [{"url": canonical.NEAREST_CENTRE, "valueBoolean": value}]}
    person = patient("宮崎県都城市架空町4", "885-0000")
    assert routed(person, request).advise
    assert routed(person).advise
    assert ids(routed(person, WISH)) == ("kagoshima-shi", None)


def test_D_19_a_receiver_named_by_the_hospital_does_not_route():
    request = {"performer": [{"reference": "Organization/aira"}]}
    decision = routed(patient("鹿児島県奄美市"), request)
    assert ids(decision) == ("kagoshima-shi", "naze")


@pytest.mark.parametrize(
    "person",
    [
        patient(),
        {"resourceType": "Patient"},
        patient("住所不定", "885-0000"),
        patient("", "890-0000"),
        patient("Unknown street"),
        patient("鹿児島県"),
    ],
)
def test_an_address_that_decides_nothing_goes_to_the_source_centre(person):
    decision = routed(person)
    assert ids(decision) == ("kagoshima-shi", None)
    assert decision.business_status == "address-unknown"
    assert decision.missing == ("municipality",)


def test_an_explicit_municipality_wins_over_the_text():
    coding = {"system": canonical.MUNICIPALITY_CODES, "code": "46218"}
    extension = {"url": canonical.MUNICIPALITY, "valueCoding": coding}
    person = patient("鹿児島県奄美市", extension=[extension])
    assert ids(routed(person)) == ("kagoshima-shi", "aira")
    coding["code"] = "00000"
    assert ids(routed(person)) == ("kagoshima-shi", "naze")


def test_state_city_and_line_are_read_when_there_is_no_text():
    person = {
        "address": [{"state": "鹿児島県", "city": "鹿児島郡三島村", "line": ["架空"]}]
    }
    assert ids(routed(person)) == ("kagoshima-shi", "ijuin")


def test_the_home_address_counts_and_an_old_one_does_not():
    person = {
        "address": [
            {"use": "old", "text": "宮崎県都城市"},
            {"use": "work", "text": "鹿児島県奄美市"},
            {"use": "home", "text": "鹿児島県霧島市"},
        ]
    }
    assert ids(routed(person)) == ("kagoshima-shi", "aira")
    assert (
        routed({"address": person["address"][:1]}).business_status == "address-unknown"
    )


def test_warnings_about_the_address_come_with_the_decision():
    source = organisation(DIRECTORY, "4619999917")
    person = patient("鹿児島県名瀬市", "890-0000")
    told = route_with_warnings(DIRECTORY, KAGOSHIMA, source, person, None, ON)
    assert [w.id for w in told.warnings] == ["HUB-ROUTE-004", "HUB-ROUTE-002"]
    assert all(w.severity == "warning" for w in told.warnings)


def test_delegated_work_routes_to_the_centre_that_does_it():
    source = source_from_json(
        {
            "organizationCode": "3119999999",
            "name": "架空病院",
            "kind": "emergency",
            "municipality": "31302",
            "programme": "kagoshima",
        },
        DIRECTORY.gazetteer,
    )
    person = patient("鳥取県岩美郡岩美町")
    decision = route(DIRECTORY, KAGOSHIMA, source, person, None, ON)
    assert ids(decision) == ("tottori-shi", None)
    before = route(DIRECTORY, KAGOSHIMA, source, person, None, date(2018, 3, 31))
    assert ids(before) == ("tottori-ken", None)


def test_LL_01_LL_04_a_hand_over_follows_the_agreements():
    def to(text, on=ON):
        return routed(patient(text), None, "sns-kakuu", LIFELINK, on)

    assert ids(to("鹿児島県霧島市")) == ("muni-46218-tsunagi", None)
    # The municipality's agreement ended: the prefecture's takes over (D-16).
    assert ids(to("鹿児島県薩摩川内市")) == ("pref-46-tsunagi", None)
    assert ids(to("薩摩川内市", date(2025, 3, 31))) == ("muni-46215-tsunagi", None)
    assert ids(to("鹿児島県鹿屋市")) == ("pref-46-tsunagi", None)
    assert to("宮崎県都城市").missing == ("agreement",)
    assert to("鹿児島県霧島市", date(2025, 3, 31)).missing == ("agreement",)
    assert to("").missing == ("municipality",)


def test_LL_08_the_dedicated_account_makes_the_decision_urgent():
    coding = {
        "system": canonical.code_system("lifelink-channel"),
        "code": "ch-inochi-muni",
    }
    request = {"reasonCode": [{"coding": [coding]}]}
    person = patient("鹿児島県霧島市")
    assert routed(person, request, "sns-kakuu", LIFELINK).priority == "urgent"
    coding["code"] = "ch-inochi-tel"
    assert routed(person, request, "sns-kakuu", LIFELINK).priority == "routine"


THIRD = """
id = "third"
version = "1"
valid_from = 2026-04-01
plan_definition = "https://tsunagi-hub.example/fhir/PlanDefinition/third"
source_kinds = ["municipality"]
needs_statement = []
phone_call = "off"
title = { ja = "架空の支援事業", en = "A made-up programme" }
forms = { intake = "third", record = [], feedback = [] }
lifecycle = { requested = { ja = "受付待ち", en = "waiting" } }
clocks = { overdue-contact = 14 }
priority = { default = "routine" }
report = { forms = [], excluded_kinds = [], period = "none", columns = [] }

[consent]
givers = ["person"]
rule = "either"
basis_person = "consent-person"
purposes = ["care-contact"]
statutory_bases = []
recipient = { code = "section", ja = "庁内の係", en = "a section of the city hall" }

[routing]
kind = "section-by-topic"
[[routing.sections]]
topic = "debt"
desk = "money-desk"
[[routing.sections]]
desk = "general-desk"

[leaflet]
title_ja = "案内"
title_en = "Leaflet"
ja = "相談できます。"
en = "You can talk to us."
"""


def test_a_third_made_up_programme_routes_without_code(tmp_path):
    programmes, directory = tmp_path / "programmes" / "third", tmp_path / "directory"
    programmes.mkdir(parents=True)
    directory.mkdir()
    (programmes / "programme.toml").write_text(THIRD, "utf-8")
    (directory / "organizations.csv").write_text(
        "id,name,kind,municipality,programmes\ncity,みなと市,municipality,,third\n",
        "utf-8",
    )
    (directory / "desks.csv").write_text(
        "id,organization,name\nmoney-desk,city,くらし係\ngeneral-desk,city,総合相談係\n",
        "utf-8",
    )
    found = SeedDirectory(seeds.read(directory))
    source = organisation(found, "city")
    every = load(REPOSITORY / "profiles" / "programmes", tmp_path / "programmes")
    programme = choose(every, None, None, source.programmes, ON)
    request = {"reasonCode": [{"coding": [{"code": "debt"}]}]}
    decision = route(found, programme, source, patient(), request, ON)
    assert ids(decision) == ("money-desk", None)
    assert ids(route(found, programme, source, patient(), None, ON)) == (
        "general-desk",
        None,
    )
    assert programme.clocks == {"overdue-contact": 14}


def test_the_dry_run_answers_as_parameters_and_as_json():
    decision = routed(patient("鹿児島県鹿児島郡三島村架空", "890-0000"))
    parameters = to_parameters(decision)["parameter"]
    by_name = {p["name"]: p for p in parameters}
    assert (
        by_name["initial"]["valueReference"]["reference"]
        == "HealthcareService/kagoshima-shi"
    )
    assert (
        by_name["residence"]["valueReference"]["reference"] == "HealthcareService/ijuin"
    )
    assert by_name["needs-confirmation"]["valueBoolean"] is True
    assert sum(p["name"] == "trace" for p in parameters) == len(decision.trace)
    told = to_json(decision)
    assert told["residence"] == {"id": "ijuin", "name": "伊集院保健所"}
    assert {"C"} <= {step.get("confidence") for step in told["trace"]}
    unknown = to_json(routed(patient("", "890-0000")))
    assert unknown["residence"] is None
    assert unknown["candidates"] == ["46201", "46303"]
    assert {"name": "business-status", "valueCode": "address-unknown"} in to_parameters(
        routed(patient())
    )["parameter"]


@settings(max_examples=50)
@given(
    st.text(max_size=20) | st.sampled_from(sorted(DIRECTORY.gazetteer.names.values())),
    st.text(max_size=8),
    st.booleans(),
    st.sampled_from(HOSPITALS),
)
def test_a_route_always_ends_somewhere_and_says_why(text, postal_code, wish, hospital):
    decision = routed(patient(text, postal_code), WISH if wish else None, hospital)
    assert decision.trace
    assert decision.advise or decision.initial.id == FIRST[hospital]


def test_a_route_from_the_database_is_the_same_and_takes_milliseconds(tmp_path):
    database = Database(f"sqlite:///{tmp_path}/hub.db")
    own = [t for t in metadata.sorted_tables if t.name.startswith("directory_")]
    assert tables.organisations in own
    metadata.create_all(database.engine, tables=own)
    with database.transaction() as session:
        for resource in SEED.resources:
            index(session, resource)
        stored = StoredDirectory(session, DIRECTORY.gazetteer)
        source = organisation(stored, "4619999917")
        person = patient("鹿児島県霧島市架空", "899-4300")
        decision = route(stored, KAGOSHIMA, source, person, None, ON)
        again = route(stored, KAGOSHIMA, source, person, None, ON)
    database.close()
    assert decision == again == routed(person)
