"""Invariants of people, organisations, consent and requests."""

from hub.validation.rules.rule import (
    Holds,
    Object,
    Rows,
    at_most_one,
    codings,
    has,
    is_after,
    part,
    text,
)


def _policy(v: Object) -> bool:
    return has(v, "policy", "policyRule")


def _patient_for(code: str) -> tuple[Holds, str]:
    # R4 prints the placeholder system 'something' in ppc-2..5; read as printed.
    def holds(v: Object) -> bool:
        return has(v, "patient") or ("something", code) not in codings(part(v, "scope"))

    return holds, "この種類の同意にはpatientを入れてください"


def _not_home(v: Object) -> bool:
    return text(v, "use") != "home"


def _task_dates(v: Object) -> bool:
    return not is_after(text(v, "authoredOn"), text(v, "lastModified"))


RULES: Rows = {
    "Consent.ppc-1": (_policy, "policyかpolicyRuleを入れてください"),
    "Organization.org-1": (
        lambda v: has(v, "identifier", "name"),
        "組織にはidentifierかnameを入れてください",
    ),
    "Organization.org-2": (_not_home, "組織の住所のuseにhomeは使えません"),
    "Organization.org-3": (_not_home, "組織の連絡先のuseにhomeは使えません"),
    "Patient.pat-1": (
        lambda v: has(v, "name", "telecom", "address", "organization"),
        "連絡先の人にはname、telecom、address、organizationのどれかを入れてください",
    ),
    "ServiceRequest.prr-1": (
        lambda v: not has(v, "orderDetail") or has(v, "code"),
        "orderDetailを入れるときはcodeも入れてください",
    ),
    "Task.inv-1": (_task_dates, "lastModifiedはauthoredOnより前にできません"),
    "QuestionnaireResponse.qrs-1": (
        lambda v: at_most_one(v, "answer", "item"),
        "answerとitemは同じ項目に同時に入れられません（itemはanswerの中に入れます）",
    ),
    "AuditEvent.sev-1": (
        lambda v: at_most_one(v, "name", "query"),
        "nameとqueryは同時に入れられません",
    ),
}
for _number, _code in enumerate(("patient-privacy", "research", "adr", "treatment"), 2):
    RULES[f"Consent.ppc-{_number}"] = _patient_for(_code)
