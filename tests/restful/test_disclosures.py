"""`Patient/[id]/$disclosures`: the account of who saw a person's data, and why."""

import io
import re
from datetime import timedelta
from typing import Any

import pytest
from pypdf import PdfReader

from hub.fhir import dates
from hub.fhir.json import decode
from hub.validation import validate
from tests.referrals.build import FAR, HOSPITAL, Sent, business, reason, sent
from tests.referrals.receiver import a_worker, deliver_all, receiving
from tests.restful.build import a_name, refusal
from tests.running import Caller, RunningHub

FIRST, SECOND, NOBODY = "kagoshima-shi", "aira", "naze"
FORBIDDEN = ("自殺", "未遂", "suicide")


def path_of(referral: Sent, query: str = "") -> str:
    return f"/Patient/{referral.patient}/$disclosures{query}"


def rows(told, name):
    """[{part name: [values]}] of the parameters of one name."""
    found = []
    for one in told["parameter"]:
        if one["name"] == name:
            row: dict[str, list[Any]] = {}
            for part in one["part"]:
                value = next(v for k, v in part.items() if k.startswith("value"))
                row.setdefault(part["name"], []).append(value)
            found.append(row)
    return found


def seen_by(told, organisation):
    """{(way, class)} that an organisation saw."""
    return {
        (row["way"][0], name)
        for row in rows(told, "disclosure")
        if row["organisation"][0]["reference"] == f"Organization/{organisation}"
        for name in row["class"]
    }


def withdraw(referral: Sent) -> None:
    consent = referral.source.read(f"/Consent/{referral.consents[0]}")
    gone = consent | {"status": "inactive"}
    assert referral.source.put(f"/Consent/{consent['id']}", gone).status_code == 200


@pytest.fixture
def first(hub: RunningHub) -> Caller:
    return hub.caller(FIRST, "recipient")


def test_what_a_centre_read_and_found_is_told_with_its_basis(hub, first):
    referral = sent(hub)
    first.read(f"/Patient/{referral.patient}")
    first.read(f"/Patient/{referral.patient}")
    first.search(f"/QuestionnaireResponse?subject=Patient/{referral.patient}")
    told = referral.source.read(path_of(referral))
    assert seen_by(told, FIRST) == {("read", "person"), ("search", "referral")}
    (row,) = [
        one
        for one in rows(told, "disclosure")
        if one["way"] == ["read"] and FIRST in one["organisation"][0]["reference"]
    ]
    assert row["count"] == [2]
    assert row["basis"] == ["consent-person"]
    assert row["clause"] == ["health-centre"]
    assert row["date"] == [dates.today().isoformat()]
    assert row["first"][0] <= row["last"][0]
    assert "本人と家族" in row["text"][0]
    assert "本人の同意" in row["text"][0]
    now = {
        one["organisation"][0]["reference"]: one["class"]
        for one in rows(told, "access")
    }
    assert set(now) == {f"Organization/{HOSPITAL}", f"Organization/{FIRST}"}


def test_G4_a_recipients_own_record_is_not_told_to_the_sender(hub, first):
    referral = sent(hub)
    person = {"reference": f"Patient/{referral.patient}"}
    note = {
        "resourceType": "Encounter",
        "status": "finished",
        "class": {"code": "VR"},
        "subject": person,
    }
    before = referral.source.read(path_of(referral))
    encounter = first.post("/Encounter", note).json()["id"]
    first.read(f"/Encounter/{encounter}")
    first.search(f"/Encounter?subject=Patient/{referral.patient}")
    after = referral.source.read(path_of(referral))
    assert seen_by(after, FIRST) == seen_by(before, FIRST) == set()
    assert all("record" not in row["class"] for row in rows(after, "access"))
    privacy = hub.caller("tsunagi-hub", "privacy").read(path_of(referral))
    assert seen_by(privacy, FIRST) == {("read", "record"), ("search", "record")}


def test_what_was_sent_is_told_and_what_never_left_is_not(hub):
    with receiving(hub, FIRST) as receiver:
        referral = sent(hub)
        queued = referral.source.read(path_of(referral))
        assert seen_by(queued, FIRST) == set()
        deliver_all(a_worker(hub, receiver))
        told = referral.source.read(path_of(referral))
        ways = {way for way, _ in seen_by(told, FIRST)}
        assert ways == {"sent"}
        brought = {name for _, name in seen_by(told, FIRST)}
        assert brought == {"person", "referral", "consent", "status", "feedback"}
        withdraw(referral)
        deliver_all(a_worker(hub, receiver))
        told = referral.source.read(path_of(referral))
        # The retraction is news of the status, and not of the person.
        last = [r for r in rows(told, "disclosure") if r["way"] == ["sent"]][-1]
        assert last["class"] == ["status"]


def test_what_may_have_arrived_is_told_as_such(hub):
    with receiving(hub, FIRST) as receiver:
        receiver.status = 503
        referral = sent(hub)
        deliver_all(a_worker(hub, receiver))
        withdraw(referral)
        told = referral.source.read(path_of(referral))
        assert {way for way, _ in seen_by(told, FIRST)} == {"perhaps-sent"}


def test_the_account_outlives_the_withdrawal_without_the_name(hub, first):
    name = a_name()
    referral = sent(hub, name=name)
    first.read(f"/Patient/{referral.patient}")
    before = referral.source.get(path_of(referral, "?_format=pdf"))
    assert squeezed(name) in text_of(before.content)
    withdraw(referral)
    assert referral.source.get(f"/Patient/{referral.patient}").status_code == 404
    told = referral.source.read(path_of(referral))
    assert ("read", "person") in seen_by(told, FIRST)
    now = {one["organisation"][0]["reference"] for one in rows(told, "access")}
    assert now == {f"Organization/{HOSPITAL}"}
    pdf = text_of(referral.source.get(path_of(referral, "?_format=pdf")).content)
    assert squeezed(name) not in pdf
    assert "氏名は、この記録には表示しません" in pdf


def test_the_basis_is_that_of_the_moment_not_of_today(hub, first):
    referral = sent(hub, address=FAR)
    first.read(f"/Patient/{referral.patient}")
    first.move(
        referral.child(FIRST),
        status="rejected",
        businessStatus=business("transferred"),
        statusReason=reason("lives-elsewhere"),
    )
    first.read(f"/Patient/{referral.patient}")
    told = referral.source.read(path_of(referral))
    clauses = [
        row["clause"][0]
        for row in rows(told, "disclosure")
        if row["way"] == ["read"] and row["class"] == ["person"]
    ]
    assert clauses == ["health-centre", "former recipient: own report to the sender"]
    second = hub.caller(SECOND, "recipient")
    second.read(f"/Patient/{referral.patient}")
    again = referral.source.read(path_of(referral))
    assert ("read", "person") in seen_by(again, SECOND)


def test_only_the_days_asked_for_are_told(hub, first):
    referral = sent(hub)
    first.read(f"/Patient/{referral.patient}")
    today = dates.today()
    yesterday = today - timedelta(days=1)
    for query, count in (
        (f"?start={today}&end={today}", 1),
        (f"?end={yesterday}", 0),
        (f"?start={today + timedelta(days=1)}", 0),
    ):
        told = referral.source.read(path_of(referral, query))
        assert len([r for r in seen_by(told, FIRST) if r[0] == "read"]) == count, query


@pytest.mark.parametrize(
    "query",
    ["?start=2026-13-01", "?end=x", "?start=20260401", "?end=9999-12-31", "?since=1"],
)
def test_F9_a_day_that_is_none_is_refused(hub, query):
    referral = sent(hub)
    answer = referral.source.get(path_of(referral, query))
    assert answer.status_code == 400
    assert "HUB-SEARCH-00" in answer.text


def test_G4_nobody_else_is_told_whether_there_is_such_a_person(hub, first):
    referral = sent(hub)
    absent = first.get("/Patient/never-there/$disclosures")
    assert absent.status_code == 404
    stranger = hub.caller("4619999925", "source")
    for caller in (first, stranger, hub.caller(NOBODY, "recipient")):
        for query in ("", "?_format=application/pdf"):
            answer = caller.get(path_of(referral, query))
            assert answer.status_code == 404
            assert answer.content == absent.content


@pytest.mark.parametrize(
    ("organisation", "role", "scope"),
    [
        (HOSPITAL, "source", "system/Task.rs system/Patient.s"),
        ("tsunagi-hub", "privacy", "system/AuditEvent.s"),
    ],
)
def test_RS3_the_account_needs_its_scope(hub, organisation, role, scope):
    referral = sent(hub)
    caller = hub.caller(organisation, role, scope=scope)
    assert refusal(caller.get(path_of(referral))) == (403, "HUB-AUTH-003")


def test_to_have_asked_is_recorded_and_told_the_next_time(hub, first):
    referral = sent(hub)
    privacy = hub.caller("tsunagi-hub", "privacy")
    privacy.read(path_of(referral))
    told = referral.source.read(path_of(referral))
    assert ("account", "status") in seen_by(told, "tsunagi-hub")
    (row,) = [r for r in rows(told, "disclosure") if r["way"] == ["account"]]
    assert "basis" not in row
    assert "個人情報の担当" in row["text"][0]


def test_the_pdf_is_tagged_japanese_and_neutral(hub, first):
    referral = sent(hub, name=a_name())
    first.read(f"/Patient/{referral.patient}")
    answer = referral.source.get(
        path_of(referral), headers={"Accept": "application/pdf"}
    )
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "application/pdf"
    disposition = answer.headers["Content-Disposition"]
    assert re.fullmatch(r'attachment; filename="record-\d{8}\.pdf"', disposition)
    assert answer.headers["Cache-Control"] == "no-store"
    reader = PdfReader(io.BytesIO(answer.content))
    root = reader.root_object
    assert "/StructTreeRoot" in root
    assert "'/Marked': True" in str(root["/MarkInfo"])
    assert str(root["/Lang"]) == "ja-JP"
    assert reader.metadata is not None
    title = str(reader.metadata.title)
    assert title == "情報の提供と閲覧の記録"
    text = text_of(answer.content)
    for word in ("いま見ることができる組織", "鹿児島市", "本人の同意", "閲覧した"):
        assert word in text, word
    for word in FORBIDDEN:
        assert word not in title + text + disposition


def test_F15_json_xml_or_pdf_and_nothing_else(hub, first):
    referral = sent(hub)
    for accept, media in (
        ("application/pdf;q=0.5, application/fhir+json", "application/fhir+json"),
        ("application/pdf, application/fhir+json;q=0.5", "application/pdf"),
        ("application/fhir+xml", "application/fhir+xml"),
        ("*/*", "application/fhir+json"),
    ):
        answer = referral.source.get(path_of(referral), headers={"Accept": accept})
        assert answer.headers["Content-Type"].startswith(media), accept
    refused = referral.source.get(path_of(referral), headers={"Accept": "text/html"})
    assert refused.status_code == 406
    # A sheet is offered here and nowhere else.
    patient = f"/Patient/{referral.patient}?_format=application/pdf"
    assert referral.source.get(patient).status_code == 406


def test_the_answer_is_valid_and_has_no_name_in_it(hub, first):
    name = a_name()
    referral = sent(hub, name=name)
    first.read(f"/Patient/{referral.patient}")
    raw = referral.source.get(path_of(referral)).content
    assert [i for i in validate(decode(raw, 100)) if i.severity == "error"] == []
    assert name not in raw.decode()


def squeezed(text):
    return re.sub(r"\s+", "", text)


def text_of(pdf):
    pages = PdfReader(io.BytesIO(pdf)).pages
    return squeezed("".join(page.extract_text() for page in pages))
