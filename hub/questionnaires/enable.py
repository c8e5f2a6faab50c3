"""Which items are asked for: enableWhen (R4), evaluated until nothing changes."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from hub.fhir.answers import key_of, value_of
from hub.fhir.json import Resource
from hub.questionnaires.form import Form


@dataclass(frozen=True, slots=True)
class Node:
    """One item of a response: `at` its FHIRPath, `scope` the turns of repeating
    groups it stands in (an item sees those of its own turn and of the turns above).
    """

    link: str
    answers: tuple[Resource, ...]
    at: str
    scope: tuple[int, ...] = ()
    item: Resource = field(default_factory=dict)

    @property
    def is_answered(self) -> bool:
        return any(key_of(answer) for answer in self.answers)


def enabled(form: Form, nodes: list[Node]) -> set[int]:
    """The indexes of those nodes that are asked for.

    An answer of an item that is itself not asked for does not count, so the
    conditions are evaluated again until the set stays the same.
    """
    on = set(range(len(nodes)))
    for _ in range(len(nodes) + 1):
        now = {n for n in range(len(nodes)) if _is_on(form, nodes, n, on)}
        if now == on:
            break
        on = now
    return on


def _is_on(form: Form, nodes: list[Node], index: int, on: set[int]) -> bool:
    node = nodes[index]
    definition = form.items[node.link]
    conditions = definition.get("enableWhen", [])
    if not _parent_on(form, nodes, node, on):
        return False
    if not conditions:
        return True
    results = (_holds(when, nodes, node, on) for when in conditions)
    behaviour = definition.get(
        "enableBehavior", "any" if len(conditions) > 1 else "all"
    )
    return all(results) if behaviour == "all" else any(results)


def _parent_on(form: Form, nodes: list[Node], node: Node, on: set[int]) -> bool:
    parent = form.parents.get(node.link)
    above = [
        n
        for n, other in enumerate(nodes)
        if other.link == parent and node.at.startswith(f"{other.at}.")
    ]
    return not above or any(n in on for n in above)


def _holds(when: Resource, nodes: list[Node], node: Node, on: set[int]) -> bool:
    values = list(_answers(when["question"], nodes, node, on))
    if when["operator"] == "exists":
        return bool(values) is bool(when["answerBoolean"])
    key = next(k for k in when if k.startswith("answer"))
    compare = _COMPARE[when["operator"]]
    if when["operator"] == "!=":
        return bool(values) and all(compare(v, when[key]) for v in values)
    return any(compare(v, when[key]) for v in values)


def _answers(
    question: str, nodes: list[Node], node: Node, on: set[int]
) -> Iterator[Any]:
    for n in on:
        other = nodes[n]
        near = other.scope == node.scope[: len(other.scope)]
        if other.link == question and near:
            yield from (v for a in other.answers if (v := value_of(a)) is not None)


def _equal(one: Any, other: Any) -> bool:
    if isinstance(one, dict) and isinstance(other, dict):
        # A Coding is compared by system and code, never by its words.
        same_system = one.get("system") == other.get("system")
        return same_system and one.get("code") == other.get("code")
    return type(one) is type(other) and bool(one == other)


def _ordered(test: Callable[[Any, Any], bool]) -> Callable[[Any, Any], bool]:
    def compare(one: Any, other: Any) -> bool:
        if isinstance(one, dict) and isinstance(other, dict):
            one, other = one.get("value"), other.get("value")
        try:
            return bool(test(one, other))
        except TypeError:
            return False

    return compare


_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "=": _equal,
    "!=": lambda one, other: not _equal(one, other),
    ">": _ordered(lambda one, other: one > other),
    "<": _ordered(lambda one, other: one < other),
    ">=": _ordered(lambda one, other: one >= other),
    "<=": _ordered(lambda one, other: one <= other),
}
