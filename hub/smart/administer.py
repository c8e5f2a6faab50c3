"""Clients and persons as the operator changes them: by command line and admin API.

One function for both, and each change in the log with its own commit: who may use
the hub is as much a matter of record as what they did.
"""

from collections.abc import Collection, Sequence
from typing import Any

from hub import audit
from hub.actor import NAMED_ONLY, Actor
from hub.database import Session
from hub.fhir.dates import now
from hub.fhir.outcome import FhirError, issue
from hub.smart import clients, persons
from hub.smart.clients import Client
from hub.smart.persons import Person
from hub.smart.scopes import parse

# By the command line: the operator of the machine, who is nobody's client.
OPERATOR = Actor("cli", "", roles=frozenset({"hub"}))
_ADMINISTRATION = NAMED_ONLY - {"AuditEvent"}


def add_client(session: Session, by: Actor, **values: Any) -> Client:
    """`clients.register`, told in the log. Raises as that, and HUB-AUTH-045."""
    made = clients.register(session, **values)
    _require_may(by, made)
    _record(session, by, "account-create", _client(made), values)
    return made


def change_client(
    session: Session, by: Actor, client_id: str, *, enabled: bool | None, **values: Any
) -> Client:
    """`clients.change`, and stop or start. Raises as that, and HUB-AUTH-045."""
    changed = clients.require(session, client_id)
    _require_may(by, changed)
    named = {name: one for name, one in values.items() if one is not None}
    # To stop a client asks nothing of what is stored of it: that always works.
    if named:
        changed = clients.change(session, client_id, **values)
        _require_may(by, changed)
    if enabled is not None:
        switch = clients.enable if enabled else clients.disable
        changed = switch(session, client_id)
        named["enabled" if enabled else "disabled"] = True
    _record(session, by, "account-update", _client(changed), named)
    return changed


def read_client(session: Session, by: Actor, client_id: str) -> Client:
    """One client, told in the log. Raises HUB-AUTH-020."""
    found = clients.require(session, client_id)
    _record(session, by, "account-read", _client(found))
    return found


def list_clients(session: Session, by: Actor) -> list[Client]:
    """All clients, told in the log."""
    _record(session, by, "account-search", "client|")
    return clients.list_clients(session)


def add_person(session: Session, by: Actor, **values: str) -> Person:
    """`persons.register`, told in the log. Raises as that."""
    made = persons.register(session, **values)
    _record(session, by, "account-create", _person(made), values)
    return made


def switch_person(session: Session, by: Actor, id_: str, *, enabled: bool) -> Person:
    """`persons.set_enabled`, told in the log. Raises as that."""
    changed = persons.set_enabled(session, id_, enabled=enabled)
    named = ["enabled" if enabled else "disabled"]
    _record(session, by, "account-update", _person(changed), named)
    return changed


def read_person(session: Session, by: Actor, id_: str) -> Person:
    """One person, told in the log. Raises HUB-AUTH-036."""
    found = persons.find(session, id_)
    if found is None:
        raise FhirError(issue("HUB-AUTH-036"))
    _record(session, by, "account-read", _person(found))
    return found


def list_persons(session: Session, by: Actor) -> list[Person]:
    """All persons, told in the log."""
    _record(session, by, "account-search", "person|")
    return persons.list_persons(session)


def _require_may(by: Actor, client: Client) -> None:
    """No administrator is made or changed but on the hub's own machine (HUB-AUTH-045).

    So a stolen administrator's key makes no second one, and no client changes itself.
    """
    is_admin = "admin" in client.roles or any(
        scope.resource_type in _ADMINISTRATION for scope in parse(client.scopes)
    )
    if is_admin and by != OPERATOR:
        raise FhirError(issue("HUB-AUTH-045"))


def _client(client: Client) -> str:
    return f"client|{client.client_id}"


def _person(person: Person) -> str:
    return f"person|{person.id}"


def _record(
    session: Session,
    by: Actor,
    interaction: str,
    target: str,
    changed: Collection[str] = (),
) -> None:
    names: Sequence[str] = sorted(changed)
    details = {"changed": " ".join(names)} if names else {}
    audit.record(session, by, interaction, at=now(), targets=[target], details=details)
