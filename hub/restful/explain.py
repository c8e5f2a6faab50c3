"""`EpisodeOfCare/[id]/$explain-access`: who may see a case, why, and until when.

Computed from the rule that enforcement uses (`disclosure.access`, security.md G9).
"""

from typing import Any

from hub import audit
from hub.actor import Actor
from hub.database import Session
from hub.disclosure import access, cases, grants
from hub.disclosure.access import Access
from hub.disclosure.classes import DataClass
from hub.fhir import dates
from hub.fhir.canonical import DATA_CLASS, TRANSLATION
from hub.fhir.outcome import FhirError, issue
from hub.reports.terms import ROLES, Said, Terms, when
from hub.restful import answers
from hub.restful.answers import Answer
from hub.restful.call import Call, require_parameters, require_scope
from hub.restful.hub import Hub
from hub.restful.visible import require_visible

Row = dict[str, Any]


def explain_access(hub: Hub, actor: Actor, call: Call) -> Answer:
    """GET EpisodeOfCare/[id]/$explain-access.

    Asked by who sees the case (scope `EpisodeOfCare.r`) or a privacy officer (scope
    `AuditEvent.r`); for everybody else the case is not there. Whoever is neither the
    sender nor a desk in charge is told of its own access alone (KG-16).
    """
    is_privacy = "privacy" in actor.roles and actor.may("r", "AuditEvent")
    if not is_privacy:
        require_scope(actor, "r", "EpisodeOfCare")
    require_parameters(call)
    at = dates.now()
    with hub.database.transaction(write=False) as session:
        if not is_privacy:
            require_visible(session, actor, "EpisodeOfCare", call.id)
        case = cases.find(session, call.id)
        if case is None:
            raise FhirError(issue("HUB-REST-001"))
        rows = {row["id"]: row for row in grants.explain(session, case.id)}
        open_now = access.of_case(session, case.id, at)
        if not is_privacy and not _takes_part(session, actor, case.id):
            mine = actor.organisation
            rows = {k: r for k, r in rows.items() if r["organisation"] == mine}
            open_now = [one for one in open_now if one.organisation == mine]
        terms = Terms(hub.knowledge.packages, session)
        told = [
            *(_access(terms, one, rows) for one in open_now),
            *(_grant(terms, row, open_now) for row in rows.values()),
        ]
        audit.record(
            session,
            actor,
            "operation",
            targets=[f"EpisodeOfCare/{call.id}"],
            patients=[f"Patient/{case.patient}"],
            at=at,
        )
    return answers.of_json({"resourceType": "Parameters", "parameter": told})


def _takes_part(session: Session, actor: Actor, case_id: str) -> bool:
    """The sender, also of what ended; a desk in charge, not one that was."""
    return any(
        held["role"] == "source" or held["classes"] & DataClass.CONSENT
        for held in grants.held(session, case_id, actor.organisation)
    )


def _access(terms: Terms, one: Access, rows: dict[str, Row]) -> Row:
    """One organisation, one class: in force at this moment."""
    code = str(one.data_class.name).lower()
    word, name = terms.data_class(code), terms.organisation(one.organisation)
    until = when(one.until) if one.until else None
    by = [rows[id] for id in one.grants]
    bases = {row["basis"]: terms.basis(row["basis"]) for row in by}
    clauses = {row["clause"]: terms.clause(row["clause"]) for row in by}
    why_ja = "、".join(s.ja for s in (*bases.values(), *clauses.values()))
    why_en = "; ".join(s.en for s in (*bases.values(), *clauses.values()))
    text = Said(
        f"{name}は「{word.ja}」を見られます。"
        f"期限：{until.ja if until else 'なし'}。根拠：{why_ja}。",
        f"{name} may see: {word.en}. Until: {until.en if until else 'no end'}. "
        f"Basis: {why_en}.",
    )
    coding = {"system": DATA_CLASS, "code": code, "display": word.ja}
    parts: list[Row] = [
        organisation_part(one.organisation, name),
        {"name": "class", "valueCoding": coding},
    ]
    if one.until is not None:
        parts.append({"name": "until", "valueInstant": dates.instant(one.until)})
    parts += [{"name": "basis", "valueCode": basis} for basis in bases]
    parts += [{"name": "clause", "valueString": clause} for clause in clauses]
    return {"name": "access", "part": [*parts, text_part(text)]}


def _grant(terms: Terms, row: Row, open_now: list[Access]) -> Row:
    """One grant, closed ones too: what it opens, and how it ended."""
    name = terms.organisation(row["organisation"])
    parts: list[Row] = [
        organisation_part(row["organisation"], name),
        {"name": "role", "valueCode": row["role"]},
        {"name": "basis", "valueCode": row["basis"]},
        {"name": "consent", "valueString": row["consent"]},
        {"name": "clause", "valueString": row["clause"]},
        *({"name": "class", "valueCode": code} for code in row["classes"]),
        {"name": "open", "valueBoolean": any(row["id"] in o.grants for o in open_now)},
    ]
    for key in ("starts", "ends", "closed_at"):
        if row[key] is not None:
            moment = dates.instant(dates.from_micros(row[key]))
            parts.append({"name": key.replace("_", "-"), "valueInstant": moment})
    if row["closed_because"]:
        parts.append({"name": "closed-because", "valueCode": row["closed_because"]})
    return {"name": "grant", "part": [*parts, text_part(_grant_text(terms, row, name))]}


def _grant_text(terms: Terms, row: Row, name: str) -> Said:
    role, opened = ROLES[row["role"]], when(dates.from_micros(row["starts"]))
    classes = terms.joined(row["classes"])
    basis, clause = terms.basis(row["basis"]), terms.clause(row["clause"])
    end = Said("", "")
    if row["closed_at"] is not None:
        closed = when(dates.from_micros(row["closed_at"]))
        why = terms.reason(str(row["closed_because"]))
        end = Said(
            f"{closed.ja}に閉じました（{why.ja}）。", f" Closed {closed.en}: {why.en}."
        )
    return Said(
        f"{name}（{role.ja}）：{opened.ja}から、{basis.ja}、{clause.ja}により、"
        f"「{classes.ja}」。{end.ja}",
        f"{name} ({role.en}): from {opened.en}, {basis.en}, {clause.en}: "
        f"{classes.en}.{end.en}",
    )


def organisation_part(code: str, name: str) -> Row:
    """The part `organisation` of Parameters."""
    reference = {"reference": f"Organization/{code}", "display": name}
    return {"name": "organisation", "valueReference": reference}


def text_part(said: Said) -> Row:
    """The part `text`: a sentence with its translation (R4 languages.html)."""
    english = [
        {"url": "lang", "valueCode": "en"},
        {"url": "content", "valueString": said.en},
    ]
    return {
        "name": "text",
        "valueString": said.ja,
        "_valueString": {"extension": [{"url": TRANSLATION, "extension": english}]},
    }
