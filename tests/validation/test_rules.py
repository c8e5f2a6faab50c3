"""Every invariant that is implemented: an object that breaks it and one that keeps it.

Sentences, severities and expressions come from the definition tables; a rule that
is not in them, or has no case here, fails.
"""

from decimal import Decimal
from typing import Any

import pytest

from hub.validation import not_evaluated
from hub.validation.rules import IN_WALK, RULES
from hub.validation.rules.rule import is_after
from hub.validation.shapes import rule

UCUM = "http://unitsofmeasure.org"
VERIFICATION = "http://terminology.hl7.org/CodeSystem/condition-ver-status"
CLINICAL = "http://terminology.hl7.org/CodeSystem/condition-clinical"
PERCENT = {"value": 5, "code": "%", "system": UCUM}


def scope(code: str) -> dict[str, Any]:
    return {"scope": {"coding": [{"system": "something", "code": code}]}}


def concept(system: str, code: str) -> dict[str, Any]:
    return {"coding": [{"system": system, "code": code}]}


# rule: (objects that break it, objects that keep it)
CASES: dict[str, tuple[list[Any], list[Any]]] = {
    "Age.age-1": (
        [
            {"value": 0, "code": "a", "system": UCUM},
            {"value": 5},
            {"code": "a", "system": "x"},
        ],
        [{"value": 5, "code": "a", "system": UCUM}, {}],
    ),
    "Attachment.att-1": (
        [{"data": "QUJD"}],
        [{"data": "QUJD", "contentType": "a/b"}, {}],
    ),
    "ContactPoint.cpt-2": ([{"value": "099"}], [{"value": "099", "system": "phone"}]),
    "Count.cnt-3": (
        [{"value": Decimal("1.5"), "code": "1", "system": UCUM}, {"code": "2"}],
        [{"value": 2, "code": "1", "system": UCUM}],
    ),
    "DataRequirement.drq-1": ([{}, {"path": "a", "searchParam": "b"}], [{"path": "a"}]),
    "DataRequirement.drq-2": ([{}, {"path": "a", "searchParam": "b"}], [{"path": "a"}]),
    "Distance.dis-1": ([{"value": 5}], [{"value": 5, "code": "km", "system": UCUM}]),
    "Duration.drt-1": (
        [{"code": "d"}, {"code": "d", "system": UCUM}],
        [{"code": "d", "system": UCUM, "value": 1}],
    ),
    "Expression.exp-1": ([{}], [{"expression": "a"}, {"reference": "b"}]),
    "Period.per-1": (
        [
            {"start": "2026-04-02", "end": "2026-04-01"},
            {"start": "2026-05", "end": "2026-04-01"},
        ],
        [
            {"start": "2026-04-01", "end": "2026-04"},
            {"start": "2026-04-01"},
            {"start": 1, "end": "2026"},
        ],
    ),
    "Quantity.qty-3": ([{"code": "d"}], [{"code": "d", "system": UCUM}, {}]),
    "Range.rng-2": (
        [{"low": {"value": 2}, "high": {"value": 1}}],
        [
            {"low": {"value": 1}, "high": {"value": 1}},
            {"low": {"value": 2, "code": "a"}, "high": {"value": 1, "code": "b"}},
        ],
    ),
    "Ratio.rat-1": (
        [{}, {"numerator": {"value": 1}}],
        [{"numerator": {}, "denominator": {}}, {"extension": []}],
    ),
    "Timing.tim-1": ([{"duration": 1}], [{"duration": 1, "durationUnit": "h"}]),
    "Timing.tim-2": ([{"period": 1}], [{"period": 1, "periodUnit": "h"}]),
    "Timing.tim-4": ([{"duration": -1}], [{"duration": 0}, {}]),
    "Timing.tim-5": ([{"period": -1}], [{"period": 0}]),
    "Timing.tim-6": ([{"periodMax": 1}], [{"periodMax": 1, "period": 1}]),
    "Timing.tim-7": ([{"durationMax": 1}], [{"durationMax": 1, "duration": 1}]),
    "Timing.tim-8": ([{"countMax": 1}], [{"countMax": 1, "count": 1}]),
    "Timing.tim-9": (
        [{"offset": 1}, {"offset": 1, "when": ["C"]}],
        [{"offset": 1, "when": ["PC"]}, {}],
    ),
    "Timing.tim-10": (
        [{"timeOfDay": ["09:00:00"], "when": ["PC"]}],
        [{"when": ["PC"]}],
    ),
    "TriggerDefinition.trd-1": ([{"data": [], "timingDate": "2026"}], [{"data": []}]),
    "TriggerDefinition.trd-2": ([{"condition": {}}], [{"condition": {}, "data": []}]),
    "TriggerDefinition.trd-3": (
        [{"type": "named-event"}, {"type": "periodic"}, {"type": "data-added"}],
        [
            {"type": "named-event", "name": "a"},
            {"type": "periodic", "timingDate": "2026"},
        ],
    ),
    "Consent.ppc-1": ([{}], [{"policy": []}, {"policyRule": {}}]),
    "Consent.ppc-2": (
        [scope("patient-privacy")],
        [scope("patient-privacy") | {"patient": {}}, {}],
    ),
    "Consent.ppc-3": ([scope("research")], [scope("adr")]),
    "Consent.ppc-4": ([scope("adr")], [scope("research")]),
    "Consent.ppc-5": ([scope("treatment")], [scope("adr")]),
    "Organization.org-1": ([{}], [{"name": "a"}, {"identifier": []}]),
    "Organization.org-2": ([{"use": "home"}], [{"use": "work"}]),
    "Organization.org-3": ([{"use": "home"}], [{"use": "work"}]),
    "Patient.pat-1": ([{}], [{"name": {}}, {"organization": {}}]),
    "ServiceRequest.prr-1": ([{"orderDetail": []}], [{"orderDetail": [], "code": {}}]),
    "Task.inv-1": (
        [{"authoredOn": "2026-04-02", "lastModified": "2026-04-01"}],
        [
            {"authoredOn": "2026-04-01", "lastModified": "2026-04-01"},
            {"authoredOn": "2026"},
        ],
    ),
    "QuestionnaireResponse.qrs-1": (
        [{"answer": [], "item": []}],
        [{"answer": []}, {"item": []}],
    ),
    "AuditEvent.sev-1": ([{"name": "a", "query": "QUJD"}], [{"name": "a"}]),
    "Appointment.app-1": ([{}], [{"actor": {}}]),
    "Appointment.app-2": ([{"start": "a"}], [{"start": "a", "end": "b"}, {}]),
    "Appointment.app-3": (
        [{"status": "booked"}],
        [{"status": "proposed"}, {"start": "a", "end": "b"}],
    ),
    "Appointment.app-4": (
        [{"cancelationReason": {}, "status": "booked"}],
        [{"cancelationReason": {}, "status": "cancelled"}],
    ),
    "CarePlan.cpl-3": ([{"detail": {}, "reference": {}}], [{"detail": {}}]),
    "Composition.cmp-1": ([{"title": "a"}], [{"section": []}]),
    "Composition.cmp-2": ([{"emptyReason": {}, "entry": []}], [{"entry": []}]),
    "Condition.con-1": ([{}], [{"summary": {}}]),
    "Condition.con-2": ([{}], [{"detail": []}]),
    "Condition.con-4": (
        [{"abatementString": "a"}],
        [{"abatementString": "a", "clinicalStatus": concept(CLINICAL, "resolved")}],
    ),
    "Condition.con-5": (
        [
            {
                "clinicalStatus": {},
                "verificationStatus": concept(VERIFICATION, "entered-in-error"),
            }
        ],
        [{"verificationStatus": concept(VERIFICATION, "entered-in-error")}],
    ),
    "FamilyMemberHistory.fhs-1": (
        [{"ageString": "a", "bornDate": "2000"}],
        [{"ageString": "a"}],
    ),
    "FamilyMemberHistory.fhs-2": (
        [{"estimatedAge": True}],
        [{"estimatedAge": True, "ageString": "a"}],
    ),
    "Group.grp-1": (
        [{"member": []}, {"member": [], "actual": False}],
        [{"member": [], "actual": True}],
    ),
    "List.lst-1": ([{"emptyReason": {}, "entry": []}], [{"entry": []}]),
    "List.lst-2": (
        [{"mode": "working", "entry": [{"deleted": True}]}],
        [{"mode": "changes", "entry": [{"deleted": True}]}],
    ),
    "List.lst-3": (
        [{"mode": "changes", "entry": [{"date": "2026"}]}],
        [{"mode": "working", "entry": [{"date": "2026"}]}],
    ),
    "Measure.mea-1": (
        [{"group": [{"stratifier": [{}]}]}],
        [{"group": [{"stratifier": [{"code": {}}]}]}],
    ),
    "MeasureReport.mrp-1": (
        [{"type": "data-collection", "group": []}],
        [{"type": "summary", "group": []}],
    ),
    "MeasureReport.mrp-2": (
        [{"group": [{"stratifier": [{"stratum": [{}]}]}]}],
        [{"group": [{"stratifier": [{"stratum": [{"value": {}}]}]}]}],
    ),
    "Observation.obs-3": ([{}], [{"text": "a"}]),
    "Observation.obs-6": (
        [{"dataAbsentReason": {}, "valueString": "a"}],
        [{"valueString": "a"}],
    ),
    "Observation.obs-7": (
        [
            {
                "valueString": "a",
                "code": concept("s", "c"),
                "component": [{"code": concept("s", "c")}],
            }
        ],
        [
            {
                "valueString": "a",
                "code": concept("s", "c"),
                "component": [{"code": concept("s", "d")}],
            }
        ],
    ),
    "RiskAssessment.ras-1": (
        [{"low": {"value": 1}}],
        [{"low": PERCENT, "high": PERCENT}],
    ),
    "RiskAssessment.ras-2": (
        [{"probabilityDecimal": 101}],
        [{"probabilityDecimal": 100}, {}],
    ),
    "Bundle.bdl-1": (
        [{"type": "document", "total": 1}],
        [{"type": "searchset", "total": 1}],
    ),
    "Bundle.bdl-2": (
        [{"type": "document", "entry": [{"search": {}}]}],
        [{"type": "searchset", "entry": [{"search": {}}]}],
    ),
    "Bundle.bdl-3": (
        [
            {"type": "transaction", "entry": [{}]},
            {"type": "document", "entry": [{"request": {}}]},
        ],
        [{"type": "transaction", "entry": [{"request": {}}]}],
    ),
    "Bundle.bdl-4": (
        [{"type": "batch-response", "entry": [{}]}],
        [{"type": "batch-response", "entry": [{"response": {}}]}],
    ),
    "Bundle.bdl-5": ([{"fullUrl": "a:b"}], [{"resource": {}}]),
    "Bundle.bdl-7": (
        [{"type": "document", "entry": [{"fullUrl": "a:b"}, {"fullUrl": "a:b"}]}],
        [{"type": "history", "entry": [{"fullUrl": "a:b"}, {"fullUrl": "a:b"}]}],
    ),
    "Bundle.bdl-8": (
        [{"fullUrl": "https://x/Patient/1/_history/1"}],
        [{"fullUrl": "https://x/Patient/1"}],
    ),
    "Bundle.bdl-9": (
        [{"type": "document", "identifier": {"value": "1"}}],
        [{"type": "message"}],
    ),
    "Bundle.bdl-10": ([{"type": "document"}], [{"type": "document", "timestamp": "a"}]),
    "Bundle.bdl-11": (
        [{"type": "document"}],
        [
            {
                "type": "document",
                "entry": [{"resource": {"resourceType": "Composition"}}],
            }
        ],
    ),
    "Bundle.bdl-12": (
        [{"type": "message", "entry": [{}]}],
        [
            {
                "type": "message",
                "entry": [{"resource": {"resourceType": "MessageHeader"}}],
            }
        ],
    ),
    "Parameters.inv-1": (
        [
            {"name": "a"},
            {"valueString": "a", "resource": {}},
            {"part": [], "valueString": "a"},
        ],
        [{"valueString": "a"}, {"part": []}],
    ),
    "CodeSystem.csd-1": (
        [{"concept": [{"code": "a", "concept": [{"code": "a"}]}]}],
        [{"concept": [{"code": "a"}]}],
    ),
    "Questionnaire.que-1": (
        [{"type": "group"}, {"type": "display", "item": []}],
        [{"type": "group", "item": []}],
    ),
    "Questionnaire.que-2": (
        [{"item": [{"linkId": "1", "item": [{"linkId": "1"}]}]}],
        [{"item": [{"linkId": "1"}]}],
    ),
    "Questionnaire.que-3": (
        [{"type": "display", "code": []}],
        [{"type": "string", "code": []}],
    ),
    "Questionnaire.que-4": (
        [{"answerOption": [], "answerValueSet": "a"}],
        [{"answerOption": []}],
    ),
    "Questionnaire.que-5": (
        [{"type": "boolean", "answerOption": []}],
        [{"type": "choice", "answerOption": []}],
    ),
    "Questionnaire.que-6": (
        [{"type": "display", "repeats": True}],
        [{"type": "string", "repeats": True}],
    ),
    "Questionnaire.que-7": (
        [{"operator": "exists", "answerString": "a"}],
        [{"operator": "exists", "answerBoolean": True}],
    ),
    "Questionnaire.que-8": (
        [{"type": "group", "initial": []}],
        [{"type": "string", "initial": []}],
    ),
    "Questionnaire.que-9": (
        [{"type": "display", "readOnly": True}],
        [{"type": "string", "readOnly": True}],
    ),
    "Questionnaire.que-10": (
        [{"type": "date", "maxLength": 5}],
        [{"type": "text", "maxLength": 5}],
    ),
    "Questionnaire.que-11": ([{"answerOption": [], "initial": []}], [{"initial": []}]),
    "Questionnaire.que-12": (
        [{"enableWhen": [{}, {}]}],
        [{"enableWhen": [{}]}, {"enableWhen": [{}, {}], "enableBehavior": "all"}],
    ),
    "Questionnaire.que-13": (
        [{"initial": [{}, {}]}],
        [{"initial": [{}, {}], "repeats": True}],
    ),
    "ValueSet.vsd-1": ([{}], [{"system": "a:b"}]),
    "ValueSet.vsd-2": ([{"concept": []}], [{"concept": [], "system": "a:b"}]),
    "ValueSet.vsd-3": ([{"concept": [], "filter": []}], [{"filter": []}]),
    "ValueSet.vsd-6": ([{}], [{"display": "a"}]),
    "ValueSet.vsd-9": ([{}], [{"abstract": True}]),
    "ValueSet.vsd-10": ([{"code": "a"}], [{"code": "a", "system": "a:b"}]),
}
for _key in (
    "CodeSystem.csd-0",
    "Measure.mea-0",
    "PlanDefinition.pdf-0",
    "Questionnaire.que-0",
    "ValueSet.vsd-0",
):
    CASES[_key] = ([{"name": "小文字"}, {"name": "a b"}], [{"name": "FormOne"}, {}])


@pytest.mark.parametrize("name", RULES)
def test_an_invariant_holds_for_good_objects_and_not_for_bad_ones(name: str):
    breaks, keeps = CASES[name]
    assert breaks
    assert keeps
    assert [v for v in breaks if RULES[name].holds(v)] == []
    assert [v for v in keeps if not RULES[name].holds(v)] == []


@pytest.mark.parametrize("name", RULES)
def test_an_invariant_is_one_of_r4_with_an_english_and_a_japanese_sentence(name: str):
    type_, _, key = name.partition(".")
    facts = rule(type_, key)
    assert facts["severity"] in {"error", "warning"}
    assert facts["human"]
    assert not RULES[name].ja.endswith("。")


def test_no_case_is_left_of_a_rule_that_is_gone():
    assert CASES.keys() == RULES.keys()


ALL_EVALUATED = [
    "Patient",
    "RelatedPerson",
    "Consent",
    "QuestionnaireResponse",
    "ServiceRequest",
    "Task",
    "EpisodeOfCare",
    "Bundle",
    "Composition",
    "DocumentReference",
    "Provenance",
    "AuditEvent",
    "Organization",
    "HealthcareService",
    "Questionnaire",
]


@pytest.mark.parametrize("type_", ALL_EVALUATED)
def test_of_the_hubs_own_types_only_the_narrative_advice_is_left_open(type_: str):
    left = {n.key for n in not_evaluated(type_) if n.key != "binding"}
    # dom-6 is advice (a warning); ctm-1 belongs to a type none of these contains.
    assert left <= {"dom-6"}


def test_what_is_not_evaluated_is_told_with_its_expression():
    left = {n.key: n for n in not_evaluated("CareTeam")}
    assert "resolve()" in left["ctm-1"].detail
    assert left["ctm-1"].severity == "error"
    open_bindings = [
        n.path for n in not_evaluated("DocumentReference") if n.key == "binding"
    ]
    assert "Attachment.contentType" in open_bindings
    with pytest.raises(KeyError):
        not_evaluated("Nonsense")


def test_rules_done_by_the_walk_exist_in_r4():
    for name in IN_WALK:
        type_, _, key = name.partition(".")
        assert rule(type_, key)


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ("2026-04-01T10:00:00+09:00", "2026-04-01T00:59:59Z", True),
        ("2026-04-01T10:00:00+09:00", "2026-04-01T01:00:00Z", False),
        ("2026-04-01T10:00:60Z", "2026-04-01T10:00:00Z", False),
        ("2026-04", "2026-04-01", False),
        ("2027", "2026-12-31", True),
        ("2026-04-02", "2026-04-01T10:00:00Z", True),
        ("", "2026", False),
        ("x", "y", False),
    ],
)
def test_dates_are_compared_only_by_what_both_state(one, other, expected):
    assert is_after(one, other) is expected
