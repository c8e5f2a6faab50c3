"""What was seen by whom between two times, from real requests; printed and as data."""

import csv
import io
from datetime import timedelta

import pypdf
import pytest

from hub.audit import Criteria
from hub.audit.clocks import clocks
from hub.audit.export import events
from hub.audit.seen import gather
from hub.fhir import dates
from hub.reports import access
from tests.referrals.build import sent
from tests.referrals.receiver import a_worker, deliver_all, receiving

CENTRE, HOSPITAL, OTHER = "kagoshima-shi", "4619999917", "4619999925"


@pytest.fixture
def referral(hub):
    """A referral that was delivered and read; a stranger was refused."""
    with receiving(hub, CENTRE) as receiver:
        made = sent(hub)
        deliver_all(a_worker(hub, receiver))
    centre = hub.caller(CENTRE, "recipient")
    for _ in range(3):
        centre.read(f"/Patient/{made.patient}")
    centre.read(f"/Task?patient={made.patient}")
    hub.caller(OTHER, "source").get(f"/Patient/{made.patient}")
    return made


def reported(hub, malicious: bool = False, **columns):
    at = dates.now() + timedelta(milliseconds=1)
    asked = Criteria(**columns)
    seen = gather(events(hub.database, asked, at), hub.settings.organization)
    with hub.database.transaction(write=False) as session:
        made = access.report(session, seen, asked, at, hub.settings.organization)
    return access.with_clocks(made, clocks(at, malicious=malicious))


def of(hub, referral, **columns):
    return reported(hub, patient=(f"Patient/{referral.patient}",), **columns)


def test_each_organisation_that_reached_a_person_stands_with_way_and_count(
    hub, referral
):
    value = access.to_json(of(hub, referral))
    assert value["persons"] == 1
    found = {(a["organisation"], a["way"]): a for a in value["accesses"]}
    read = found[CENTRE, "read"]
    assert (read["count"], read["resource_types"]) == (3, "Patient")
    assert read["first"] < read["last"]
    assert found[CENTRE, "sent"]["count"] == 1
    assert found[CENTRE, "search"]["count"] == 1
    assert found[HOSPITAL, "write"]["count"] > 1
    assert not any(organisation == OTHER for organisation, _ in found)
    assert not any(organisation == "tsunagi-hub" for organisation, _ in found)
    number = referral.parent()["groupIdentifier"]["value"]
    assert all(a["case_numbers"] == number for a in value["accesses"])


def test_who_was_refused_stands_apart(hub, referral):
    value = access.to_json(of(hub, referral))
    (attempt,) = value["refused_attempts"]
    assert (attempt["organisation"], attempt["count"]) == (OTHER, 1)


def test_a_delivery_that_failed_may_have_arrived(hub):
    with receiving(hub, CENTRE) as receiver:
        receiver.status = 400
        made = sent(hub)
        deliver_all(a_worker(hub, receiver))
    ways = {a["way"] for a in access.to_json(of(hub, made))["accesses"]}
    assert "perhaps-sent" in ways


def test_the_report_is_of_the_period_the_organisation_and_the_client(hub, referral):
    early = of(hub, referral, until=1_000_000)
    assert access.to_json(early)["accesses"] == []
    by_client = of(hub, referral, client=(referral.source.client_id,))
    found = access.to_json(by_client)["accesses"]
    assert {a["client"] for a in found} == {referral.source.client_id}
    centre = of(hub, referral, organisation=(CENTRE,))
    assert {a["organisation"] for a in access.to_json(centre)["accesses"]} == {CENTRE}


def test_the_csv_has_a_row_for_each_line(hub, referral):
    made = of(hub, referral)
    text = access.to_csv(made).removeprefix("\ufeff")
    rows = list(csv.DictReader(io.StringIO(text)))
    assert len(rows) == len(access.to_json(made)["accesses"])
    assert {row["patient"] for row in rows} == {referral.patient}


@pytest.mark.parametrize("malicious", [False, True])
def test_the_printed_sheet_tells_both_deadlines_and_no_name(hub, referral, malicious):
    made = reported(hub, malicious, patient=(f"Patient/{referral.patient}",))
    pdf = access.to_pdf(made, hub.settings.profiles / "print")
    text = "".join(
        page.extract_text() for page in pypdf.PdfReader(io.BytesIO(pdf)).pages
    )
    for word in ("速報", "確報", "30日以内", "60日以内", "規則8条"):
        assert word in text
    assert "自殺" not in text
    assert "未遂" not in text
    name = referral.source.read(f"/Patient/{referral.patient}")["name"][0]["text"]
    assert name not in text
    assert referral.patient in text.replace("\n", "")


def test_nobody_seen_is_said_too(hub, referral):
    made = of(hub, referral, until=1_000_000)
    pdf = access.to_pdf(made, hub.settings.profiles / "print")
    text = pypdf.PdfReader(io.BytesIO(pdf)).pages[0].extract_text()
    assert "だれの個人データも閲覧・提供されていません" in text.replace("\n", "")
