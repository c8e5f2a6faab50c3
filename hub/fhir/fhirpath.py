"""Where a FHIRPath leads in a document: places, not values, for FHIRPath Patch.

The library finds values and forgets where they stood. It is given a copy in which
each value knows its place; the document itself is never touched by it.
"""

from decimal import Decimal
from threading import Lock
from typing import Any, TypeVar

from hub.fhir.json import Resource
from hub.fhir.outcome import FhirError, issue

Place = tuple[str | int, ...]  # JSON keys and list indexes from the root
Ast = dict[str, Any]

_LONGEST = 500  # characters of an expression
_DEEPEST = 16  # functions and brackets in each other
# What selects and compares. Without what walks (repeat, descendants), matches by a
# pattern, leaves the resource (resolve, %…) or makes new values, the cost is that of
# the document times the length of the expression (AB26).
_FUNCTIONS = [
    "where",
    "first",
    "last",
    "tail",
    "skip",
    "take",
    "single",
    "exists",
    "empty",
    "not",
    "ofType",
    "extension",
    "as",
    "is",
    "startsWith",
    "endsWith",
    "contains",
]
_NODES = [
    "IndexerExpression",
    "InvocationExpression",
    "TermExpression",
    "InvocationTerm",
    "MemberInvocation",
    "Identifier",
    "FunctionInvocation",
    "Functn",
    "ParamList",
    "AndExpression",
    "OrExpression",
    "EqualityExpression",
    "InequalityExpression",
    "LiteralTerm",
    "StringLiteral",
    "NumberLiteral",
    "BooleanLiteral",
    "ThisInvocation",
    "ParenthesizedTerm",
    "TypeExpression",
    "TypeSpecifier",
    "QualifiedIdentifier",
    "DateLiteral",
    "DateTimeLiteral",
]
# The parser keeps what it learnt of its grammar in the class.
_parsing = Lock()


class Path:
    """An expression that may be evaluated here; 422 HUB-REST-041 for any other.

    `name` is the element it ends with (`Patient.name`), None when it ends otherwise.
    """

    def __init__(self, expression: str, where: str) -> None:
        self.where = where
        self._ast = _parse(expression, where)
        self._above, self.name = _last_step(self._ast)

    def places(self, resource: Resource) -> list[Place]:
        """Where it leads, in order; empty when nothing matches."""
        found: list[Place] = []
        for value in self._found(resource, self._ast):
            place = getattr(value, "place", None)
            # A boolean cannot carry its place: it is where its parent has it.
            found += [place] if place is not None else self._by_parent(resource)
        return list(dict.fromkeys(_own(place) for place in found))

    def parents(self, resource: Resource) -> list[Place]:
        """Where what holds `name` is; empty unless the expression ends with one."""
        if self._above is None:
            return [()] if self.name else []
        found = self._found(resource, self._above)
        return [value.place for value in found if isinstance(value, _Object)]

    def _by_parent(self, resource: Resource) -> list[Place]:
        found: list[Place] = []
        for place in self.parents(resource):
            held, name = at(resource, place), self.name or ""
            found += [
                (*place, key)
                for key in (name, f"{name}Boolean")
                if isinstance(held.get(key), bool)
            ]
        if not found:
            raise FhirError(issue("HUB-REST-041", self.where))
        return found

    def _found(self, resource: Resource, ast: Ast) -> list[Any]:
        # The library gives what is beside a primitive (`_birthDate`) as a second
        # value: it is shown that only when there is no first.
        plain = _evaluated(_placed(resource, (), with_beside=False), ast, self.where)
        return plain or _evaluated(_placed(resource, ()), ast, self.where)


def _evaluated(document: Any, ast: Ast, where: str) -> list[Any]:
    from fhirpathpy import apply_parsed_path  # 0.2 s: only a patch needs it
    from fhirpathpy.engine.nodes import ResourceNode
    from fhirpathpy.models import models

    try:
        nodes = apply_parsed_path(  # type: ignore[no-untyped-call]  # fhirpathpy leaves it untyped
            document, {"children": [ast]}, {}, models["r4"], {"returnRawData": True}
        )
    except Exception:  # noqa: BLE001 - the library raises what it likes
        raise FhirError(issue("HUB-REST-041", where)) from None
    values = [n.data if isinstance(n, ResourceNode) else n for n in nodes]
    return [value for value in values if value is not None]


def _own(place: Place) -> Place:
    """The place of a primitive for that of what is beside it: one element is both."""
    at_key = len(place) - (2 if place and isinstance(place[-1], int) else 1)
    if at_key < 0 or not str(place[at_key]).startswith("_"):
        return place
    key = str(place[at_key])[1:]
    return (*place[:at_key], key, *place[at_key + 1 :])


def at(document: Any, place: Place) -> Any:
    """What stands at a place."""
    for step in place:
        document = document[step]
    return document


def _parse(expression: str, where: str) -> Ast:
    from fhirpathpy.parser import parse

    if len(expression) > _LONGEST:
        raise FhirError(issue("HUB-REST-041", where))
    try:
        with _parsing:
            (root,) = parse(expression)["children"]  # type: ignore[no-untyped-call]  # as above
    except Exception:  # noqa: BLE001 - the library raises what it likes
        raise FhirError(issue("HUB-REST-041", where)) from None
    if not _is_allowed(root, 0):
        raise FhirError(issue("HUB-REST-041", where))
    tree: Ast = root
    return tree


def _last_step(ast: Ast) -> tuple[Ast | None, str | None]:
    """What comes before the last element name, and that name; None for neither."""
    parts = ast.get("children", [])
    above = parts[0] if ast.get("type") == "InvocationExpression" else None
    last = parts[-1] if parts else {}
    if above is None and ast.get("type") == "TermExpression":
        last = last.get("children", [{}])[0]
    if last.get("type") != "MemberInvocation":
        return None, None
    name = str(last["children"][0]["text"]).strip("`")
    is_type = above is None and name[:1].isupper()
    return above, None if is_type else name


def _is_allowed(node: Ast, depth: int) -> bool:
    kind, children = node.get("type"), node.get("children", [])
    if kind not in _NODES or depth > _DEEPEST:
        return False
    if kind == "Functn" and children[0]["text"] not in _FUNCTIONS:
        return False
    below = depth + (kind in ("Functn", "ParenthesizedTerm"))
    return all(_is_allowed(child, below) for child in children)


class _Object(dict[str, Any]):
    place: Place


class _Text(str):
    __slots__ = ("place",)
    place: Place


class _Whole(int):
    place: Place


class _Number(Decimal):
    place: Place


Placed = TypeVar("Placed", _Object, _Text, _Whole, _Number)


def _placed(value: Any, place: Place, *, with_beside: bool = True) -> Any:
    if isinstance(value, dict):
        held = {
            key: _placed(child, (*place, key), with_beside=with_beside)
            for key, child in value.items()
            if with_beside or not key.startswith("_")
        }
        return _with(_Object(held), place)
    if isinstance(value, list):
        return [
            _placed(child, (*place, n), with_beside=with_beside)
            for n, child in enumerate(value)
        ]
    if isinstance(value, str):
        return _with(_Text(value), place)
    if isinstance(value, Decimal):
        return _with(_Number(value), place)
    if isinstance(value, int) and not isinstance(value, bool):
        return _with(_Whole(value), place)
    return value


def _with(value: Placed, place: Place) -> Placed:
    value.place = place
    return value
