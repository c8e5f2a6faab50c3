"""Invariants of clinical resources, plans and lists."""

from collections.abc import Iterator
from decimal import Decimal

from hub.validation.rules.datatypes import UCUM
from hub.validation.rules.rule import (
    Object,
    Rows,
    at_most_one,
    codings,
    has,
    has_choice,
    number,
    part,
    parts,
    text,
)

_VERIFICATION = "http://terminology.hl7.org/CodeSystem/condition-ver-status"
_CLINICAL = "http://terminology.hl7.org/CodeSystem/condition-clinical"
_OVER = {"resolved", "remission", "inactive"}


def _appointment_times(v: Object) -> bool:
    both = has(v, "start") and has(v, "end")
    return both or text(v, "status") in {"proposed", "cancelled", "waitlist"}


def _cancelled(v: Object) -> bool:
    return not has(v, "cancelationReason") or text(v, "status") in {
        "no-show",
        "cancelled",
    }


def _abated(v: Object) -> bool:
    return not has_choice(v, "abatement") or any(
        system == _CLINICAL and code in _OVER
        for system, code in codings(part(v, "clinicalStatus"))
    )


def _condition_error(v: Object) -> bool:
    status = codings(part(v, "verificationStatus"))
    wrong = (_VERIFICATION, "entered-in-error") in status
    return not wrong or not has(v, "clinicalStatus")


def _component_codes(v: Object) -> bool:
    if not has_choice(v, "value"):
        return True
    own = set(codings(part(v, "code"))) - {("", "")}
    return own.isdisjoint(
        pair for c in parts(v, "component") for pair in codings(part(c, "code"))
    )


def _probability(v: Object) -> bool:
    return (number(v, "probabilityDecimal") or Decimal()) <= 100  # noqa: PLR2004 - %


def _percent(v: Object) -> bool:
    ends = (v.get(end) for end in ("low", "high"))
    return all(
        text(q, "code") == "%" and text(q, "system") == UCUM
        for q in ends
        if type(q) is dict
    )


def _strata(v: Object) -> Iterator[Object]:
    for group in parts(v, "group"):
        for stratifier in parts(group, "stratifier"):
            yield from parts(stratifier, "stratum")


def _stratifiers(v: Object) -> bool:
    return all(
        has(s, "code", "description", "criteria") != has(s, "component")
        for group in parts(v, "group")
        for s in parts(group, "stratifier")
    )


RULES: Rows = {
    "Appointment.app-1": (
        lambda v: has(v, "type", "actor"),
        "参加者にはtypeかactorを入れてください",
    ),
    "Appointment.app-2": (
        lambda v: has(v, "start") == has(v, "end"),
        "startとendは両方入れるか、両方なしにしてください",
    ),
    "Appointment.app-3": (
        _appointment_times,
        "startとendがないのは、提案中・取消・待機のときだけです",
    ),
    "Appointment.app-4": (
        _cancelled,
        "cancelationReasonは取消か不参加のときだけ入れてください",
    ),
    "CarePlan.cpl-3": (
        lambda v: at_most_one(v, "detail", "reference"),
        "detailとreferenceは同時に入れられません",
    ),
    "Composition.cmp-1": (
        lambda v: has(v, "text", "entry", "section"),
        "節にはtext、entry、sectionのどれかを入れてください",
    ),
    "Composition.cmp-2": (
        lambda v: at_most_one(v, "emptyReason", "entry"),
        "emptyReasonはentryがないときだけ入れてください",
    ),
    "Condition.con-1": (
        lambda v: has(v, "summary", "assessment"),
        "病期にはsummaryかassessmentを入れてください",
    ),
    "Condition.con-2": (
        lambda v: has(v, "code", "detail"),
        "根拠にはcodeかdetailを入れてください",
    ),
    "Condition.con-4": (
        _abated,
        "abatementを入れるときはclinicalStatusをresolved、remission、inactiveのどれかにしてください",
    ),
    "Condition.con-5": (
        _condition_error,
        "誤入力（entered-in-error）のときclinicalStatusは入れられません",
    ),
    "FamilyMemberHistory.fhs-1": (
        lambda v: not (has_choice(v, "age") and has_choice(v, "born")),
        "ageとbornは同時に入れられません",
    ),
    "FamilyMemberHistory.fhs-2": (
        lambda v: not has(v, "estimatedAge") or has_choice(v, "age"),
        "estimatedAgeはageがあるときだけ入れてください",
    ),
    "Group.grp-1": (
        lambda v: not has(v, "member") or v.get("actual") is True,
        "memberはactualがtrueのときだけ入れてください",
    ),
    "List.lst-1": (
        lambda v: at_most_one(v, "emptyReason", "entry"),
        "emptyReasonはentryがないときだけ入れてください",
    ),
    "List.lst-2": (
        lambda v: (
            text(v, "mode") == "changes"
            or not any(has(e, "deleted") for e in parts(v, "entry"))
        ),
        "deletedはmodeがchangesのときだけ入れてください",
    ),
    "List.lst-3": (
        lambda v: (
            text(v, "mode") == "working"
            or not any(has(e, "date") for e in parts(v, "entry"))
        ),
        "entryのdateはmodeがworkingのときだけ入れてください",
    ),
    "Measure.mea-1": (
        _stratifiers,
        "層には項目かcomponentのどちらか一方だけを入れてください",
    ),
    "MeasureReport.mrp-1": (
        lambda v: text(v, "type") != "data-collection" or not has(v, "group"),
        "data-collectionのときgroupは入れられません",
    ),
    "MeasureReport.mrp-2": (
        lambda v: all(has(s, "value") != has(s, "component") for s in _strata(v)),
        "層にはvalueかcomponentのどちらか一方だけを入れてください",
    ),
    "Observation.obs-3": (
        lambda v: has(v, "low", "high", "text"),
        "基準範囲にはlow、high、textのどれかを入れてください",
    ),
    "Observation.obs-6": (
        lambda v: not (has(v, "dataAbsentReason") and has_choice(v, "value")),
        "dataAbsentReasonはvalueがないときだけ入れてください",
    ),
    "Observation.obs-7": (
        _component_codes,
        "componentのcodeが全体のcodeと同じとき、全体のvalueは入れられません",
    ),
    "RiskAssessment.ras-1": (_percent, "確率の範囲の単位は%（UCUM）にしてください"),
    "RiskAssessment.ras-2": (_probability, "確率は100以下にしてください"),
}
