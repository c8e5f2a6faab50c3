"""Judge the rows of a sheet before anything is stored: answers, consent, route.

Shared by `POST /intake/{mapping}` and by `tsunagi intake`, dry run or not.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from hub.consent.decide import Question, decide
from hub.consent.read import read as read_consent
from hub.directory.address import Resolved
from hub.directory.ask import Directory
from hub.directory.parts import parts
from hub.directory.values import Organisation
from hub.disclosure.grants import Permit
from hub.fhir.canonical import questionnaire as form_canonical
from hub.fhir.dates import JST
from hub.fhir.json import Resource
from hub.fhir.outcome import FhirError, Issue, errors, issue
from hub.packages import Packages
from hub.programmes.choose import choose
from hub.programmes.programme import Leaflet, Programme
from hub.questionnaires import submission
from hub.questionnaires.form import form
from hub.questionnaires.response import to_response
from hub.referrals.knowledge import Knowledge
from hub.referrals.route import route_with_warnings
from hub.referrals.submission import NEEDS_SUPPORT, no_desk
from hub.routing import Decision
from mappings.sheets.layout import Layout, layout
from mappings.sheets.read import Row, Sheet, read


@dataclass(frozen=True, slots=True)
class Judged:
    """One row: its Bundle when it may be sent, else why not; warnings beside.

    `leaflet` is the programme's; `is_correction` says that the row names the referral
    number of a case it corrects (D-22).
    """

    number: int
    bundle: Resource | None
    decision: Decision | None
    issues: tuple[Issue, ...]
    warnings: tuple[Issue, ...]
    leaflet: Leaflet | None = None
    is_correction: bool = False

    @property
    def is_accepted(self) -> bool:
        return self.bundle is not None


def read_sheet(packages: Packages, raw: bytes, mapping: str | None) -> Sheet:
    """Read a file by the layouts of `profiles/`; FhirError for the file as a whole."""
    return read(raw, layouts(packages), mapping=mapping)


_kept: list[tuple[Packages, dict[str, Layout]]] = []


def layouts(packages: Packages) -> Mapping[str, Layout]:
    """Every layout there is, with the Questionnaire of its form; the last ones kept.

    Making them takes longer than reading a sheet of eight rows.
    """
    if not _kept or _kept[0][0] is not packages:
        _kept[:] = [(packages, _layouts(packages))]
    return _kept[0][1]


def _layouts(packages: Packages) -> dict[str, Layout]:
    made = {}
    for name, table in packages.layouts().items():
        questionnaire = packages.questionnaire(form_canonical(table["form"]))
        if questionnaire is not None:
            made[name] = layout(table, questionnaire)
    return made


def judge(
    knowledge: Knowledge,
    directory: Directory,
    source: Organisation,
    sheet: Sheet,
    at: datetime,
) -> Iterator[Judged]:
    """Judge every row, in order; a row never stops the others."""
    programme = choose(
        knowledge.programmes, None, form_canonical(sheet.form), source.programmes
    )
    questionnaire = knowledge.packages.questionnaire(form_canonical(sheet.form))
    if questionnaire is None:
        raise FhirError(issue("HUB-REF-020"))
    for row in sheet.rows:
        yield _judge_row(directory, source, programme, questionnaire, row, at)


def _judge_row(
    directory: Directory,
    source: Organisation,
    programme: Programme,
    questionnaire: Resource,
    row: Row,
    at: datetime,
) -> Judged:
    warnings = [i for i in row.issues if i.severity in ("warning", "information")]
    is_correction = bool(row.extras.get("referralNumber"))
    try:
        _require_whole(row)
        response = to_response(row.answers, questionnaire, authored=at)
        found = submission.findings(
            response, questionnaire, row=row.number, headers=row.headers
        )
        warnings += [i for i in found if i not in errors(found)]
        _require(errors(found))
        _require_kind(programme, source)
        bundle = _bundle(source, programme, questionnaire, row, at)
        _require_mark(programme, source)
        _require_permit(programme, source, bundle, at)
        routed = _route(directory, programme, source, bundle, at)
        warnings += _beside_address(routed.warnings, row, questionnaire)
        if not is_correction:
            # A corrected sheet stays with the desk its case has.
            _require_desk(routed.decision)
        bundle = _with_parts(directory, bundle, routed.residence)
    except FhirError as error:
        located = tuple(_located(i, row, questionnaire) for i in error.issues)
        decision = _decision_of(error)
        told = (located, tuple(warnings), programme.leaflet, is_correction)
        return Judged(row.number, None, decision, *told)
    told = ((), tuple(warnings), programme.leaflet, is_correction)
    return Judged(row.number, bundle, routed.decision, *told)


def _with_parts(directory: Directory, bundle: Resource, found: Resolved) -> Resource:
    """The Bundle with the parts of the person's address that its text names."""
    for entry in bundle["entry"]:
        if entry["resource"]["resourceType"] == "Patient":
            for address in entry["resource"].get("address", []):
                text = address.get("text", "")
                made = parts(directory.gazetteer, text, found)
                address |= {k: v for k, v in made.items() if k not in address}
    return bundle


def _beside_address(
    warnings: tuple[Issue, ...], row: Row, questionnaire: Resource
) -> list[Issue]:
    """What was doubtful about the address, at the column the address stands in."""
    link = form(questionnaire).role("person-address")
    column = row.headers.get(link or "")
    return [replace(i, row=row.number, column=column) for i in warnings]


# Which role of the form a reason of the consent gate or of routing is about.
_ROLE_OF_REASON = {
    "HUB-CON-001": "consent",
    "HUB-CON-002": "consent",
    "HUB-CON-004": "consent-relationship",
    "HUB-CON-010": "consent",
    "HUB-CON-011": "consent",
    "HUB-REF-014": "person-address",
    "HUB-REF-032": "person-address",
    "HUB-REF-033": "person-address",
}


class _NoDeskError(FhirError):
    """Refused by routing: the decision says why."""

    def __init__(self, decision: Decision, found: Issue) -> None:
        super().__init__(found)
        self.decision = decision


def _decision_of(error: FhirError) -> Decision | None:
    return error.decision if isinstance(error, _NoDeskError) else None


def _require_whole(row: Row) -> None:
    _require(errors(row.issues))


def _require(found: list[Issue]) -> None:
    if found:
        raise FhirError(*found)


def _require_kind(programme: Programme, source: Organisation) -> None:
    if source.kind not in programme.source_kinds:
        raise FhirError(issue("HUB-REF-012"))


def _require_mark(programme: Programme, source: Organisation) -> None:
    """D-11: whether the sheet's mark opens the gate for this source."""
    rule = programme.consent
    if rule.wordings and not rule.mark_opens_gate(source.wording_version):
        raise FhirError(issue("HUB-INT-001"))


def _require_permit(
    programme: Programme, source: Organisation, bundle: Resource, at: datetime
) -> None:
    """Gate A as the door will judge it: a dry run accepts nothing it refuses."""
    made = {entry["fullUrl"]: entry["resource"] for entry in bundle["entry"]}
    of = {
        kind: {url: one for url, one in made.items() if one["resourceType"] == kind}
        for kind in ("Patient", "RelatedPerson", "Consent")
    }
    consents = [
        read_consent(c, url, of["RelatedPerson"]) for url, c in of["Consent"].items()
    ]
    asked = Question(
        patient=next(iter(of["Patient"])), at=at, wording_version=source.wording_version
    )
    decided = decide(consents, programme.consent, asked)
    if not isinstance(decided, Permit):
        raise FhirError(*decided)


def _located(found: Issue, row: Row, questionnaire: Resource) -> Issue:
    """A reason at its row, and a reason about consent at its column too."""
    link = form(questionnaire).role(_ROLE_OF_REASON.get(found.id, ""))
    column = found.column or row.headers.get(link or "")
    return replace(found, row=row.number, column=column)


def _bundle(
    source: Organisation,
    programme: Programme,
    questionnaire: Resource,
    row: Row,
    at: datetime,
) -> Resource:
    items = sorted(programme.consent.items(source.wording_version))
    # D-20: a source of this kind states the need by submitting.
    reasons = (NEEDS_SUPPORT,) if programme.needs_statement(source.kind) else ()
    return submission.bundle(
        row.answers,
        row.extras,
        source=submission.Source(source.code, source.wording_version, tuple(items)),
        programme=submission.Programme(programme.id, reasons),
        questionnaire=questionnaire,
        on=at,
    )


def _route(
    directory: Directory,
    programme: Programme,
    source: Organisation,
    bundle: Resource,
    at: datetime,
) -> Any:
    parts: Mapping[str, Resource] = {
        entry["resource"]["resourceType"]: entry["resource"]
        for entry in bundle["entry"]
    }
    return route_with_warnings(
        directory,
        programme,
        source,
        parts["Patient"],
        parts["ServiceRequest"],
        at.astimezone(JST).date(),
    )


def _require_desk(decision: Decision) -> None:
    if decision.advise:
        raise _NoDeskError(decision, issue("HUB-REF-014"))
    if decision.initial is None:
        raise _NoDeskError(decision, no_desk(decision))
