"""Build a child Task and read the Tasks of a case."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from hub.database import Session
from hub.directory import resources as directory_resources
from hub.directory.ask import StoredDirectory
from hub.disclosure import cases
from hub.disclosure.cases import Case
from hub.disclosure.classes import DataClass
from hub.fhir import dates
from hub.fhir.canonical import CASE_ID, ROOT, TASK_CODE, TASK_INPUT, TASK_REPLACES
from hub.fhir.json import Resource
from hub.referrals.mirror import coded
from hub.referrals.moves import is_hub_input
from hub.routing.facts import Desk
from hub.store import resources as store
from hub.store.visibility import hub_sees_all

# The desk a child Task was sent to. It stays when the desk narrows `owner` to one of
# its officers (KG-23).
RESPONSIBLE_DESK = f"{ROOT}/StructureDefinition/responsible-desk"
_TASK_CODES = "http://hl7.org/fhir/CodeSystem/task-code"


@dataclass(frozen=True, slots=True)
class Asked:
    """What a child Task is made from; `trace` is one sentence per line.

    `onward` (id, name) is the desk of the place of residence; `is_certain` False
    when it rests on an unconfirmed row: shown, never moved by itself (D-21).
    """

    desk: str
    desk_name: str
    business: tuple[str, ...]
    trace: str
    onward: tuple[str, str] | None = None
    is_certain: bool = True
    replaces: str | None = None
    priority: str | None = None


def child_task(
    parent: Resource, parent_id: str, case: Case, asked: Asked, at: datetime
) -> Resource:
    """A new request to one desk (workflow.md §3, move 1 or 8)."""
    task: Resource = {
        "resourceType": "Task",
        "basedOn": [{"reference": f"ServiceRequest/{case.service_request}"}],
        "groupIdentifier": {"system": CASE_ID, "value": case.correlation},
        "partOf": [{"reference": f"Task/{parent_id}"}],
        "status": "requested",
        "intent": "order",
        "code": {"coding": [{"system": _TASK_CODES, "code": "fulfill"}]},
        "focus": {"reference": f"ServiceRequest/{case.service_request}"},
        "for": {"reference": f"Patient/{case.patient}"},
        "authoredOn": dates.instant(at),
        "lastModified": dates.instant(at),
        "requester": {"reference": f"Organization/{case.source}"},
        "owner": {
            "reference": f"HealthcareService/{asked.desk}",
            "display": asked.desk_name,
        },
        "input": _inputs(parent, asked),
        "extension": [desk_extension(asked.desk)],
    }
    if asked.business:
        task["businessStatus"] = coded(*asked.business)
    if asked.priority or parent.get("priority"):
        task["priority"] = asked.priority or parent["priority"]
    if asked.replaces:
        task["extension"].append(
            {
                "url": TASK_REPLACES,
                "valueReference": {"reference": f"Task/{asked.replaces}"},
            }
        )
    return task


def desk_extension(desk: str) -> dict[str, Any]:
    """The mark of the desk in charge of a Task, whoever owns it."""
    reference = {"reference": f"HealthcareService/{desk}"}
    return {"url": RESPONSIBLE_DESK, "valueReference": reference}


def _inputs(parent: Resource, asked: Asked) -> list[dict[str, Any]]:
    inputs = [one for one in parent.get("input", ()) if not is_hub_input(one)]
    inputs.append(coded_value("routing-trace", {"valueString": asked.trace}))
    if asked.onward:
        inputs.append(
            coded_value(
                "onward-desk" if asked.is_certain else "onward-desk-unconfirmed",
                {
                    "valueReference": {
                        "reference": f"HealthcareService/{asked.onward[0]}",
                        "display": asked.onward[1],
                    }
                },
            )
        )
    return inputs


def coded_value(code: str, value: dict[str, Any]) -> dict[str, Any]:
    """A Task.input or Task.output of one of the hub's types."""
    return {"type": {"coding": [{"system": TASK_INPUT, "code": code}]}, **value}


def proposed_desk(task: Resource) -> str | None:
    """The desk (HealthcareService id) the recipient proposes last in Task.output."""
    proposed = references(task, "output", "proposed-desk", "HealthcareService")
    return proposed[-1] if proposed else None


def input_desk(task: Resource) -> str | None:
    """The desk of the place of residence that the router named (`onward-desk`)."""
    named = references(task, "input", "onward-desk", "HealthcareService")
    return named[0] if named else None


def references(
    task: Resource, element: str, code: str, kind: str = "Organization"
) -> list[str]:
    """The ids that inputs (or outputs: `element`) of this type refer to, in order."""
    found = []
    for entry in task.get(element, ()):
        reference = (entry.get("valueReference") or {}).get("reference", "")
        if _has_code(entry, code) and reference.startswith(f"{kind}/"):
            found.append(reference.removeprefix(f"{kind}/"))
    return found


def has_phone_call(task: Resource) -> bool:
    """True when a telephone call is recorded among the inputs (KG-05)."""
    return any(_has_code(entry, "phone-call") for entry in task.get("input", ()))


def _has_code(entry: dict[str, Any], code: str) -> bool:
    return any(
        coding.get("code") == code
        for coding in (entry.get("type") or {}).get("coding", ())
    )


def replaced_by(task: Resource) -> str | None:
    """The id of the Task that this one replaces (task-replaces), None if none."""
    for extension in task.get("extension", ()):
        if extension.get("url") == TASK_REPLACES:
            reference = extension["valueReference"]["reference"]
            return str(reference).removeprefix("Task/")
    return None


def is_child(task: Resource, case: Case) -> bool:
    """True for a request of the hub to a desk; not for parent, abort and recall."""
    return not (is_abort(task) or is_recall(task)) and any(
        part.get("reference") == f"Task/{case.parent_task}"
        for part in task.get("partOf", ())
    )


def is_abort(task: Resource) -> bool:
    """True for the sender's request to stop (task-code `abort`, move 16)."""
    return any(
        c.get("code") == "abort" for c in (task.get("code") or {}).get("coding", ())
    )


def is_recall(task: Resource) -> bool:
    """True for the hub's question to a holder what became of its copy."""
    return any(
        c.get("system") == TASK_CODE and c.get("code") == "recall"
        for c in (task.get("code") or {}).get("coding", ())
    )


def of_case(session: Session, case: Case) -> list[Resource]:
    """The child Tasks of a case as they are, oldest first."""
    tasks = [_read(session, id) for _, id in cases.members(session, case.id, ("Task",))]
    return sorted(
        (task for task in tasks if is_child(task, case)),
        key=lambda task: (str(task.get("authoredOn", "")), str(task["id"])),
    )


def recalls_of(session: Session, case: Case) -> list[Resource]:
    """The recall Tasks of a case as they are, by id."""
    held = cases.members(session, case.id, ("Task",), DataClass.RECALL)
    return [_read(session, id) for _, id in held]


def desk_of(task: Resource) -> str:
    """The desk (HealthcareService id) in charge of a child Task, whoever owns it."""
    for extension in task.get("extension", ()):
        if extension.get("url") == RESPONSIBLE_DESK:
            reference = extension["valueReference"]["reference"]
            return str(reference).removeprefix("HealthcareService/")
    return str(task["owner"]["reference"]).removeprefix("HealthcareService/")


def desk_in_charge(session: Session, task: Resource) -> Desk | None:
    """The desk of a child Task, also one that takes no new requests any more."""
    id = desk_of(task)
    if (active := StoredDirectory(session).desk(id)) is not None:
        return active
    stored = store.read(session, "HealthcareService", id, hub_sees_all)
    return directory_resources.desk_of(stored.resource()) if stored else None


def desks(tasks: Sequence[Resource]) -> set[str]:
    """Every desk that has or had a Task of the case."""
    return {desk_of(task) for task in tasks}


def _read(session: Session, id: str) -> Resource:
    stored = store.read(session, "Task", id, hub_sees_all)
    if stored is None:
        raise LookupError(f"Task/{id} is in a case but not in the store")
    return stored.resource()
