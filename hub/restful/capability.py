"""The CapabilityStatement, made from the tables that serve the requests."""

from typing import Any

from hub.disclosure.classes import PUBLIC_TYPES
from hub.fhir.canonical import ROOT
from hub.fhir.outcome import catalogue
from hub.restful.hub import Hub
from hub.restful.privacy import PARAMETERS
from hub.restful.served import SERVED
from hub.store.parameters import compartments
from hub.subscriptions import backport

_OAUTH_URIS = "http://fhir-registry.smarthealthit.org/StructureDefinition/oauth-uris"
_SMART = "http://terminology.hl7.org/CodeSystem/restful-security-service"
OPERATIONS: dict[str, tuple[str, ...]] = {
    "route": ("HealthcareService",),
    "explain-access": ("EpisodeOfCare",),
    "disclosures": ("Patient",),
    "status": ("Subscription",),
    "events": ("Subscription",),
    "fire": ("Subscription",),
    "secret": ("Subscription",),
}
_DEFINED_ELSEWHERE = {
    "status": backport.STATUS_OPERATION,
    "events": backport.EVENTS_OPERATION,
}


def capability_statement(hub: Hub, date: str) -> dict[str, Any]:
    """What `GET /metadata` answers; `date` is when the hub started (FHIR instant)."""
    return {
        "resourceType": "CapabilityStatement",
        "url": f"{hub.base}/metadata",
        "name": "TsunagiHub",
        "title": "つなぎハブ",
        "status": "active",
        "date": date,
        "kind": "instance",
        "instantiates": [backport.SERVER],
        "software": {"name": "Tsunagi Hub"},
        "implementation": {"description": "つなぎハブ FHIR R4 API", "url": hub.base},
        "fhirVersion": "4.0.1",
        "format": ["application/fhir+json", "json", "application/fhir+xml", "xml"],
        "patchFormat": [
            "application/json-patch+json",
            "application/fhir+json",
            "application/fhir+xml",
        ],
        "rest": [
            {
                "mode": "server",
                "documentation": _limits(hub),
                "security": _security(hub),
                "resource": [_resource(hub, name) for name in sorted(SERVED)],
                "interaction": [
                    {"code": code}
                    for code in (
                        "transaction",
                        "batch",
                        "search-system",
                        "history-system",
                    )
                ],
                "compartment": [
                    f"http://hl7.org/fhir/CompartmentDefinition/{name[0].lower()}{name[1:]}"
                    for name in sorted(compartments())
                ],
            }
        ],
    }


def _limits(hub: Hub) -> str:
    settings = hub.settings
    return (
        f"1 Bundle は {settings.max_bundle_entries} entry、本文は "
        f"{settings.max_body_bytes} バイト、1ページは {settings.max_page_size} 件まで。"
        f"JSON の入れ子は {settings.max_depth}、1件の処理は "
        f"{settings.request_seconds:g} 秒まで。{_rate(hub)}"
        f" Issues have stable ids ({len(catalogue())} of them)."
    )


def _rate(hub: Hub) -> str:
    """How often a client may call, where that is limited."""
    settings = hub.settings
    if not settings.rate_per_second:
        return ""
    return (
        f"1クライアントは毎秒 {settings.rate_per_second:g} 回（一度に "
        f"{settings.rate_burst} 回）まで。"
    )


def _authorize(hub: Hub, root: str) -> list[dict[str, Any]]:
    """The authorization endpoint, where persons can log in."""
    found = {"url": "authorize", "valueUri": f"{root}/oauth/authorize"}
    return [found] if hub.settings.has_login else []


def _security(hub: Hub) -> dict[str, Any]:
    root = hub.settings.base_url.rstrip("/")
    return {
        "cors": False,
        "service": [{"coding": [{"system": _SMART, "code": "SMART-on-FHIR"}]}],
        "extension": [
            {
                "url": _OAUTH_URIS,
                "extension": [
                    *_authorize(hub, root),
                    {"url": "token", "valueUri": hub.settings.token_url},
                    {"url": "introspect", "valueUri": f"{root}/oauth/introspect"},
                    {"url": "revoke", "valueUri": f"{root}/oauth/revoke"},
                ],
            }
        ],
    }


def _resource(hub: Hub, name: str) -> dict[str, Any]:
    interactions = SERVED[name]
    is_searched = "search-type" in interactions
    found: dict[str, Any] = {
        "type": name,
        "interaction": [{"code": code} for code in interactions],
        "versioning": "versioned-update" if name == "Task" else "versioned",
        "readHistory": "history-instance" in interactions,
        "updateCreate": name in PUBLIC_TYPES,
        "conditionalCreate": is_searched and "create" in interactions,
        "conditionalRead": "full-support" if "vread" in interactions else None,
        "conditionalUpdate": is_searched and "update" in interactions,
        "conditionalDelete": "single"
        if is_searched and "delete" in interactions
        else "not-supported",
        "referencePolicy": ["literal", "local"],
    }
    if name == "AuditEvent":
        found["versioning"] = "no-version"
        found["searchParam"] = [
            {"name": code, "type": kind} for code, kind in PARAMETERS.items()
        ]
    elif is_searched:
        found |= _searching(hub, name)
    operations = [code for code, types in OPERATIONS.items() if name in types]
    if operations:
        found["operation"] = [
            {
                "name": code,
                "definition": _DEFINED_ELSEWHERE.get(
                    code, f"{ROOT}/OperationDefinition/{code}"
                ),
            }
            for code in operations
        ]
    if name == "Subscription":
        found |= _subscribable(hub)
    return {key: value for key, value in found.items() if value is not None}


def _subscribable(hub: Hub) -> dict[str, Any]:
    """The topics and the profile (Backport 1.1, topic discovery on R4)."""
    topics = [
        {"url": backport.TOPIC_CANONICAL, "valueCanonical": f"{one.url}|{one.version}"}
        for one in hub.subscribable.topics.values()
    ]
    return {"supportedProfile": [backport.SUBSCRIPTION], "extension": topics}


def _searching(hub: Hub, name: str) -> dict[str, Any]:
    """Parameters and includes of one type; no empty list, which FHIR forbids."""
    declared = sorted(hub.declared[name].items())
    found = {
        "searchParam": [{"name": code, "type": one.type} for code, one in declared],
        "searchInclude": [
            f"{name}:{code}" for code, one in declared if one.type == "reference"
        ],
        "searchRevInclude": [
            f"{other}:{code}"
            for other in sorted(SERVED)
            for code, one in sorted(hub.declared.get(other, {}).items())
            if one.type == "reference" and {"*", name} & {*one.targets}
        ],
    }
    return {key: value for key, value in found.items() if value}
