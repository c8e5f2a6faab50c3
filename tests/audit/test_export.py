"""The log as a file: DICOM audit messages, CSV, FHIR; and that it says it was made."""

import csv
import io
import json
from base64 import b64decode
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from hub import audit
from hub.actor import Actor
from hub.audit.export import export
from hub.audit.kinds import KINDS
from hub.audit.table import HEADER, safe
from tests.audit.conftest import HOSPITAL, START

OPERATOR = Actor("cli", "tsunagi-hub")
LATER = START + timedelta(days=1)
RNG = etree.RelaxNG(etree.parse(str(Path(__file__).parent / "dicom.rng")))


def made(log, form: str, **columns: Any) -> str:
    return "".join(
        export(log.database, OPERATOR, audit.Criteria(**columns), form, LATER)
    )


def messages(text: str) -> list[Any]:
    tree = etree.fromstring(text.encode())
    RNG.assertValid(tree)
    return list(tree)


def rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text.removeprefix("\ufeff"))))


def used(log) -> list[Any]:
    asked = audit.Criteria(type=("110101",))
    with log.database.transaction(write=False) as session:
        return [json.loads(e.body) for e in audit.find(session, asked)]


def test_every_kind_of_event_is_a_valid_dicom_audit_message(log):
    for kind in sorted(KINDS):
        everything = {
            "query": "Task?a=1&b=<&>",
            "description": 'HUB-REST-001, "x" & <y>',
            "basis": "consent-person",
            "details": {"attempts": "1"},
            "outcome": "4",
        }
        log.write(1, kind, **everything)
        log.write(1, kind, targets=[], patients=[])
        with log.database.transaction(write=False) as session:
            audit.record(session, None, kind, at=START)
    assert len(messages(made(log, "dicom"))) == 3 * len(KINDS)


def test_a_read_becomes_a_patient_record_event_field_by_field(log):
    (id_,) = log.write(
        1, "read", targets=["Task/t1/_history/3"], basis="consent-person"
    )
    (message,) = messages(made(log, "dicom"))
    event = message.find("EventIdentification")
    assert event.attrib == {
        "EventActionCode": "R",
        "EventDateTime": "2026-11-02T18:00:00.001+09:00",
        "EventOutcomeIndicator": "0",
    }
    assert event.find("EventID").attrib["csd-code"] == "110110"
    assert event.find("EventTypeCode").attrib["csd-code"] == "read"
    asking, *_ = message.findall("ActiveParticipant")
    assert (asking.get("UserID"), asking.get("UserIsRequestor")) == (
        "hospital-1",
        "true",
    )
    assert asking.find("RoleIDCode").attrib == {
        "csd-code": "110152",
        "codeSystemName": "DCM",
        "originalText": "Destination Role ID",
    }
    source = message.find("AuditSourceIdentification")
    assert source.get("AuditSourceID") == "Organization/tsunagi-hub"
    task, person, *_ = message.findall("ParticipantObjectIdentification")
    assert task.get("ParticipantObjectID") == "Task/t1/_history/3"
    assert (
        person.get("ParticipantObjectID"),
        person.get("ParticipantObjectTypeCode"),
        person.get("ParticipantObjectTypeCodeRole"),
    ) == ("Patient/p1", "1", "1")
    details = {
        d.get("type"): b64decode(d.get("value")).decode()
        for d in message.iter("ParticipantObjectDetail")
    }
    assert details == {"AuditEvent.id": id_, "purposeOfEvent": "consent-person"}


def test_a_search_becomes_a_query_with_what_was_asked(log):
    log.write(1, "search-type", targets=[], query="Task?owner=x&_count=1")
    (message,) = messages(made(log, "dicom"))
    assert message.find("EventIdentification/EventID").get("csd-code") == "110112"
    (query,) = message.iter("ParticipantObjectQuery")
    assert b64decode(query.text) == b"Task?owner=x&_count=1"


@pytest.mark.parametrize("dirty", ["]]>", "\x00\x0b", "\ud7ff\ufffe", "<!--", "a\nb"])
def test_no_text_breaks_out_of_a_message(log, dirty):
    log.write(1, "read", description=dirty, targets=["Task/<x>&\"'"])
    (message,) = messages(made(log, "dicom"))
    object_ = message.find("ParticipantObjectIdentification")
    assert object_.get("ParticipantObjectID") == "Task/<x>&\"'"


def test_csv_has_a_row_for_each_event_and_reads_back(log):
    (id_,) = log.write(1, "search-type", targets=[], query='Task?name=見本,"x"\r\n')
    found = rows(made(log, "csv"))
    assert list(found[0]) == list(HEADER)
    (row,) = found
    assert row["id"] == id_
    assert (row["action"], row["patient"], row["organisation"]) == (
        "E",
        "Patient/p1",
        "4619999917",
    )
    assert row["query"] == 'Task?name=見本,"x"\r\n'
    assert row["request_id"] == "r-1"


@pytest.mark.parametrize(
    "start", ["=", "+", "-", "@", "\t", "\r", " =", "\u3000=", "＝", "|"]
)
def test_AB21_no_cell_of_the_csv_is_a_formula(log, start):
    hostile = Actor(f"{start}cmd|' /C calc'!A0", "o1", request_id=f"{start}1+1")
    with log.database.transaction(write=False) as session:
        audit.record(
            session, hostile, "search-type", at=START, query=f"{start}HYPERLINK(1)"
        )
    (row,) = rows(made(log, "csv"))
    for name in ("client", "query", "request_id"):
        assert row[name].startswith(f"'{start}")


@given(st.text())
def test_AB21_whatever_a_cell_holds_it_is_text(cell):
    assert not safe(cell).lstrip(" \u3000").startswith(("=", "+", "-", "@", "\t", "\r"))
    assert safe(cell).endswith(cell.replace("\x00", "\N{REPLACEMENT CHARACTER}"))


def test_fhir_lines_are_the_stored_bytes_oldest_first(log, monkeypatch):
    monkeypatch.setattr("hub.audit.export._PAGE", 2)
    ids = log.write(5)
    found = [json.loads(one)["id"] for one in made(log, "fhir").splitlines()]
    assert found == ids


def test_an_export_stands_in_the_log_before_its_first_byte(log):
    log.write(2)
    pieces = export(log.database, OPERATOR, audit.Criteria(), "csv", LATER)
    assert used(log) == []
    next(pieces)
    (event,) = used(log)
    assert (event["action"], event["subtype"][0]["code"]) == ("R", "110106")
    made(log, "dicom", patient=("Patient/p1",))
    about = [e for e in used(log) if "Patient/p1" in json.dumps(e)]
    assert len(about) == 1


def test_an_export_that_cannot_be_recorded_gives_nothing_out(log):
    log.write(1)
    with log.database.engine.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE audit_event RENAME TO gone")
    pieces = export(log.database, OPERATOR, audit.Criteria(), "csv", LATER)
    with pytest.raises(Exception, match="audit_event"):
        next(pieces)


def test_an_export_is_narrowed_and_ends_before_itself(log):
    log.write(2, patients=["Patient/other"])
    log.write(1)
    found = rows(made(log, "csv", patient=("Patient/p1",)))
    assert [row["patient"] for row in found] == ["Patient/p1"]
    assert len(rows(made(log, "csv", organisation=(HOSPITAL.organisation,)))) == 3
