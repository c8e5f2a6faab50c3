"""What the validator does not check: told, so that nothing passes for checked."""

from collections.abc import Iterator
from dataclasses import dataclass

from hub.validation.rules import IN_WALK, RULES
from hub.validation.shapes import Shape, rule, shape


@dataclass(frozen=True, slots=True)
class NotEvaluated:
    """A rule of R4 that `validate` leaves open.

    `path` is the definition's (`ServiceRequest`, `Timing.repeat`); `key` an
    invariant's key or `binding`; `detail` its expression or the value set.
    """

    path: str
    key: str
    severity: str
    detail: str


def not_evaluated(resource_type: str) -> list[NotEvaluated]:
    """Invariants and required bindings that are not checked for a type.

    Datatypes the type can hold are included. KeyError when R4 has no such type.
    """
    return sorted(_open(shape(resource_type), set()), key=lambda n: (n.path, n.key))


def _open(known: Shape, seen: set[str]) -> Iterator[NotEvaluated]:
    if known.path in seen:
        return
    seen.add(known.path)
    for type_, key in (*known.rules, *known.elsewhere):
        name = f"{type_}.{key}"
        if name not in RULES and name not in IN_WALK:
            facts = rule(type_, key)
            yield NotEvaluated(known.path, key, facts["severity"], facts["expression"])
    for path, value_set in known.not_held:
        yield NotEvaluated(path, "binding", "error", value_set)
    for one in known.properties.values():
        if one.shape is not None:
            yield from _open(one.shape, seen)
