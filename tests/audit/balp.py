"""Does an AuditEvent have what its BALP profile requires? The facts are balp.json."""

import json
from pathlib import Path
from typing import Any

_FACTS = json.loads((Path(__file__).parent / "balp.json").read_text("utf-8"))
_PREFIX = "https://profiles.ihe.net/ITI/BALP/StructureDefinition/IHE.BasicAudit."
PROFILES = tuple(_FACTS["profiles"])


def profile_of(event: dict[str, Any]) -> str | None:
    """`Read` or `PatientRead`; None for an event that claims no profile."""
    claimed = event.get("meta", {}).get("profile", [])
    assert len(claimed) <= 1
    return claimed[0].removeprefix(_PREFIX) if claimed else None


def faults(event: dict[str, Any]) -> list[str]:
    """What the claimed profile misses, in words; empty when it conforms."""
    name = profile_of(event)
    assert name is not None
    has_patient = name.startswith("Patient")
    base = name.removeprefix("Patient") if has_patient else name
    rule = _FACTS["profiles"][base]
    wanted = [*rule["entities"], *(["patient"] if has_patient else [])]
    return [
        *_codes(event, rule),
        *_agents(event, rule["agents"]),
        *_entities(event, wanted, closed=rule.get("closed", False)),
        *_least(event, rule.get("least", 1)),
    ]


def _codes(event: dict[str, Any], rule: dict[str, Any]) -> list[str]:
    found = []
    if not _is(event["type"], rule["type"]):
        found.append("type")
    if not any(_is(s, one) for s in event["subtype"] for one in rule["subtype"]):
        found.append("subtype")
    if event["action"] != rule["action"]:
        found.append("action")
    if event["outcome"] not in rule["outcome"]:
        found.append("outcome")
    if "recorded" not in event or "observer" not in event.get("source", {}):
        found.append("recorded or source")
    return found


def _agents(event: dict[str, Any], rules: dict[str, str]) -> list[str]:
    found = []
    for code, wants in rules.items():
        own = [a for a in event["agent"] if _is(a["type"]["coding"][0], code)]
        if len(own) != 1:
            found.append(f"{len(own)} agents {code}")
            continue
        (agent,) = own
        if not agent.get("who"):
            found.append(f"agent {code} without who")
        if ("network" in wants) != ("network" in agent):
            found.append(f"network of agent {code}")
        if wants == "requestor" and agent["requestor"] is not True:
            found.append(f"requestor of agent {code}")
        if wants in ("bystander", "observer") and agent["requestor"] is not False:
            found.append(f"requestor of agent {code}")
        if "observer" in wants and agent["who"] != event["source"]["observer"]:
            found.append("val-audit-source")
    return found


def _entities(event: dict[str, Any], names: list[str], *, closed: bool) -> list[str]:
    found, explained = [], 0
    for name in names:
        rule = _FACTS["slices"][name]
        own = [e for e in event.get("entity", []) if _belongs(e, rule)]
        explained += len(own)
        low, high = rule["count"]
        if len(own) < low or (high is not None and len(own) > high):
            found.append(f"{len(own)} entities {name}")
        for entity in own:
            found += [f"{name} lacks {p}" for p in rule["must"] if not _at(entity, p)]
            found += [f"{name} has {p}" for p in rule["not"] if p in entity]
    if closed and explained != len(event.get("entity", [])):
        found.append("an entity outside a closed slicing")
    return found


def _least(event: dict[str, Any], least: int) -> list[str]:
    count = len(event.get("entity", []))
    return [] if count >= least else [f"only {count} entities"]


def _belongs(entity: dict[str, Any], rule: dict[str, Any]) -> bool:
    is_type = _is(entity.get("type", {}), rule["type"])
    roles = rule["role"]
    return is_type and (not roles or any(_is(entity.get("role", {}), r) for r in roles))


def _is(coding: dict[str, Any], short: str) -> bool:
    system, _, code = short.partition("#")
    wanted = (_FACTS["systems"][system], code)
    return (coding.get("system"), coding.get("code")) == wanted


def _at(value: Any, path: str) -> Any:
    for step in path.split("."):
        value = value.get(step) if isinstance(value, dict) else None
    return value
