"""The X-Provenance header (R4 provenance.html): who made this version, and why.

A Provenance as JSON without target; the hub sets the target to the version that the
same request made, and stores both in one transaction (rest.md F17).

Scope: the letter c on Provenance is not asked for. No client has it (security.md §2.2
gives `.rs` alone), and none can say anything by this header but about the very version
its own c or u lets it write; so the write's scope is the right one, and a Provenance of
its own by POST stays refused. It belongs to the cases of that version, under its data
class: what the writer says there is seen by nobody who does not see the resource.
"""

from datetime import timedelta

from hub import changes
from hub.changes import Belonging, By
from hub.database import Session
from hub.disclosure import cases
from hub.fhir import references
from hub.fhir.json import Resource, decode
from hub.fhir.outcome import FhirError, errors, issue
from hub.restful.call import Call
from hub.restful.hub import Hub
from hub.restful.linking import Linker
from hub.restful.one import DRAFT_DAYS
from hub.restful.served import CASE_TYPES
from hub.restful.visible import patient_of
from hub.store.resources import Stored
from hub.validation import validate

_HEADER = "x-provenance"
_SPOKEN_OF = ("create", "update", "patch")


def require_speakable(call: Call, interaction: str) -> None:
    """400 for the header with what makes no version: ignored it would seem stored."""
    if call.header(_HEADER) is not None and interaction not in _SPOKEN_OF:
        raise FhirError(issue("HUB-REST-018", name="X-Provenance"))


def read_provenance(hub: Hub, call: Call) -> Resource | None:
    """The Provenance in the header; None without one, 400 HUB-REST-018 or -044."""
    raw = call.header(_HEADER)
    if raw is None:
        return None
    try:
        # Starlette reads headers as Latin-1: these are the bytes sent.
        resource = decode(raw.encode("latin-1"), hub.settings.max_depth)
    except FhirError:
        raise FhirError(issue("HUB-REST-018", name="X-Provenance")) from None
    if resource["resourceType"] != "Provenance" or "target" in resource:
        raise FhirError(issue("HUB-REST-018", name="X-Provenance"))
    judged = {**resource, "target": [{"display": "this version"}]}
    found = errors(validate(judged, packages=hub.knowledge.packages))
    if found:
        raise FhirError(*(issue("HUB-REST-044", one.expression) for one in found))
    resource.pop("id", None)
    return resource


def keep_provenance(
    hub: Hub, session: Session, by: By, resource: Resource | None, stored: Stored
) -> None:
    """Store what `read_provenance` returned as speaking of the version just made."""
    if resource is None:
        return
    Linker(hub, session, by.actor, {}).link(resource, "Provenance", is_new=True)
    places = cases.classes_of(session, stored.type, stored.id)
    _require_own(session, resource, {case for case, _ in places})
    version = f"{stored.reference}/_history/{stored.version}"
    spoken = {**resource, "target": [{"reference": version}]}
    patient = patient_of(session, stored.type, stored.id)
    made = changes.create(session, by, spoken, Belonging(patient=patient))
    key, author = (made.type, made.id), by.actor.organisation
    for case, data_class in places:
        cases.add(session, case, key, data_class, author)
    if places:
        return
    if not cases.own_draft(session, (stored.type, stored.id), author):
        # A directory entry is nobody's case: nobody could ever read what was said.
        raise FhirError(issue("HUB-REST-045"))
    expires = by.at + timedelta(days=DRAFT_DAYS)
    cases.keep_draft(session, key, author, expires)


def _require_own(session: Session, resource: Resource, own: set[str]) -> None:
    """It refers to nothing of another case than that of the version (G11)."""
    for path, element in references.walk(resource):
        target = references.split(element["reference"])
        if target is None or target[0] not in CASE_TYPES:
            continue
        found = {case.id for case in cases.of_resource(session, *target)}
        if found and not found & own:
            raise FhirError(issue("HUB-REF-017", f"Provenance.{path}.reference"))
