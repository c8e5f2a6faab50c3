"""Bundles that are documents: stored as they are, in the case of their subject.

Nothing inside is rewritten, neither ids nor references: a document is what was
assembled and perhaps signed (R4 documents.html). The only Bundle that is stored.
"""

from collections.abc import Iterator

from hub.actor import Actor
from hub.database import Session
from hub.disclosure.grants import visible_to
from hub.fhir import references
from hub.fhir.json import Resource
from hub.fhir.outcome import FhirError, Issue, issue
from hub.restful.served import CASE_TYPES
from hub.store import resources as store


def document_issues(bundle: Resource, path: str) -> list[Issue]:
    """HUB-REST-060 for another type of Bundle; structure is `validation`'s."""
    if bundle.get("type") == "document":
        return []
    return [issue("HUB-REST-060", f"{path}.type")]


def as_part(session: Session, actor: Actor, bundle: Resource, base: str) -> Resource:
    """A document as one resource of a case, to be placed like any other.

    `subject` is the Patient here that the Composition is about; `mentions` all that it
    refers to here. What the caller does not see is left out, like what is not there:
    so neither tells of the other. Without a subject here it is of no case.
    """
    composition = bundle["entry"][0]["resource"]
    subject = str((composition.get("subject") or {}).get("reference", ""))
    named = {references.split(e["reference"], base) for _, e in references.walk(bundle)}
    wanted = [key for key in named if key is not None and key[0] in CASE_TYPES]
    found = store.read_many(session, sorted(wanted), visible_to(actor))
    seen = [one.reference for one in found if not one.deleted]
    about = references.split(subject, base)
    made: Resource = {"resourceType": "Bundle"}
    if about is not None and about[0] == "Patient" and "/".join(about) in seen:
        made["subject"] = {"reference": "/".join(about)}
        made["mentions"] = [{"reference": one} for one in seen]
    return made


def require_one_person(bundle: Resource, patient: str, base: str, path: str) -> None:
    """422 HUB-REF-017 when a document holds or names another Patient (an id)."""
    for index, entry in enumerate(bundle.get("entry", ())):
        inside = entry.get("resource", {})
        if inside.get("resourceType") == "Patient" and patient not in _ids(entry, base):
            raise FhirError(issue("HUB-REF-017", f"{path}.entry[{index}].resource"))
    for where, element in references.walk(bundle):
        target = references.split(element["reference"], base)
        if target is not None and target[0] == "Patient" and target[1] != patient:
            raise FhirError(issue("HUB-REF-017", f"{path}.{where}.reference"))


def _ids(entry: Resource, base: str) -> Iterator[str]:
    """The ids by which an entry's resource is a resource here: by fullUrl, else id."""
    full_url = entry.get("fullUrl")
    if full_url is None:
        yield str(entry["resource"].get("id", ""))
    elif (target := references.split(str(full_url), base)) is not None:
        yield target[1]
