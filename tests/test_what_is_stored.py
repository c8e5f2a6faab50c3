"""Whatever the hub writes itself is as valid as what it asks of others."""

from pathlib import Path

from sqlalchemy import select

from hub.app import know
from hub.audit.tables import audit_event
from hub.database import Database
from hub.fhir.json import decode
from hub.fhir.outcome import errors
from hub.store.tables import resource, resource_version
from hub.validation import validate
from tests.running import running_hub

SHEET = Path(__file__).parent / "mappings" / "data" / "yoshiki1_wide_cp932.csv"


def test_every_stored_version_is_valid_after_a_referral_ran_its_course(
    database_url, tmp_path
):
    with running_hub(database_url, tmp_path) as hub:
        source = hub.caller("4619999917", "source")
        answer = source.request("POST", "/intake/yoshiki1", content=SHEET.read_bytes())
        assert answer.status_code == 200
        first = hub.caller("kagoshima-shi", "recipient")
        found = first.search("/Task?owner=HealthcareService/kagoshima-shi&_count=100")
        onward = next(
            t
            for t in found
            if any(i["type"]["coding"][0]["code"] == "onward-desk" for i in t["input"])
        )
        task = first.move(onward, status="accepted")
        first.move(
            task,
            status="failed",
            businessStatus=coded("transferred"),
            statusReason={"text": "住所地の保健所へ"},
        )
        knowledge = know(hub.settings)
        bodies = stored_bodies(hub.database)

    faults = {
        body["resourceType"]: errors(validate(body, packages=knowledge.packages))
        for body in bodies
        if errors(validate(body, packages=knowledge.packages))
    }
    assert not faults
    kinds = {body["resourceType"] for body in bodies}
    assert {"Task", "Provenance", "EpisodeOfCare", "Observation", "AuditEvent"} <= kinds


def coded(code):
    system = "https://tsunagi-hub.example/fhir/CodeSystem/task-business-status"
    return {"coding": [{"system": system, "code": code}]}


def stored_bodies(database: Database):
    with database.transaction(write=False) as session:
        rows = [
            row.body
            for table in (resource, resource_version, audit_event)
            for row in session.execute(select(table.c.body))
        ]
    return [decode(bytes(body)) for body in rows if body]
