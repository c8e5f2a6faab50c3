"""The monthly run: one report per centre × hospital × month, on paper and as FHIR.

Everything is read through the centre's own grants (security.md G1): a case whose grant
is closed is not in the report, and a queued report that names it does not leave.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from pathlib import Path

from hub import audit
from hub.actor import Actor
from hub.changes import By
from hub.database import Session
from hub.delivery import outbox
from hub.directory.ask import StoredDirectory
from hub.directory.values import HOSPITALS, Organisation
from hub.disclosure import cases, grants
from hub.disclosure.cases import Case
from hub.disclosure.grants import visible_to
from hub.fhir.canonical import questionnaire
from hub.fhir.dates import JST
from hub.fhir.json import Resource, encode
from hub.fhir.outcome import Issue
from hub.programmes.programme import Programme
from hub.referrals import children
from hub.referrals.knowledge import Knowledge
from hub.referrals.route import route
from hub.reports.collect import CaseFacts, gather
from hub.reports.document import document
from hub.reports.monthly import Centre, Contact, Hospital, Month, MonthlyReport
from hub.reports.render import render_pdf, unprintable
from hub.store import resources as store
from hub.store.visibility import Visible

_MOST_VERSIONS = 200


@dataclass(frozen=True, slots=True)
class Made:
    """One report: its printed sheet, the message that carries it (if one does), and
    the fields whose characters could not be printed."""

    report: MonthlyReport
    pdf: bytes
    document: Resource
    message: str | None
    issues: tuple[Issue, ...]


def run(
    session: Session,
    knowledge: Knowledge,
    by: By,
    month: Month,
    *,
    centre: str | None = None,
    hospital: str | None = None,
    send: bool = True,
) -> Iterator[Made]:
    """Make, audit and queue every report of a month, or those of one pair.

    A hospital without a case that month gets "nothing to report" from its own
    centre. Kinds that the programme leaves out get none (D-03).
    """
    for programme, source in _pairs(session, knowledge, hospital):
        for one in _centres(session, programme, source, month):
            if centre in (None, one):
                yield _make(session, by, programme, one, source, month, send=send)


def _pairs(
    session: Session, knowledge: Knowledge, hospital: str | None
) -> Iterator[tuple[Programme, Organisation]]:
    """Programmes and the hospitals to which they report."""
    for programme in knowledge.programmes.values():
        for source in StoredDirectory(session).organisations():
            wanted = hospital in (None, source.code) and source.active
            if wanted and _reports_to(programme, source):
                yield programme, source


def _reports_to(programme: Programme, source: Organisation) -> bool:
    return (
        programme.id in source.programmes
        and source.kind in HOSPITALS
        and programme.reports_to(source.kind)
    )


def _centres(
    session: Session,
    programme: Programme,
    source: Organisation,
    month: Month,
) -> list[str]:
    """The organisations that report to a source: its own centre, and who had a case."""
    found: list[str] = []
    directory = StoredDirectory(session)
    own = route(
        directory, programme, source, {"resourceType": "Patient"}, None, month.last
    )
    if own.initial is not None:
        found.append(own.initial.organisation)
    for case in cases.provided_by(session, source.code, *_bounds(month)):
        found += grants.recipients(session, case.id)
    return list(dict.fromkeys(found))


def _make(
    session: Session,
    by: By,
    programme: Programme,
    centre: str,
    source: Organisation,
    month: Month,
    *,
    send: bool,
) -> Made:
    directory = StoredDirectory(session)
    actor = _as_centre(by.actor, centre)
    seen = [
        case
        for case in cases.provided_by(session, source.code, *_bounds(month))
        if case.programme == programme.id
        and grants.held(session, case.id, centre, by.at)
    ]
    report = gather(
        [_facts(session, visible_to(actor, by.at), case, programme) for case in seen],
        centre=_centre(directory, centre),
        hospital=Hospital(source.code, source.name, source.kind),
        month=month,
        issued_at=by.at,
        words={key: state.word.ja for key, state in programme.states.items()},
        background=programme.report.background,
        excluded_kinds=programme.report.excluded_kinds,
    )
    # One character without a glyph must not stop the month: 〓 stands for it, and who
    # runs the report is told which field.
    pdf = render_pdf(report, programme.folder / "print", geta=True)
    made = document(report, pdf)
    patients = [f"Patient/{row.patient}" for row in report.rows]
    audit.record(session, actor, "read", patients=patients, at=by.at)
    message = None
    if send:
        told = [case for case in seen if f"Patient/{case.patient}" in patients]
        message = _queue(session, by, report, made, told)
    return Made(report, pdf, made, message, tuple(unprintable(report)))


def _queue(
    session: Session, by: By, report: MonthlyReport, made: Resource, told: list[Case]
) -> str | None:
    """Queue the document under the hospital's grants on every case in it."""
    hospital = report.hospital.id
    if StoredDirectory(session).endpoint_of(hospital) is None:
        return None
    held = [
        grant["id"]
        for case in told
        for grant in grants.held(session, case.id, hospital, by.at)
        if grant["role"] == "source"
    ]
    return outbox.add(
        session,
        kind="report",
        case="",
        subject=f"Bundle/{made['id']}",
        organisation=hospital,
        body=encode(made),
        grant_id=" ".join(held) or None,
        patients=[f"Patient/{case.patient}" for case in told],
        at=by.at,
    )


def _facts(
    session: Session, visible: Visible, case: Case, programme: Programme
) -> CaseFacts:
    """What the centre may see of a case; a hidden part is absent."""
    patient = store.read(session, "Patient", case.patient, visible)
    parent = store.read(session, "Task", case.parent_task, visible)
    form = questionnaire(programme.forms.intake)
    answers = [
        stored.resource()
        for kind, id in cases.members(session, case.id, ("QuestionnaireResponse",))
        if (stored := store.read(session, kind, id, visible)) is not None
    ]
    return CaseFacts(
        correlation=case.correlation,
        patient=patient.resource() if patient else {"resourceType": "Patient"},
        parent=parent.resource() if parent else {"resourceType": "Task"},
        children=[
            _versions(session, str(task["id"]), visible)
            for task in children.of_case(session, case)
        ],
        answers=next(
            (a for a in answers if str(a.get("questionnaire", "")).startswith(form)),
            None,
        ),
    )


def _versions(session: Session, task: str, visible: Visible) -> list[Resource]:
    page = store.history(session, "Task", task, visible, count=_MOST_VERSIONS)
    return [stored.resource() for stored in reversed(page.entries)]


def _centre(directory: StoredDirectory, code: str) -> Centre:
    found = directory.organisation(code)
    return Centre(
        id=code,
        name=found.name if found else code,
        desks=frozenset(desk.id for desk in directory.desks_of(code)),
        contact=Contact(telephone=(found.telephone or "") if found else ""),
    )


def _as_centre(cause: Actor, centre: str) -> Actor:
    """The hub reporting in a centre's name sees what that centre may see."""
    return Actor(
        client_id=cause.client_id,
        organisation=centre,
        request_id=cause.request_id,
        correlation_id=cause.correlation_id,
    )


def _bounds(month: Month) -> tuple[datetime, datetime]:
    begin = datetime.combine(month.first, time.min, JST)
    end = datetime.combine(month.last + timedelta(days=1), time.min, JST)
    return begin, end


def write(made: Made, folder: Path) -> tuple[Path, Path]:
    """Write the PDF and the FHIR document; the names hold the number alone."""
    folder.mkdir(parents=True, exist_ok=True)
    pdf = folder / made.report.file_name
    json = pdf.with_suffix(".json")
    pdf.write_bytes(made.pdf)
    json.write_bytes(encode(made.document))
    return pdf, json
