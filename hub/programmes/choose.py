"""Which programme a referral belongs to (architecture.md §6)."""

from collections.abc import Iterable, Mapping
from datetime import date

from hub.fhir import canonical
from hub.fhir.outcome import FhirError, issue
from hub.programmes.programme import Programme

_PATH = "ServiceRequest.instantiatesCanonical"


def choose(
    programmes: Mapping[str, Programme],
    plan: str | None = None,
    form: str | None = None,
    source_programmes: Iterable[str] = (),
    on: date | None = None,
) -> Programme:
    """The programme named by the plan, else by the form, else the source's only one.

    `plan` is a PlanDefinition canonical (a `|version` is ignored), `form` a
    Questionnaire canonical or form id, `source_programmes` the source's programme
    ids. Raises FhirError 422: HUB-PROG-002 for a plan nobody knows, HUB-PROG-001
    when nothing decides, HUB-PROG-003 when the programme is not in force on `on`.
    """
    programme = _named(programmes, plan, form, tuple(source_programmes))
    if on is not None and not programme.is_valid(on):
        raise FhirError(issue("HUB-PROG-003", _PATH))
    return programme


def _named(
    programmes: Mapping[str, Programme],
    plan: str | None,
    form: str | None,
    source_programmes: tuple[str, ...],
) -> Programme:
    if plan:
        wanted = plan.split("|", 1)[0]
        found = [p for p in programmes.values() if p.plan_definition == wanted]
        if not found:
            raise FhirError(issue("HUB-PROG-002", _PATH))
        return found[0]
    own = [programmes[id_] for id_ in source_programmes if id_ in programmes]
    using = [p for p in programmes.values() if form and _uses(p, form)]
    # Two programmes may share a form: then the source's own decides between them.
    narrowed = using if len(using) == 1 else [p for p in own if p in using or not using]
    if len(narrowed) != 1:
        raise FhirError(issue("HUB-PROG-001", _PATH))
    return narrowed[0]


def _uses(programme: Programme, form: str) -> bool:
    wanted = form.split("|", 1)[0]
    return any(
        wanted in (id_, canonical.questionnaire(id_)) for id_ in programme.forms.all
    )
