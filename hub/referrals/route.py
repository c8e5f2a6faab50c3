"""Where a referral goes: facts gathered, rule applied, told as FHIR or as JSON."""

from dataclasses import dataclass, replace
from datetime import date
from typing import Any

from hub.directory.address import Resolved
from hub.directory.ask import Directory
from hub.directory.values import Organisation
from hub.fhir.json import Resource
from hub.fhir.outcome import Issue
from hub.programmes import Programme
from hub.referrals.facts import codings, gather
from hub.routing import Decision, Desk, Step, decide


@dataclass(frozen=True, slots=True)
class Routed:
    """A decision, how the address was read, and what was doubtful about it."""

    decision: Decision
    residence: Resolved

    @property
    def warnings(self) -> tuple[Issue, ...]:
        """What was doubtful about the address, severity warning."""
        return self.residence.warnings


def route(
    directory: Directory,
    programme: Programme,
    source: Organisation,
    patient: Resource,
    service_request: Resource | None,
    on: date,
    *,
    held_by: str | None = None,
    left: frozenset[str] = frozenset(),
) -> Decision:
    """Decide the desks of a referral; the trace begins with the address.

    `on` is a day in Japan. Stores nothing and never refuses: a Decision without
    desk says what is missing (workflow.md §6).
    """
    return route_with_warnings(
        directory,
        programme,
        source,
        patient,
        service_request,
        on,
        held_by=held_by,
        left=left,
    ).decision


def route_with_warnings(
    directory: Directory,
    programme: Programme,
    source: Organisation,
    patient: Resource,
    service_request: Resource | None,
    on: date,
    *,
    held_by: str | None = None,
    left: frozenset[str] = frozenset(),
) -> Routed:
    """`route`, with the warnings about the address beside the decision."""
    rule = programme.routing
    facts, residence = gather(
        directory,
        rule,
        source,
        patient,
        service_request,
        on,
        held_by=held_by,
        left=left,
    )
    decision = decide(rule, facts)
    decision = replace(
        decision,
        trace=(*residence.trace, *decision.trace),
        priority=programme.priority(codings(service_request or {})),
    )
    return Routed(decision, residence)


def to_parameters(decision: Decision) -> Resource:
    """The answer of `HealthcareService/$route` as a Parameters resource.

    Parameters: `initial` and `residence` (references to HealthcareService), `advise`,
    `needs-confirmation`, `business-status`, `missing`*, `candidate`* (municipality
    codes), `priority`, and one `trace` with parts per step.
    """
    parameters: list[Resource] = [
        *_reference("initial", decision.initial),
        *_reference("residence", decision.onward),
        {"name": "advise", "valueBoolean": decision.advise},
        {"name": "needs-confirmation", "valueBoolean": decision.needs_confirmation},
    ]
    if decision.business_status:
        parameters.append(
            {"name": "business-status", "valueCode": decision.business_status}
        )
    if decision.priority:
        parameters.append({"name": "priority", "valueCode": decision.priority})
    parameters += [{"name": "missing", "valueCode": m} for m in decision.missing]
    parameters += [{"name": "candidate", "valueCode": c} for c in decision.candidates]
    parameters += [{"name": "trace", "part": _parts(step)} for step in decision.trace]
    return {"resourceType": "Parameters", "parameter": parameters}


def to_json(decision: Decision) -> dict[str, Any]:
    """The `route` of the command line: `initial`, `residence` and the trace.

    Desks are `{"id", "name"}` or null; a step has `rule`, `text`, `english`, and,
    where a table row spoke, `row`, `version`, `confidence`.
    """
    return {
        "initial": _desk(decision.initial),
        "residence": _desk(decision.onward),
        "advise": decision.advise,
        "business_status": decision.business_status,
        "needs_confirmation": decision.needs_confirmation,
        "missing": list(decision.missing),
        "candidates": list(decision.candidates),
        "trace": [_step(step) for step in decision.trace],
    }


def _desk(desk: Desk | None) -> dict[str, str] | None:
    return {"id": desk.id, "name": desk.name} if desk else None


def _reference(name: str, desk: Desk | None) -> list[Resource]:
    if desk is None:
        return []
    reference = {"reference": f"HealthcareService/{desk.id}", "display": desk.name}
    return [{"name": name, "valueReference": reference}]


def _step(step: Step) -> dict[str, str]:
    told = {
        "rule": step.rule,
        "text": step.ja,
        "english": step.en,
        "row": step.row,
        "version": step.version,
        "confidence": step.confidence,
    }
    return {key: value for key, value in told.items() if value}


def _parts(step: Step) -> list[Resource]:
    return [{"name": key, "valueString": value} for key, value in _step(step).items()]
