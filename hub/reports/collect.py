"""From cases to a monthly report: which belong to it, and what each row says.

Pure: whoever calls hands in the cases that the centre may see (every version of
their child Tasks), so a closed grant leaves no trace here. Rules KG-09, KG-10.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from itertools import groupby

from hub.fhir.json import Resource
from hub.fhir.outcome import FhirError, issue
from hub.reports.monthly import Centre, Hospital, Month, MonthlyReport, PlanStatus, Row
from hub.reports.person import background_text, birth_of, name_of
from hub.reports.support import (
    business_status,
    output_code,
    plan_in,
    support_lines,
)
from hub.reports.when import day, moment

# Nothing may be told of these: recalled as a mistake, or consent is gone.
_RECALLED = "entered-in-error"
_WITHDRAWN = "consent-withdrawn"
_PLAN_STATUS: Mapping[str, PlanStatus] = {
    "completed": "completed",
    "on-hold": "on-hold",
    "rejected": "revoked",
    "failed": "revoked",
    "cancelled": "revoked",
}


@dataclass(frozen=True, slots=True)
class CaseFacts:
    """One case as the centre may see it.

    `children` holds, for each child Task of any desk, its versions oldest first (at
    least the present one). `answers` is the QuestionnaireResponse of the hospital's
    form, None when the centre may not see it. `plan` is the text of a CarePlan.
    """

    correlation: str
    patient: Resource
    parent: Resource
    children: Sequence[Sequence[Resource]]
    answers: Resource | None = None
    plan: str = ""


def gather(
    facts: Iterable[CaseFacts],
    *,
    centre: Centre,
    hospital: Hospital,
    month: Month,
    issued_at: datetime,
    words: Mapping[str, str],
    background: Collection[str] = (),
    excluded_kinds: Collection[str] = (),
    reference: str = "",
) -> MonthlyReport:
    """The report of exactly the persons this hospital provided in this month.

    A case belongs when the hospital requested it, its parent Task was authored in
    the month (Japan's calendar) and a desk of the centre has or had a child Task.
    `words` are the programme's lifecycle words, by `status` or
    `status/businessStatus`; `background` the linkIds of the form that hold 背景・要因.
    One person handed over twice is one row. Raises FhirError HUB-REP-002 when the
    programme reports nothing to this kind of hospital (D-03).
    """
    if hospital.kind in excluded_kinds:
        raise FhirError(issue("HUB-REP-002", kind=hospital.kind))
    owners = {f"HealthcareService/{desk}" for desk in centre.desks}
    owners.add(f"Organization/{centre.id}")
    found = [
        _row(one, own, words, background)
        for one in facts
        if belongs(one, hospital, month)
        and (own := _own(one, owners))
        and not _is_silent(one.parent, own)
    ]
    return MonthlyReport(centre, hospital, month, _people(found), issued_at, reference)


def belongs(facts: CaseFacts, hospital: Hospital, month: Month) -> bool:
    """True when the hospital provided this case in this month."""
    requester = (facts.parent.get("requester") or {}).get("reference")
    provided = moment(facts.parent.get("authoredOn"))
    return (
        requester == f"Organization/{hospital.id}"
        and provided is not None
        and month.holds(provided)
    )


def received_on(own: Sequence[Sequence[Resource]]) -> date | None:
    """連絡受理日: what the centre recorded, else when it accepted, opened or got it.

    `own` are the centre's child Tasks, each as its versions, oldest first.
    """
    for versions in own:
        present = versions[-1]
        days = (
            _recorded(present),
            day((present.get("executionPeriod") or {}).get("start")),
            _reached(versions, "accepted"),
            _reached(versions, "received"),
            day(versions[0].get("authoredOn")),
        )
        found = next((d for d in days if d), None)
        if found:
            return found
    return None


def _own(facts: CaseFacts, owners: Collection[str]) -> list[list[Resource]]:
    # A Task may pass to a named officer of the desk, so any of its versions counts.
    return [
        list(versions)
        for versions in facts.children
        if any((v.get("owner") or {}).get("reference") in owners for v in versions)
    ]


def _is_silent(parent: Resource, own: Sequence[Sequence[Resource]]) -> bool:
    return any(
        task.get("status") == _RECALLED or business_status(task) == _WITHDRAWN
        for task in (parent, *(versions[-1] for versions in own))
    )


def _row(
    facts: CaseFacts,
    own: Sequence[Sequence[Resource]],
    words: Mapping[str, str],
    background: Collection[str],
) -> Row:
    born, written = birth_of(facts.patient)
    present = own[-1][-1]
    return Row(
        name=name_of(facts.patient),
        received_on=received_on(own),
        birth_date=born,
        birth_text=written,
        sex=facts.patient.get("gender"),
        background=background_text(facts.answers, background),
        support="\n".join(line for one in own for line in support_lines(one, words)),
        plan=facts.plan or _planned(present),
        correlation=facts.correlation,
        patient=str(facts.patient.get("id", "")),
        plan_status=_PLAN_STATUS.get(present["status"], "active"),
    )


def _recorded(task: Resource) -> date | None:
    days = (
        day(output.get("valueDate") or output.get("valueDateTime"))
        for output in task.get("output", ())
        if output_code(output) == "received-on"
    )
    return next((d for d in days if d), None)


def _reached(versions: Sequence[Resource], status: str) -> date | None:
    days = (day(v.get("lastModified")) for v in versions if v["status"] == status)
    return next((d for d in days if d), None)


def _planned(task: Resource) -> str:
    plans = [plan_in(note.get("text", "")) for note in task.get("note", ())]
    return next((plan for plan in reversed(plans) if plan), "")


def _people(rows: Iterable[Row]) -> tuple[Row, ...]:
    """In order of acceptance; the rows of one Patient become one (KG-10: persons)."""
    people = [
        _joined(sorted(same, key=_order))
        for _, same in groupby(sorted(rows, key=_person), key=_person)
    ]
    return tuple(sorted(people, key=_order))


def _person(row: Row) -> tuple[str, str]:
    return (row.patient, "" if row.patient else row.correlation)


def _order(row: Row) -> tuple[date, str]:
    return (row.received_on or date.max, row.correlation)


def _joined(rows: Sequence[Row]) -> Row:
    return replace(
        rows[0],
        background=_together("、", (r.background for r in rows)),
        support=_together("\n", (r.support for r in rows)),
        plan=_together("\n", (r.plan for r in rows)),
        plan_status=rows[-1].plan_status,
    )


def _together(between: str, texts: Iterable[str]) -> str:
    return between.join(dict.fromkeys(text for text in texts if text))
