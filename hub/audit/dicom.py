"""AuditEvent to DICOM Audit Message (PS3.15 A.5, on RFC 3881): what JAHIS asks for.

JAHIS (ヘルスケア分野における監査証跡のメッセージ標準規約) takes its message from
there. One message is one line of XML. Field by field:

    type, subtype            EventID, EventTypeCode (below)
    action, outcome          EventActionCode, EventOutcomeIndicator
    recorded                 EventDateTime, with the zone
    outcomeDesc              EventOutcomeDescription
    agent.type               ActiveParticipant/RoleIDCode
    agent.who                UserID: client id, or the reference of the organisation
    agent.requestor          UserIsRequestor
    agent.network            NetworkAccessPointID, NetworkAccessPointTypeCode
    source.observer          AuditSourceIdentification/AuditSourceID (a server, 4)
    id                       AuditEnterpriseSiteID holds the hub, the id is a Detail
    entity.what              ParticipantObjectID and ParticipantObjectName
    entity.type, .role       ParticipantObjectTypeCode, ParticipantObjectTypeCodeRole
    entity.query             ParticipantObjectQuery (base64, as it is stored)
    entity.detail            ParticipantObjectDetail (base64)
    purposeOfEvent           ParticipantObjectDetail `purposeOfEvent` of the patient

FHIR's RESTful events have no EventID of their own in DICOM: a search is a Query
(110112), what touches a person's record a Patient Record (110110); their EventTypeCode
is FHIR's interaction. All other events already carry DICOM's codes.
"""

from base64 import b64encode
from typing import Any

from hub.audit.kinds import DCM

_NAMES = {
    "110101": "Audit Log Used",
    "110106": "Export",
    "110107": "Import",
    "110110": "Patient Record",
    "110112": "Query",
    "110113": "Security Alert",
    "110114": "User Authentication",
    "110122": "Login",
    "110123": "Logout",
    "110137": "User Security Attributes Changed",
    "110150": "Application",
    "110152": "Destination Role ID",
    "110153": "Source Role ID",
}
_RECORD, _QUERY = "110110", "110112"
_PERSON, _SYSTEM_OBJECT, _OTHER = "1", "2", "4"
# RFC 3881 §5.5.4: what kind of number an object is named by.
_ID_TYPES = {
    "patient": ("2", "RFC-3881", "Patient Number"),
    "query": ("10", "RFC-3881", "Search Criteria"),
    "other": ("12", "RFC-3881", "URI"),
}
_ESCAPED = {
    ord("&"): "&amp;",
    ord("<"): "&lt;",
    ord(">"): "&gt;",
    ord('"'): "&quot;",
    ord("\t"): "&#9;",
    ord("\n"): "&#10;",
    ord("\r"): "&#13;",
    # XML 1.0 has no other control characters, not even escaped.
    **dict.fromkeys((*range(9), 11, 12), "�"),
    **dict.fromkeys((*range(14, 32), 65534, 65535), "�"),
}


def message(event: dict[str, Any]) -> str:
    """One AuditMessage element, without a line end and without an XML declaration."""
    participants = "".join(_participant(agent) for agent in event["agent"])
    objects = "".join(_object(event, entity) for entity in event.get("entity", ()))
    body = f"{_identification(event)}{participants}{_source(event)}{objects}"
    return f"<AuditMessage>{body}</AuditMessage>"


def _identification(event: dict[str, Any]) -> str:
    inside = _coded("EventID", *_event_id(event))
    for subtype in event["subtype"]:
        inside += _coded("EventTypeCode", *_names(subtype))
    if description := event.get("outcomeDesc"):
        text = _text(description)
        inside += f"<EventOutcomeDescription>{text}</EventOutcomeDescription>"
    return _element(
        "EventIdentification",
        {
            "EventActionCode": event["action"],
            "EventDateTime": event["recorded"],
            "EventOutcomeIndicator": event["outcome"],
        },
        inside,
    )


def _event_id(event: dict[str, Any]) -> tuple[str, str, str]:
    type_: dict[str, str] = event["type"]
    if type_["code"] != "rest":
        return _names(type_)
    code = event["subtype"][0]["code"]
    if code.startswith("search"):
        return _QUERY, "DCM", _NAMES[_QUERY]
    if any(_is_patient(entity) for entity in event.get("entity", ())):
        return _RECORD, "DCM", _NAMES[_RECORD]
    return _names(type_)


def _names(coding: dict[str, str]) -> tuple[str, str, str]:
    """Code, the name of its system, its meaning."""
    code = coding["code"]
    if coding["system"] == DCM:
        return code, "DCM", _NAMES[code]
    return code, coding["system"], coding.get("display", code)


def _participant(agent: dict[str, Any]) -> str:
    inside = "".join(_coded("RoleIDCode", *_names(c)) for c in agent["type"]["coding"])
    attributes = {
        "UserID": _who(agent["who"]),
        "UserIsRequestor": "true" if agent["requestor"] else "false",
    }
    network = agent.get("network", {})
    if "address" in network:
        attributes["NetworkAccessPointID"] = network["address"]
        attributes["NetworkAccessPointTypeCode"] = network["type"]
    return _element("ActiveParticipant", attributes, inside)


def _who(who: dict[str, Any]) -> str:
    named = who.get("reference") or who.get("identifier", {}).get("value")
    return str(named or who.get("display", "unknown"))


def _source(event: dict[str, Any]) -> str:
    source = _who(event["source"]["observer"])
    attributes = {"AuditEnterpriseSiteID": source, "AuditSourceID": source}
    # 4: application server process (PS3.15 A.5.1.2.1).
    return _element(
        "AuditSourceIdentification", attributes, '<AuditSourceTypeCode csd-code="4"/>'
    )


def _object(event: dict[str, Any], entity: dict[str, Any]) -> str:
    is_patient, query = _is_patient(entity), entity.get("query")
    what = _who(entity.get("what", {})) if "what" in entity else event["id"]
    attributes = {
        "ParticipantObjectID": what,
        "ParticipantObjectTypeCode": _type_code(entity),
    }
    if role := entity.get("role", {}).get("code"):
        attributes["ParticipantObjectTypeCodeRole"] = role
    kind = "patient" if is_patient else "query" if query else "other"
    inside = _coded("ParticipantObjectIDTypeCode", *_ID_TYPES[kind])
    if query:
        inside += f"<ParticipantObjectQuery>{_text(query)}</ParticipantObjectQuery>"
    else:
        inside += f"<ParticipantObjectName>{_text(what)}</ParticipantObjectName>"
    inside += "".join(_detail(*one) for one in _details(event, entity))
    return _element("ParticipantObjectIdentification", attributes, inside)


def _type_code(entity: dict[str, Any]) -> str:
    code = entity.get("type", {}).get("code", "")
    return code if code in (_PERSON, _SYSTEM_OBJECT) else _OTHER


def _details(event: dict[str, Any], entity: dict[str, Any]) -> list[tuple[str, str]]:
    found = [(one["type"], one["valueString"]) for one in entity.get("detail", ())]
    if entity is event["entity"][0]:
        found.append(("AuditEvent.id", event["id"]))
    if _is_patient(entity):
        for purpose in event.get("purposeOfEvent", ()):
            found += [("purposeOfEvent", c["code"]) for c in purpose["coding"]]
    return found


def _is_patient(entity: dict[str, Any]) -> bool:
    return bool(entity.get("role", {}).get("code") == "1")


def _detail(type_: str, value: str) -> str:
    encoded = b64encode(value.encode()).decode()
    return _element("ParticipantObjectDetail", {"type": type_, "value": encoded}, "")


def _coded(name: str, code: str, system: str, meaning: str) -> str:
    attributes = {"csd-code": code, "codeSystemName": system, "originalText": meaning}
    return _element(name, attributes, "")


def _element(name: str, attributes: dict[str, str], inside: str) -> str:
    said = "".join(f' {key}="{_text(value)}"' for key, value in attributes.items())
    return f"<{name}{said}>{inside}</{name}>" if inside else f"<{name}{said}/>"


def _text(value: str) -> str:
    return value.translate(_ESCAPED)
