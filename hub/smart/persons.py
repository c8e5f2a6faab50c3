"""Who may log in: registered persons, each of one organisation.

A person is known by what the OpenID provider says (issuer, subject) and shown in the
log as a Practitioner or PractitionerRole of the directory. Nobody enrols themselves.
"""

import re
import uuid
from dataclasses import asdict, dataclass, replace
from typing import Any

from sqlalchemy import Row, insert, select, update

from hub.actor import Actor
from hub.database import Session
from hub.delivery.addresses import is_loopback_host, target
from hub.disclosure.grants import visible_to
from hub.fhir import search
from hub.fhir.dates import micros, now
from hub.fhir.outcome import FhirError, issue
from hub.smart.tables import person as table
from hub.store import resources
from hub.store.parameters import declared
from hub.store.search import match

_REFERENCE = re.compile(r"(Practitioner|PractitionerRole)/([A-Za-z0-9.-]{1,64})")
_SUBJECT = re.compile(r"[\x20-\x7e]{1,255}")  # OpenID Connect Core §2: ASCII, 255
_ID = re.compile(r"[0-9a-f-]{36}")


@dataclass(frozen=True, slots=True)
class Person:
    """`practitioner` is `Practitioner/<id>` or `PractitionerRole/<id>`."""

    id: str
    organisation: str
    practitioner: str
    issuer: str
    subject: str
    enabled: bool
    created_at: int


def register(
    session: Session, *, organization: str, practitioner: str, issuer: str, subject: str
) -> Person:
    """Let somebody of `Organization/<organization>` log in.

    Raises FhirError HUB-AUTH-033 (not of this organisation in the directory), -034
    (issuer or subject), -035 (registered already).
    """
    if not is_of(session, practitioner, organization):
        raise FhirError(issue("HUB-AUTH-033"))
    if not is_issuer(issuer) or not _SUBJECT.fullmatch(subject):
        raise FhirError(issue("HUB-AUTH-034"))
    if find_by_subject(session, issuer, subject, organization) is not None:
        raise FhirError(issue("HUB-AUTH-035"))
    new = Person(
        id=str(uuid.uuid4()),
        organisation=organization,
        practitioner=practitioner,
        issuer=issuer,
        subject=subject,
        enabled=True,
        created_at=micros(now()),
    )
    session.execute(insert(table), [asdict(new)])
    return new


def find(session: Session, id_: str) -> Person | None:
    """The person of this id, enabled or not."""
    if not _ID.fullmatch(id_):
        return None
    row = session.execute(select(table).where(table.c.id == id_)).first()
    return None if row is None else _person(row)


def find_by_subject(
    session: Session, issuer: str, subject: str, organization: str
) -> Person | None:
    """Whom the provider means, within one organisation; enabled or not."""
    if not _SUBJECT.fullmatch(subject):
        return None
    query = select(table).where(
        table.c.issuer == issuer,
        table.c.subject == subject,
        table.c.organisation == organization,
    )
    row = session.execute(query).first()
    return None if row is None else _person(row)


def list_persons(session: Session) -> list[Person]:
    """All persons, oldest first."""
    query = select(table).order_by(table.c.created_at, table.c.id)
    return [_person(row) for row in session.execute(query)]


def set_enabled(session: Session, id_: str, *, enabled: bool) -> Person:
    """Stop a person, or let them in again; live tokens stop at the next request.

    Raises FhirError HUB-AUTH-036 when there is no such person.
    """
    found = find(session, id_)
    if found is None:
        raise FhirError(issue("HUB-AUTH-036"))
    session.execute(update(table).where(table.c.id == id_).values(enabled=enabled))
    return replace(found, enabled=enabled)


def is_of(session: Session, practitioner: str, organization: str) -> bool:
    """True when the directory has this role, or a role of this person, there."""
    named = _REFERENCE.fullmatch(practitioner)
    if named is None:
        return False
    visible = visible_to(Actor("", organization))
    if named[1] == "Practitioner":
        asked = (("practitioner", practitioner), ("organization", organization))
        query = search.conditional("PractitionerRole", asked, declared())
        found = match(session, "PractitionerRole", query, visible, limit=50)
    else:
        one = resources.read(session, named[1], named[2], visible)
        found = [one] if one is not None and not one.deleted else []
    return any(_is_at(role.resource(), organization) for role in found)


def is_issuer(issuer: str) -> bool:
    """An https URL without query (http on this machine): OpenID Connect Core §2."""
    found = target(issuer)
    if found is None or "?" in issuer:
        return False
    return found.scheme == "https" or is_loopback_host(found.host)


def _is_at(role: dict[str, Any], organization: str) -> bool:
    at = role.get("organization", {}).get("reference")
    return role.get("active") is not False and at == f"Organization/{organization}"


def _person(row: Row[Any]) -> Person:
    return Person(**row._asdict())
