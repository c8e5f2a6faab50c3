"""Validation of FHIR R4 resources, in process.

`validate` finds everything that is wrong with a resource or a whole Bundle;
`require_valid` raises it. `not_evaluated` says what is not checked at all.
Source: R4 (4.0.1) definitions, built into `definitions/` by `build`.
"""

from hub.fhir.json import MAX_DEPTH, Resource
from hub.fhir.outcome import Issue, issue, require_none
from hub.terminology import Packages
from hub.validation.coverage import NotEvaluated, not_evaluated
from hub.validation.walk import Walk

__all__ = ["NotEvaluated", "not_evaluated", "require_valid", "validate"]


def validate(
    resource: Resource,
    *,
    base: str | None = None,
    packages: Packages | None = None,
) -> list[Issue]:
    """Every error and warning of a decoded resource; an empty list means fine.

    `resource` comes from `hub.fhir.json.decode` (decimals, never floats); a Bundle
    is checked with all its entries. `base` replaces the resource type at the head
    of the expressions, for example `Bundle.entry[2].resource`. With `packages`,
    codes of the hub's own systems are checked. Never raises, never repeats a value.
    """
    walk = Walk(packages)
    try:
        walk.resource(resource, (None, base or _head(resource), None))
    except RecursionError:
        # Only for values that did not come through `decode`, which limits the depth.
        return [issue("HUB-JSON-006", limit=MAX_DEPTH)]
    return walk.found


def require_valid(
    resource: Resource,
    *,
    base: str | None = None,
    packages: Packages | None = None,
) -> None:
    """Raise FhirError (422) with all issues when `validate` finds an error."""
    require_none(validate(resource, base=base, packages=packages))


def _head(resource: Resource) -> str:
    name = resource.get("resourceType")
    return (
        name if type(name) is str and name.isalpha() and name.isascii() else "Resource"
    )
