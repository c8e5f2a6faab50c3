"""Every official R4 example of a served type: stored, read back, found, or refused.

What a client may PUT is sent by HTTP. Everything else goes through the pipeline of a
create but for one step, the resolution of references, for what the examples point to
is not here; it is private to its author, and all reading and searching is HTTP.
"""

import json
import os
from collections import Counter
from datetime import timedelta
from decimal import Decimal

import pytest

from hub import changes
from hub.actor import Actor
from hub.app import make_hub
from hub.changes import By
from hub.disclosure import cases
from hub.disclosure.classes import PUBLIC_TYPES
from hub.fhir.json import decode
from hub.fhir.outcome import FhirError
from hub.restful.checks import require_rules, require_valid
from hub.restful.one import create_one
from hub.restful.served import SERVED
from hub.smart import scopes
from tests.restful.build import HOSPITAL, OTHER_HOSPITAL, a_caller
from tests.restful.build import ids as issue_ids
from tests.restful.examples import EXAMPLES, as_written, asked, examples

pytestmark = pytest.mark.skipif(
    not EXAMPLES.exists(), reason="the R4 examples package is not here"
)
# The hub alone makes these: no client may create one.
BY_THE_HUB = ("EpisodeOfCare", "Task")
EVERYTHING = "system/*.cruds"

REFUSED = {
    # Errors of the examples themselves.
    "Observation-clinical-gender.json": {"HUB-VAL-061"},  # performer: a Device
    "Questionnaire-qs1.json": {"HUB-VAL-010"},  # items without linkId
    "Questionnaire-zika-virus-exposure-assessment.json": {"HUB-VAL-023"},  # blank text
    # On purpose.
    "Observation-decimal.json": {"HUB-JSON-007"},  # more than 18 digits (J7)
    # A list of subjects that is no individual's: it leads to persons.
    "MeasureReport-measurereport-cms146-cat2-example.json": {"HUB-REST-064"},
}
STORED = {
    "Appointment": 3,
    "Binary": 2,
    "Bundle": 1,
    "CapabilityStatement": 8,
    "CarePlan": 11,
    "CareTeam": 1,
    "ClinicalImpression": 1,
    "CodeSystem": 23,
    "Communication": 3,
    "Composition": 2,
    "ConceptMap": 10,
    "Condition": 12,
    "Consent": 12,
    "DocumentReference": 1,
    "Encounter": 10,
    "Endpoint": 4,
    "EpisodeOfCare": 1,
    "FamilyMemberHistory": 2,
    "Group": 4,
    "HealthcareService": 1,
    "List": 10,
    "Location": 6,
    "Measure": 7,
    "MeasureReport": 3,
    "Observation": 62,
    "OperationDefinition": 10,
    "Organization": 13,
    "OrganizationAffiliation": 3,
    "Patient": 22,
    "PlanDefinition": 18,
    "Practitioner": 14,
    "PractitionerRole": 1,
    "Provenance": 5,
    "Questionnaire": 5,
    "QuestionnaireResponse": 5,
    "RelatedPerson": 5,
    "RiskAssessment": 6,
    "SearchParameter": 24,
    "ServiceRequest": 20,
    "StructureDefinition": 11,
    "Task": 12,
    "ValueSet": 22,
}


@pytest.fixture(scope="module")
def author(drafting):
    return a_caller(drafting, HOSPITAL, scopes=EVERYTHING)


@pytest.fixture(scope="module")
def outcome(drafting, author):
    """{file name: the issue ids it is refused with; none when it is stored}."""
    return {
        name: _sent(drafting, author, name, raw) for name, raw in examples().items()
    }


def _sent(hub, author, name, raw):
    kind = name.partition("-")[0]
    try:
        resource = decode(raw, hub.settings.max_depth)
    except FhirError as error:
        return {i.id for i in error.issues}
    if kind in PUBLIC_TYPES:
        answer = author.request("PUT", f"/{kind}/{resource['id']}", content=raw)
        return set() if answer.status_code == 201 else set(issue_ids(answer))
    try:
        _stored(hub, resource)
    except FhirError as error:
        return {i.id for i in error.issues if i.severity == "error"}
    return set()


def _stored(hub, resource):
    rest = make_hub(hub.settings, hub.database)
    kind, id = resource["resourceType"], resource["id"]
    allowed = scopes.parse(EVERYTHING)
    by = By(Actor("test", HOSPITAL, allowed, frozenset({"source"})))
    with hub.database.transaction() as session:
        if kind not in BY_THE_HUB:
            create_one(rest, session, by, resource, id, is_linked=True)
            return
        require_valid(rest.knowledge, resource)
        require_rules(rest.knowledge, resource)
        changes.create(session, by, resource, id=id)
        until = by.at + timedelta(days=1)
        cases.keep_draft(session, (kind, id), HOSPITAL, until)


def _kept(outcome):
    return {name: raw for name, raw in examples().items() if not outcome[name]}


def test_the_examples_that_are_refused_and_why(outcome):
    refused = {name: ids for name, ids in outcome.items() if ids}
    other_bundles = {
        name
        for name, raw in examples().items()
        if name.startswith("Bundle-") and json.loads(raw)["type"] != "document"
    }
    events = {name for name in outcome if name.startswith("AuditEvent-")}
    # The log is the hub's own; of Bundles only documents are stored.
    assert {name for name in refused if refused[name] == {"HUB-REST-004"}} == events
    assert {name for name in refused if name.startswith("Bundle-")} == other_bundles
    rest = refused.keys() - events - other_bundles
    assert {name: refused[name] for name in rest} == REFUSED


def test_how_many_examples_of_each_type_are_stored(outcome):
    assert Counter(name.partition("-")[0] for name in _kept(outcome)) == STORED


def test_F3_every_stored_example_is_read_back_as_it_was_written(author, outcome):
    json_please = {"Accept": "application/fhir+json"}
    for name, raw in _kept(outcome).items():
        kind, id = name.partition("-")[0], json.loads(raw)["id"]
        answer = author.get(f"/{kind}/{id}", headers=json_please)
        assert answer.status_code == 200, name
        assert as_written(answer.content) == as_written(raw), name
        assert answer.json()["id"] == id


def test_G4_no_stored_example_of_a_case_type_is_there_for_another(drafting, outcome):
    stranger = a_caller(drafting, OTHER_HOSPITAL, scopes=EVERYTHING)
    for name in _kept(outcome):
        kind, id = name.removesuffix(".json").split("-", 1)
        status = 200 if kind in PUBLIC_TYPES else 404
        assert stranger.get(f"/{kind}/{id}").status_code == status, name


def test_F14_every_stored_example_is_found_by_each_of_its_values(author, outcome):
    """Each with `_id` beside, and only the total asked; in CI every single value."""
    wanted: dict[tuple[str, str, str], set[str]] = {}
    for raw in _kept(outcome).values():
        resource = json.loads(raw, parse_float=Decimal)
        kind = resource["resourceType"]
        if "search-type" in SERVED[kind]:
            found = list(asked(resource))
            if not os.environ.get("CI"):
                found = list(dict(found).items())  # the last value of each parameter
            for parameter, value in found:
                wanted.setdefault((kind, parameter, value), set()).add(resource["id"])
    assert len(wanted) > 2000
    for (kind, parameter, value), ids in wanted.items():
        query = [(parameter, value), ("_id", ",".join(ids)), ("_summary", "count")]
        answer = author.get(f"/{kind}", params=query)
        total = answer.json().get("total")
        assert total == len(ids), (kind, parameter, value, answer.text)
