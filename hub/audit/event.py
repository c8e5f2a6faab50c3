"""Build AuditEvents after IHE BALP 1.1, cheaply: one per request is on the hot path.

All that depends only on who does what is serialised once and kept; per event only
the id, the moment, the outcome and the entities are written. Bodies hold ids and
codes of ours, never a name; only `entity.query` repeats what was asked (BALP).
"""

from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from typing import Any, NamedTuple

import orjson

from hub.audit.kinds import BALP, DCM, KINDS, ORGANISATION_ROLE, SOURCE, Kind
from hub.fhir.canonical import CASE_ID, LEGAL_BASIS, MESSAGE_ID, ROOT, code_system
from hub.fhir.dates import instant

_ENTITY = "http://terminology.hl7.org/CodeSystem/audit-entity-type"
_ROLE = "http://terminology.hl7.org/CodeSystem/object-role"
_ABSENT = {
    "extension": [
        {
            "url": "http://hl7.org/fhir/StructureDefinition/data-absent-reason",
            "valueCode": "unknown",
        }
    ]
}
_REQUEST_ID_EXTENSION = f"{ROOT}/StructureDefinition/request-id"
CLIENT_ID = f"{ROOT}/sid/client"


class Observer(NamedTuple):
    """The hub as it appears in its own log: its Organization's id and base URL."""

    organisation: str = "tsunagi-hub"
    address: str = ""


class Peer(NamedTuple):
    """The other side: an OAuth client, its organisation, its network address.

    For a delivery `organisation` is the recipient and `address` its endpoint. `person`
    is the Practitioner(Role) who logged in, as a reference.
    """

    client_id: str = ""
    organisation: str = ""
    address: str = ""
    person: str = ""


@dataclass(frozen=True, slots=True)
class Facts:
    """What varies from event to event; `at` is aware, references are relative."""

    interaction: str
    at: datetime
    outcome: str = "0"
    targets: Sequence[str] = ()
    query: str | bytes | None = None
    description: str = ""
    basis: str = ""
    request_id: str = ""
    correlation_id: str = ""
    details: Mapping[str, str] = field(default_factory=dict)


_ROLE_SYSTEMS = {
    "custodian": "http://terminology.hl7.org/CodeSystem/provenance-participant-type",
    "authserver": "http://terminology.hl7.org/CodeSystem/extra-security-role-type",
    ORGANISATION_ROLE: "http://terminology.hl7.org/CodeSystem/v3-RoleClass",
    "AGNT": "http://terminology.hl7.org/CodeSystem/v3-RoleClass",
    "IRCP": "http://terminology.hl7.org/CodeSystem/v3-ParticipationType",
}


def build(
    id_: str, observer: Observer, peer: Peer, facts: Facts, patient: str | None
) -> bytes:
    """One AuditEvent as the canonical bytes that are stored and sealed."""
    kind = KINDS[facts.interaction]
    entities, is_conformant = _entities(kind, facts, patient)
    profile = kind.profile if is_conformant and _succeeded(kind, facts) else ""
    if profile and kind.shape == "rest" and patient:
        profile = f"Patient{profile}"
    body = (
        b'{"resourceType":"AuditEvent","id":"%b",%b,"recorded":"%b","outcome":"%b"'
        % (
            id_.encode(),
            _head(facts.interaction, profile, observer, peer),
            instant(facts.at).encode(),
            facts.outcome.encode(),
        )
    )
    optional: dict[str, Any] = {}
    if facts.description:
        optional["outcomeDesc"] = facts.description
    if facts.basis:
        basis = {"system": LEGAL_BASIS, "code": facts.basis}
        optional["purposeOfEvent"] = [{"coding": [basis]}]
    if kind.shape == "consent" and facts.request_id:
        optional["extension"] = [
            {"url": _REQUEST_ID_EXTENSION, "valueString": facts.request_id}
        ]
    if entities:
        optional["entity"] = entities
    if not optional:
        return body + b"}"
    return b"%b,%b" % (body, orjson.dumps(optional)[1:])


def _succeeded(kind: Kind, facts: Facts) -> bool:
    # BALP: failures of REST interactions follow other patterns; AuthZconsent
    # and disclosures record both outcomes.
    return facts.outcome == "0" or kind.shape != "rest"


def _entities(
    kind: Kind, facts: Facts, patient: str | None
) -> tuple[list[dict[str, Any]], bool]:
    """The entities, and whether they fit the BALP profile of this kind."""
    found = [_data(kind, target) for target in facts.targets]
    is_conformant = bool(found)
    if kind.shape == "consent":
        # Its entities are a closed slicing: the patient, Consents, a token.
        is_conformant = bool(
            found and patient and all(t.startswith("Consent/") for t in facts.targets)
        )
    elif kind.shape == "disclosure":
        is_conformant = bool(found and patient)
    if patient:
        found.append(
            {"what": {"reference": patient}, "type": _PERSON, "role": _PATIENT}
        )
    if facts.query is not None:
        raw = facts.query.encode() if isinstance(facts.query, str) else facts.query
        asked = b64encode(raw).decode()
        found.append({"type": _SYSTEM_OBJECT, "role": _QUERY, "query": asked})
        is_conformant = True
    if facts.details and found:
        found[0]["detail"] = [
            {"type": key, "valueString": value} for key, value in facts.details.items()
        ]
    if kind.shape != "consent":
        found.extend(_transport(kind, facts))
    return found, is_conformant


def _transport(kind: Kind, facts: Facts) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    if facts.request_id:
        identifier = {"value": facts.request_id}
        if kind.shape == "disclosure":
            identifier = {"system": MESSAGE_ID, "value": facts.request_id}
        found.append({"what": {"identifier": identifier}, "type": _REQUEST})
    if facts.correlation_id:
        identifier = {"system": CASE_ID, "value": facts.correlation_id}
        found.append({"what": {"identifier": identifier}, "type": _CORRELATION})
    return found


_PERSON = {"system": _ENTITY, "code": "1"}
_SYSTEM_OBJECT = {"system": _ENTITY, "code": "2"}
_PATIENT = {"system": _ROLE, "code": "1"}
_DOMAIN_RESOURCE = {"system": _ROLE, "code": "4"}
_SECURITY_USER = {"system": _ROLE, "code": "11"}
_QUERY = {"system": _ROLE, "code": "24"}
_REQUEST = {"system": f"{BALP}/CodeSystem/BasicAuditEntityType", "code": "XrequestId"}
_CORRELATION = {"system": code_system("audit-entity"), "code": "x-correlation-id"}


def _data(kind: Kind, target: str) -> dict[str, Any]:
    what: dict[str, Any] = {"reference": target}
    if kind.shape == "account":
        of, _, value = target.partition("|")
        identifier = {
            "system": f"{ROOT}/sid/{of}",
            **({"value": value} if value else {}),
        }
        what = {"identifier": identifier}
        return {"what": what, "type": _SYSTEM_OBJECT, "role": _SECURITY_USER}
    if kind.shape == "consent":
        type_ = target.partition("/")[0]
        system = "http://hl7.org/fhir/resource-types"
        return {"what": what, "type": {"system": system, "code": type_}}
    return {"what": what, "type": _SYSTEM_OBJECT, "role": _DOMAIN_RESOURCE}


@lru_cache(maxsize=4096)
def _head(interaction: str, profile: str, observer: Observer, peer: Peer) -> bytes:
    """`meta` to `source` without the braces, for one client doing one thing."""
    kind = KINDS[interaction]
    head: dict[str, Any] = {}
    if profile:
        url = f"{BALP}/StructureDefinition/IHE.BasicAudit.{profile}"
        head["meta"] = {"profile": [url]}
    head["type"] = kind.type
    head["subtype"] = [kind.subtype]
    head["action"] = kind.action
    head["agent"] = _AGENTS[kind.shape](kind, observer, peer)
    head["source"] = {
        "observer": {"reference": f"Organization/{observer.organisation}"}
    }
    return orjson.dumps(head)[1:-1]


def _agent(
    code: str,
    who: dict[str, Any],
    *,
    requestor: bool = False,
    network: dict[str, Any] | None = None,
) -> dict[str, Any]:
    agent: dict[str, Any] = {
        "type": {"coding": [{"system": _ROLE_SYSTEMS.get(code, DCM), "code": code}]},
        "who": who,
        "requestor": requestor,
    }
    if network:
        agent["network"] = network
    return agent


def _network(address: str) -> dict[str, Any]:
    # BALP asks for the network of both ends; R4 has no "unknown" but the extension.
    if not address:
        return _ABSENT
    is_url = address.startswith(("http://", "https://"))
    return {"address": address, "type": "5" if is_url else "2"}


def _client(peer: Peer) -> dict[str, Any]:
    if not peer.client_id:
        return {"display": "unauthenticated"}
    return {"identifier": {"system": CLIENT_ID, "value": peer.client_id}}


def _organisation(id_: str) -> dict[str, Any]:
    return {"reference": f"Organization/{id_}"}


def _rest_agents(kind: Kind, observer: Observer, peer: Peer) -> list[dict[str, Any]]:
    agents = [
        _agent(
            kind.client, _client(peer), requestor=True, network=_network(peer.address)
        )
    ]
    if peer.organisation:
        agents.append(_agent(ORGANISATION_ROLE, _organisation(peer.organisation)))
    if peer.person:
        # BALP, UserAgentTypes: who receives, or on whose behalf something is written.
        code = "AGNT" if kind.action in "CUD" else "IRCP"
        agents.append(_agent(code, {"reference": peer.person}, requestor=True))
        agents[0]["requestor"] = False
    server = _organisation(observer.organisation)
    network = None if kind.server == "authserver" else _network(observer.address)
    agents.append(_agent(kind.server, server, network=network))
    return agents


def _consent_agents(kind: Kind, observer: Observer, peer: Peer) -> list[dict[str, Any]]:
    client, *rest = _rest_agents(kind, observer, peer)
    if not peer.organisation or peer.person:
        return [client, *rest]
    # AuthZconsent wants one user; a backend token has none (security.md §12).
    user = _agent("IRCP", _organisation(peer.organisation), requestor=True)
    user["role"] = [{"text": "organisation of the client; no user in the token"}]
    client["requestor"] = False
    return [client, user, *rest]


def _disclosure_agents(
    kind: Kind, observer: Observer, peer: Peer
) -> list[dict[str, Any]]:
    mine = _organisation(observer.organisation)
    theirs = _organisation(peer.organisation)
    is_ours = kind.server == SOURCE
    return [
        _agent(
            kind.server, mine, requestor=is_ours, network=_network(observer.address)
        ),
        _agent(
            kind.client, theirs, requestor=not is_ours, network=_network(peer.address)
        ),
    ]


_AGENTS = {
    "rest": _rest_agents,
    "account": _rest_agents,
    "consent": _consent_agents,
    "disclosure": _disclosure_agents,
}
