"""How each interaction is shown: BALP 1.1's type, subtype, action and agent roles.

What BALP has no profile for takes the codes of DICOM PS3.16 (CID 400 and 401).
"""

from typing import NamedTuple

BALP = "https://profiles.ihe.net/ITI/BALP"
DCM = "http://dicom.nema.org/resources/ontology/DCM"
_INTERACTION = "http://hl7.org/fhir/restful-interaction"
_REST = {
    "system": "http://terminology.hl7.org/CodeSystem/audit-event-type",
    "code": "rest",
}
_DISCLOSE = {
    "system": "http://terminology.hl7.org/CodeSystem/iso-21089-lifecycle",
    "code": "disclose",
}

ORGANISATION_ROLE = "PROV"
SOURCE = "110153"
DESTINATION = "110152"
EXPORT = "110106"
IMPORT = "110107"


class Kind(NamedTuple):
    """How one interaction is shown: BALP's type, subtype, action and agent roles.

    `profile` is the rest of the name of BALP's profile, empty without one; `shape`
    decides which agents and entities there are.
    """

    type: dict[str, str]
    subtype: dict[str, str]
    action: str
    client: str
    server: str
    profile: str = ""
    shape: str = "rest"


def _rest(
    code: str,
    action: str,
    client: str = SOURCE,
    server: str = DESTINATION,
    profile: str = "",
) -> Kind:
    subtype = {"system": _INTERACTION, "code": code}
    return Kind(_REST, subtype, action, client, server, profile)


def _dcm(code: str) -> dict[str, str]:
    return {"system": DCM, "code": code}


def _account(action: str) -> Kind:
    type_, subtype = _dcm("110113"), _dcm("110137")
    return Kind(type_, subtype, action, "110150", "authserver", shape="account")


_CONSENT = Kind(
    _dcm("110113"),
    {"system": f"{BALP}/CodeSystem/AuthZsubType", "code": "AuthZ-Consent"},
    "E",
    "110150",
    "authserver",
    "AuthZconsent",
    "consent",
)

KINDS: dict[str, Kind] = {
    "create": _rest("create", "C", profile="Create"),
    "read": _rest("read", "R", DESTINATION, SOURCE, "Read"),
    "vread": _rest("vread", "R", DESTINATION, SOURCE, "Read"),
    "update": _rest("update", "U", profile="Update"),
    "patch": _rest("patch", "U", profile="Update"),
    "delete": _rest("delete", "D", "110150", "custodian", "Delete"),
    # In BALP the query flows from the client, although the data flows to it.
    "search-type": _rest("search-type", "E", profile="Query"),
    "search-system": _rest("search-system", "E", profile="Query"),
    "history-instance": _rest("history-instance", "R", DESTINATION, SOURCE),
    "history-type": _rest("history-type", "R", DESTINATION, SOURCE),
    "history-system": _rest("history-system", "R", DESTINATION, SOURCE),
    "operation": _rest("operation", "E"),
    "transaction": _rest("transaction", "E"),
    "batch": _rest("batch", "E"),
    "consent-permit": _CONSENT,
    "consent-deny": _CONSENT,
    "disclose": Kind(
        _dcm(EXPORT),
        _DISCLOSE,
        "R",
        DESTINATION,
        SOURCE,
        "PrivacyDisclosure.Source",
        "disclosure",
    ),
    "receive": Kind(
        _dcm(IMPORT),
        _DISCLOSE,
        "C",
        SOURCE,
        DESTINATION,
        "PrivacyDisclosure.Recipient",
        "disclosure",
    ),
    "login": Kind(_dcm("110114"), _dcm("110122"), "E", "110150", "authserver"),
    "logout": Kind(_dcm("110114"), _dcm("110123"), "E", "110150", "authserver"),
    # User Security Attributes Changed, and relatives: who may use the hub.
    "account-create": _account("C"),
    "account-read": _account("R"),
    "account-update": _account("U"),
    "account-search": _account("E"),
    # Audit Log Used: exported, or gathered into a report, by the operator.
    "log-export": Kind(_dcm("110101"), _dcm(EXPORT), "R", "110150", "custodian"),
    "log-report": Kind(_dcm("110101"), _dcm("110112"), "R", "110150", "custodian"),
}
