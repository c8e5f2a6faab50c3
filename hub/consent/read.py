"""What a Consent resource says, as facts. Never raises: what it cannot read denies."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Literal

from hub.fhir.canonical import (
    EXPLANATIONS,
    INSTITUTION_NO,
    ORGANIZATION_ID,
    WORDING_VERSION,
)
from hub.fhir.dates import JST

Giver = Literal["person", "family"]
Effect = Literal["permit", "deny", "unknown"]

# A restriction the hub does not honour (class, code, data, a security label, an
# exception inside the provision …) makes the whole provision unknown (G10).
_UNDERSTOOD = frozenset(
    {"id", "extension", "type", "period", "purpose", "actor", "action"}
)
_SUPPORT_SCOPES = frozenset({"patient-privacy", "treatment"})
# HL7's scopes and categories that agree to something else.
_OTHER_USES = frozenset(
    {"acd", "adr", "dnr", "emrgonly", "hcd", "polst", "research", "rsdid", "rsreid"}
)
_ACT_CODE = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
_TO_PASS_ON = frozenset({"access", "disclose", "use"})
# Under these policies the person dissents: a permit beside them contradicts (G10).
_DISSENT = frozenset({"OPTOUT"})
# Bounds that cannot be read: it never begins, it is long over.
_NEVER = datetime(9999, 1, 1, tzinfo=UTC)
_LONG_AGO = datetime(1, 1, 2, tzinfo=UTC)
_PERIOD = frozenset({"id", "extension", "start", "end", "_start", "_end"})
# A recipient that cannot be read restricts all the same: it matches nobody.
_NOBODY = "?"


@dataclass(frozen=True, slots=True)
class ConsentFacts:
    """`reference` is `Consent/<id>` or a fullUrl; moments aware.

    `explanations` holds the item numbers of the form's 説明事項 that were explained,
    None when the Consent does not list them. `recipients` are named organisations or
    desks (references); empty means the class of recipient the form names.
    `given_on` is the stated day of consent, in Japan.
    """

    reference: str
    status: str
    patient: str
    giver: Giver | None
    has_relationship: bool
    effect: Effect
    starts: datetime | None
    ends: datetime | None
    purposes: frozenset[str]
    recipients: frozenset[str]
    explanations: frozenset[int] | None
    wording_version: str | None
    is_for_support: bool = True
    given_on: date | None = None


def read(
    consent: Mapping[str, Any],
    reference: str,
    relatives: Mapping[str, Mapping[str, Any]],
) -> ConsentFacts:
    """Read one Consent; `relatives` maps references to RelatedPerson resources."""
    try:
        return _read(consent, reference, relatives)
    except (AttributeError, KeyError, TypeError, ValueError, OverflowError):
        return unreadable(reference)


def unreadable(reference: str) -> ConsentFacts:
    """The facts of a Consent that cannot be read: it denies everything (G10)."""
    return ConsentFacts(
        reference=reference,
        status="",
        patient="",
        giver=None,
        has_relationship=False,
        effect="unknown",
        starts=None,
        ends=None,
        purposes=frozenset(),
        recipients=frozenset(),
        explanations=None,
        wording_version=None,
        is_for_support=False,
    )


def _read(
    consent: Mapping[str, Any],
    reference: str,
    relatives: Mapping[str, Mapping[str, Any]],
) -> ConsentFacts:
    provision = _object(consent, "provision")
    period = _object(provision, "period")
    if period.keys() - _PERIOD:
        raise ValueError("period")
    giver, has_relationship = _giver(consent, relatives)
    return ConsentFacts(
        reference=reference,
        status=str(consent.get("status", "")),
        patient=str(_object(consent, "patient").get("reference", "")),
        giver=giver,
        has_relationship=has_relationship,
        effect=_effect(consent, provision),
        starts=_bound(period, "start"),
        ends=_bound(period, "end"),
        purposes=frozenset(p.get("code", "") for p in provision.get("purpose", ())),
        recipients=frozenset(
            _recipient(actor.get("reference") or {})
            for actor in provision.get("actor", ())
        ),
        explanations=_explanations(consent),
        wording_version=next(_values(consent, WORDING_VERSION), None),
        is_for_support=_is_for_support(consent),
        given_on=_given_on(consent),
    )


def _object(holder: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """An element that is an object, empty when it is not there; else TypeError."""
    found = holder.get(name)
    if found is not None and not isinstance(found, dict):
        raise TypeError(name)
    return found or {}


def moment(value: object, *, end: bool) -> datetime | None:
    """The first moment of a FHIR date or dateTime, or just after its last one.

    Without a zone it means Japan's time; `ends` of a day is the next midnight.
    Raises ValueError or OverflowError when there is no such moment.
    """
    if not isinstance(value, str):
        return None
    if "T" in value:
        stated = datetime.fromisoformat(value)
        return stated if stated.tzinfo else stated.replace(tzinfo=JST)
    parts = [int(part) for part in value.split("-")]
    year, month, day = (*parts, 1, 1)[:3]
    first = date(year, month, day)
    if end:
        first = _after(first, len(parts))
    return datetime.combine(first, time.min, JST)


def _bound(period: Mapping[str, Any], name: Literal["start", "end"]) -> datetime | None:
    unreadable = _NEVER if name == "start" else _LONG_AGO
    if name not in period:
        return unreadable if f"_{name}" in period else None
    try:
        found = moment(period[name], end=name == "end")
    except (ValueError, OverflowError):
        return unreadable
    return found or unreadable


def _given_on(consent: Mapping[str, Any]) -> date | None:
    """The day in Japan on which it was given; a day that never comes if unreadable."""
    if "dateTime" not in consent:
        return None
    try:
        found = moment(consent["dateTime"], end=False)
    except (ValueError, OverflowError):
        found = None
    return found.astimezone(JST).date() if found else _NEVER.date()


def _is_for_support(consent: Mapping[str, Any]) -> bool:
    """False when its scope or a category says that it agrees to something else."""
    scopes = set(_codes([consent.get("scope") or {}]))
    categories = set(_codes(consent.get("category", ())))
    return bool(scopes & _SUPPORT_SCOPES) and not (scopes | categories) & _OTHER_USES


def _codes(concepts: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    for concept in concepts:
        for coding in concept.get("coding", ()):
            yield str(coding.get("code", ""))


def _recipient(reference: Mapping[str, Any]) -> str:
    if reference.get("reference"):
        return str(reference["reference"])
    identifier = reference.get("identifier") or {}
    if identifier.get("system") in (ORGANIZATION_ID, INSTITUTION_NO):
        return f"Organization/{identifier.get('value', _NOBODY)}"
    return _NOBODY


def _after(first: date, precision: int) -> date:
    if precision == 1:
        return date(first.year + 1, 1, 1)
    if precision == 2:  # noqa: PLR2004 - year and month
        return (first + timedelta(days=32)).replace(day=1)
    return first + timedelta(days=1)


def _giver(
    consent: Mapping[str, Any], relatives: Mapping[str, Mapping[str, Any]]
) -> tuple[Giver | None, bool]:
    performers = [p.get("reference", "") for p in consent.get("performer", ())]
    if not performers:
        return None, False
    patient = (consent.get("patient") or {}).get("reference")
    if all(p == patient for p in performers):
        return "person", True
    family = [
        relatives[p]
        for p in performers
        if p in relatives
        and (relatives[p].get("patient") or {}).get("reference") == patient
    ]
    if len(family) + performers.count(patient) != len(performers):
        return None, False
    return "family", all(_has_relationship(one) for one in family)


def _has_relationship(relative: Mapping[str, Any]) -> bool:
    return any(
        concept.get("text") or concept.get("coding")
        for concept in relative.get("relationship", ())
    )


def _effect(consent: Mapping[str, Any], provision: Mapping[str, Any]) -> Effect:
    if consent.get("modifierExtension") or provision.keys() - _UNDERSTOOD:
        return "unknown"
    actions = set(_codes(provision.get("action", ())))
    if provision.get("action") and not actions & _TO_PASS_ON:
        return "unknown"
    kind = provision.get("type")
    if kind is None and "_type" not in provision:
        return _base_effect(consent)
    dissents = set(_codes([consent.get("policyRule") or {}])) & _DISSENT
    if dissents and kind != "deny":
        return "unknown"
    return kind if kind in ("permit", "deny") else "unknown"


def _base_effect(consent: Mapping[str, Any]) -> Effect:
    """What the policy rule alone says: R4 asks for no type in the root provision."""
    codings = (consent.get("policyRule") or {}).get("coding", ())
    rules = {c.get("code") for c in codings if c.get("system") == _ACT_CODE}
    if rules == {"OPTIN"}:
        return "permit"
    return "deny" if rules == {"OPTOUT"} else "unknown"


def _explanations(consent: Mapping[str, Any]) -> frozenset[int] | None:
    found = list(_values(consent, EXPLANATIONS))
    return frozenset(int(one) for one in found if one.isdecimal()) if found else None


def _values(consent: Mapping[str, Any], url: str) -> Iterator[str]:
    return iter(
        str(value)
        for extension in consent.get("extension", ())
        if extension.get("url") == url
        for key, value in extension.items()
        if key.startswith("value")
    )
