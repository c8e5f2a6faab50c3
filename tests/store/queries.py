"""Queries made up from all that is declared: parameters × modifiers × values × shapes.

Seeded, so that a failure can be repeated: `queries(seed, types)` is endless.
"""

import random
from collections.abc import Iterator, Sequence
from urllib.parse import quote

from hub.fhir.search import Parameter
from hub.store.parameters import compartments, declared, definitions
from tests.store.values import asked

ODD = (
    *("", " ", ",", "|", "||", "$", "\\", r"\,", r"\x", "%", "_", "%25", "'", '"', ";"),
    *("a|b|c", "a$b", "eq", "gt", "ap", "0", "-1", "1e400", "1e-400", "9" * 40, "NaN"),
    *("2026-02-31", "0000", "9999", "9999-12-31T23:59:60Z", "2026-11-02T25:00", "true"),
    *("Patient/", "/a", "Patient/a/_history/1", "urn:uuid:x", "http://", "#a", "*"),
    *("髙﨑", "ﾊﾅｺ", "\u3099", "\ufeff", "\U0001f600", "a" * 300, "é", "ß", "İ", "ﷺ"),
    *("\x01", "a\tb", "1|2|3|4", "ge2026,lt2027", "true,false", "Patient/a,b,c"),
)
MODIFIERS = (
    *("exact", "contains", "missing", "not", "text", "in", "not-in", "of-type"),
    *("identifier", "below", "above", "Patient", "Group", "iterate", "nonsense", ""),
)
PREFIXES = ("eq", "ne", "gt", "lt", "ge", "le", "sa", "eb", "ap")
GENDER = "http://hl7.org/fhir/ValueSet/administrative-gender"


class Maker:
    """Makes queries over some types; `ids` are used where an id is due."""

    def __init__(self, seed: int, types: Sequence[str], ids: Sequence[str]) -> None:
        self.random = random.Random(seed)
        self.types, self.ids = sorted(types), list(ids)

    def query(self) -> tuple[str, str]:
        """(place below the base, query string not encoded)."""
        pick = self.random.choice
        type_ = pick(self.types)
        pairs = [
            self.criterion(type_, 0) for _ in range(self.random.choice((0, 1, 1, 2)))
        ]
        pairs += [self.shape(type_) for _ in range(self.random.choice((0, 1, 2)))]
        place = type_
        match self.random.randrange(8):
            case 0:
                place = (
                    f"{pick([*compartments()])}/{pick(self.ids)}/{pick((type_, '*'))}"
                )
            case 1:
                place = ""
                pairs.append(("_type", ",".join({type_, pick(self.types)})))
        return place, "&".join(f"{quote(k, ':')}={quote(v)}" for k, v in pairs)

    def criterion(self, type_: str, depth: int) -> tuple[str, str]:
        known = declared()[type_]
        code = self.random.choice(sorted(known))
        parameter = known[code]
        way = self.random.randrange(6 + 3 * depth)
        if way == 0 and depth < 4:
            return self._has(depth)
        if way in (1, 2, 3) and parameter.type == "reference" and depth < 4:
            return self._chain(code, parameter, depth)
        modifier = self.random.choice((*[""] * 12, *MODIFIERS))
        name = f"{code}:{modifier}" if modifier else code
        return name, self.value(type_, code, modifier)

    def _has(self, depth: int) -> tuple[str, str]:
        source = self.random.choice(self.types)
        links = [c for c, p in sorted(declared()[source].items()) if p.targets]
        name, value = self.criterion(source, depth + 1)
        link = self.random.choice(links or ["nonsense"])
        return f"_has:{source}:{link}:{name}", value

    def _chain(self, code: str, parameter: Parameter, depth: int) -> tuple[str, str]:
        target = self.random.choice(parameter.targets or ("Patient",))
        if target not in self.types:
            target = self.random.choice(self.types)
        name, value = self.criterion(target, depth + 1)
        typed = self.random.choice(("", f":{target}"))
        return f"{code}{typed}.{name}", value

    def value(self, type_: str, code: str, modifier: str) -> str:
        if modifier == "missing":
            return self.random.choice(("true", "false"))
        if modifier in ("in", "not-in"):
            return self.random.choice((GENDER, "http://x.example/ValueSet/none"))
        if self.random.randrange(3) == 0:
            return self.random.choice(ODD)
        if code == "_id" or self.random.randrange(6) == 0:
            return self.random.choice(self.ids)
        definition = definitions()[type_][code]
        if code == "_lastUpdated" or not definition.paths:
            return "ge2026-11-02"
        found = asked(definition.parameter, self.random.choice(definition.paths))
        if definition.parameter.type == "reference":
            found = f"{found.partition('/')[0]}/{self.random.choice(self.ids)}"
        if definition.parameter.type in ("date", "number", "quantity"):
            found = self.random.choice(("", *PREFIXES)) + found
        return found

    def shape(self, type_: str) -> tuple[str, str]:
        pick = self.random.choice
        links = [
            f"{t}:{c}"
            for t in self.types
            for c, p in declared()[t].items()
            if p.targets
        ]
        sort = ",".join(
            pick(("", "-")) + pick(sorted(declared()[type_]))
            for _ in range(self.random.choice((1, 1, 2, 6)))
        )
        return pick(
            [
                ("_sort", sort),
                ("_count", pick(("0", "1", "2", "-1", "x", "1000000000"))),
                ("_total", pick(("none", "accurate", "estimate", "x"))),
                ("_summary", pick(("true", "text", "data", "count", "false", "x"))),
                ("_elements", pick(("name", "status,subject", "", "a b"))),
                ("_include", pick((*links, "*", f"{pick(links)}:Patient", "x:y:z:w"))),
                ("_include:iterate", pick(links)),
                ("_revinclude", pick(links)),
                ("_revinclude:iterate", pick(links)),
                pick((("_filter", "x"), ("_text", "x"), ("_list", "x"), ("nope", "x"))),
            ]
        )


def queries(
    seed: int, types: Sequence[str], ids: Sequence[str] = ("a1", "b1")
) -> Iterator[tuple[str, str]]:
    """(place, query) without an end; the same for the same arguments."""
    maker = Maker(seed, types, ids)
    while True:
        yield maker.query()
