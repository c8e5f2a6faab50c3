"""The sender's request to stop (workflow.md §3, move 16) as it is stored."""

from hub.database import Session
from hub.disclosure.cases import Case
from hub.fhir.json import Resource
from hub.fhir.outcome import FhirError, issue
from hub.referrals import children


def complete_abort(session: Session, task: Resource, case: Case) -> None:
    """Fill the owner: the desk of the Task to stop; 422 when focus names no such Task.

    Without an owner nobody could accept the request.
    """
    focus = str((task.get("focus") or {}).get("reference", ""))
    tasks = children.of_case(session, case)
    asked = next((t for t in tasks if f"Task/{t['id']}" == focus), None)
    if asked is None:
        raise FhirError(issue("HUB-REST-033", "Task.focus"))
    task["owner"] = asked["owner"]
