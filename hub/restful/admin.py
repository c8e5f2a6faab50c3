"""/admin: clients and persons over HTTP, in the words of RFC 7591.

Not FHIR: the bodies are plain JSON, errors are OperationOutcomes like all others. The
scopes are those of `SmartClient` and `SmartPerson`, which `*` never includes.
"""

from collections.abc import Callable, Mapping
from typing import Any

import orjson

from hub.actor import Actor
from hub.directory.ask import StoredDirectory
from hub.fhir.json import decode_value
from hub.fhir.outcome import FhirError, issue
from hub.restful.answers import Answer
from hub.restful.call import Call, require_media, require_parameters, require_scope
from hub.restful.hub import Hub
from hub.smart import administer
from hub.smart.shown import shown, shown_person

CLIENT, PERSON = "SmartClient", "SmartPerson"
_JSON = "application/json"
_TYPES = (_JSON, "application/merge-patch+json")
_DEPTH = 8

Members = Mapping[str, tuple[type, str]]
# Each member: its JSON type, and what the function below calls it.
_CHANGED: Members = {
    "client_name": (str, "name"),
    "scope": (str, "scopes"),
    "default_scope": (str, "default_scope"),
    "jwks": (dict, "jwks"),
    "jwks_uri": (str, "jwks_url"),
    "grant_types": (list, "grant_types"),
    "redirect_uris": (list, "redirect_uris"),
    "high_assurance": (bool, "high_assurance"),
    "certificate": (str, "certificate"),
}
MADE: Members = {
    **_CHANGED,
    "client_id": (str, "client_id"),
    "organization": (str, "organization"),
    "roles": (list, "roles"),
}
_ENABLED: Members = {"enabled": (bool, "enabled")}
ENROLLED: Members = {
    name: (str, name) for name in ("organization", "practitioner", "issuer", "subject")
}


def create_client(hub: Hub, actor: Actor, call: Call) -> Answer:
    """POST /admin/clients: 201 with what was registered."""
    require_scope(actor, "c", CLIENT)
    values = _body(call, MADE, required=("organization", "roles"))
    values["default_scope"] = values.get("default_scope") or None
    with hub.database.transaction() as session:
        if StoredDirectory(session).organisation(values["organization"]) is None:
            raise FhirError(issue("HUB-AUTH-046"))
        made = administer.add_client(session, actor, **values)
    location = f"{hub.settings.base_url.rstrip('/')}/admin/clients/{made.client_id}"
    return _answer(shown(made), 201, {"Location": location})


def list_clients(hub: Hub, actor: Actor, call: Call) -> Answer:
    """GET /admin/clients: all of them, oldest first."""
    require_scope(actor, "s", CLIENT)
    require_parameters(call)
    with hub.database.transaction(write=False) as session:
        found = administer.list_clients(session, actor)
    return _answer({"clients": [shown(one) for one in found]})


def read_client(hub: Hub, actor: Actor, call: Call) -> Answer:
    """GET /admin/clients/{client_id}."""
    require_scope(actor, "r", CLIENT)
    require_parameters(call)
    with hub.database.transaction(write=False) as session:
        found = administer.read_client(session, actor, call.path["client_id"])
    return _answer(shown(found))


def change_client(hub: Hub, actor: Actor, call: Call) -> Answer:
    """PATCH /admin/clients/{client_id}: what is named is replaced (RFC 7396)."""
    require_scope(actor, "u", CLIENT)
    values = _body(call, {**_CHANGED, **_ENABLED})
    enabled = values.pop("enabled", None)
    with hub.database.transaction() as session:
        changed = administer.change_client(
            session, actor, call.path["client_id"], enabled=enabled, **values
        )
    return _answer(shown(changed))


def create_person(hub: Hub, actor: Actor, call: Call) -> Answer:
    """POST /admin/persons: 201 with who may log in from now on."""
    require_scope(actor, "c", PERSON)
    values = _body(call, ENROLLED, required=tuple(ENROLLED))
    with hub.database.transaction() as session:
        made = administer.add_person(session, actor, **values)
    location = f"{hub.settings.base_url.rstrip('/')}/admin/persons/{made.id}"
    return _answer(shown_person(made), 201, {"Location": location})


def list_persons(hub: Hub, actor: Actor, call: Call) -> Answer:
    """GET /admin/persons: all of them, oldest first."""
    require_scope(actor, "s", PERSON)
    require_parameters(call)
    with hub.database.transaction(write=False) as session:
        found = administer.list_persons(session, actor)
    return _answer({"persons": [shown_person(one) for one in found]})


def read_person(hub: Hub, actor: Actor, call: Call) -> Answer:
    """GET /admin/persons/{person}."""
    require_scope(actor, "r", PERSON)
    require_parameters(call)
    with hub.database.transaction(write=False) as session:
        found = administer.read_person(session, actor, call.path["person"])
    return _answer(shown_person(found))


def change_person(hub: Hub, actor: Actor, call: Call) -> Answer:
    """PATCH /admin/persons/{person}: stop, or let in again."""
    require_scope(actor, "u", PERSON)
    values = _body(call, _ENABLED, required=("enabled",))
    with hub.database.transaction() as session:
        changed = administer.switch_person(
            session, actor, call.path["person"], enabled=values["enabled"]
        )
    return _answer(shown_person(changed))


# What answers each path, by method: the handler and what the log calls it.
WAYS: Mapping[str, Mapping[str, tuple[Callable[[Hub, Actor, Call], Answer], str]]] = {
    "/admin/clients": {
        "GET": (list_clients, "account-search"),
        "POST": (create_client, "account-create"),
    },
    "/admin/clients/{client_id:str}": {
        "GET": (read_client, "account-read"),
        "PATCH": (change_client, "account-update"),
    },
    "/admin/persons": {
        "GET": (list_persons, "account-search"),
        "POST": (create_person, "account-create"),
    },
    "/admin/persons/{person:str}": {
        "GET": (read_person, "account-read"),
        "PATCH": (change_person, "account-update"),
    },
}


def _body(
    call: Call,
    members: Members,
    required: tuple[str, ...] = (),
) -> dict[str, Any]:
    """The members of a JSON object under the names of our functions."""
    require_parameters(call)
    require_media(call, _TYPES, "HUB-AUTH-043")
    value = decode_value(call.body, _DEPTH)
    if not isinstance(value, dict) or not value or not value.keys() <= members.keys():
        raise FhirError(issue("HUB-AUTH-044", names=", ".join(members)))
    value = _without_null(value)
    wrong = [
        name
        for name, (type_, _) in members.items()
        if not _is(value.get(name), type_) and (name in value or name in required)
    ]
    if wrong:
        raise FhirError(*(issue("HUB-AUTH-047", name, name=name) for name in wrong))
    return {members[name][1]: one for name, one in value.items()}


def _without_null(value: dict[str, Any]) -> dict[str, Any]:
    """RFC 7396: null takes a member away; only a default scope can be missing."""
    none = "default_scope" in value and value["default_scope"] is None
    return {**value, "default_scope": ""} if none else value


def _is(value: object, type_: type) -> bool:
    if type_ is list:
        return isinstance(value, list) and all(isinstance(one, str) for one in value)
    return type(value) is type_


def _answer(
    value: Mapping[str, Any],
    status: int = 200,
    headers: Mapping[str, str] | None = None,
) -> Answer:
    return Answer(status, orjson.dumps(value), headers or {}, _JSON)
