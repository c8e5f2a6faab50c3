"""Load programmes from a folder: one subfolder with a `programme.toml` each."""

import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Literal, cast

from hub.fhir.outcome import FhirError, issue
from hub.programmes.programme import (
    ConsentRule,
    Forms,
    Giver,
    HelpDesk,
    Leaflet,
    PriorityRule,
    Programme,
    Recipients,
    Report,
    State,
    Words,
)
from hub.programmes.table import Table
from hub.routing import Rule, Section
from hub.routing.outcome import Priority

if TYPE_CHECKING:
    from hub.routing.rule import Kind

_PRIORITIES = ("routine", "urgent", "asap", "stat")
_KINDS = (
    "source-jurisdiction",
    "residence-with-agreement",
    "section-by-topic",
    "district-desk",
)
_OUTSIDE = ("accept", "advise", "nearest-on-request")


def load(*folders: Path) -> dict[str, Programme]:
    """Every programme below the folders, by id.

    Raises FhirError HUB-PROG-010…015 (400) naming the file and the key.
    """
    found: dict[str, Programme] = {}
    for folder in folders:
        if not folder.is_dir():
            raise FhirError(issue("HUB-PROG-010", file=folder.name))
        for path in sorted(folder.glob("*/programme.toml")):
            programme = read(path)
            if programme.id in found:
                raise FhirError(issue("HUB-PROG-014", file=_name(path)))
            found[programme.id] = programme
    return found


def read(path: Path) -> Programme:
    """Read one `programme.toml`."""
    return _programme(Table(_toml(path), _name(path)), path.parent)


def _toml(path: Path) -> dict[str, object]:
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise FhirError(issue("HUB-PROG-010", file=_name(path))) from None
    except UnicodeDecodeError:
        raise FhirError(issue("HUB-PROG-011", file=_name(path), line="?")) from None
    except tomllib.TOMLDecodeError as error:
        line = str(error).partition("at line ")[2].partition(",")[0] or "?"
        raise FhirError(issue("HUB-PROG-011", file=_name(path), line=line)) from None


def _name(path: Path) -> str:
    return f"{path.parent.name}/{path.name}"


def _programme(table: Table, folder: Path) -> Programme:
    version = table.text("version")
    routing = table.table("routing")
    priority = table.table("priority")
    programme = Programme(
        id=table.text("id"),
        title=_words(table.table("title")),
        version=version,
        valid_from=table.day("valid_from"),
        valid_to=table.day_or_none("valid_to"),
        plan_definition=table.text("plan_definition"),
        forms=_forms(table.table("forms")),
        source_kinds=frozenset(table.texts("source_kinds")),
        statement_kinds=frozenset(table.texts("needs_statement")),
        consent=_consent(table.table("consent")),
        routing=_rule(routing, version),
        advice=_advice(routing),
        default_priority=_priority(priority, "default"),
        priorities=tuple(_priority_rule(t) for t in priority.tables("rules")),
        phone_call=cast(
            "Literal['required', 'noted', 'off']",
            table.one_of("phone_call", ("required", "noted", "off")),
        ),
        states=_states(table.table("lifecycle")),
        clocks=_clocks(table.table("clocks")),
        report=_report(table.table("report")),
        leaflet=_leaflet(table.table("leaflet")),
        max_transfers=table.number("max_transfers", 5),
        folder=folder,
    )
    for part in (table, routing, priority):
        part.close()
    return programme


def _words(table: Table, prefix: str = "") -> Words:
    words = Words(table.text(f"{prefix}ja"), table.text(f"{prefix}en"))
    if not prefix:
        table.close()
    return words


def _forms(table: Table) -> Forms:
    forms = Forms(
        intake=table.text("intake"),
        consent=table.text_or_none("consent"),
        request=table.text_or_none("request"),
        record=table.texts("record"),
        feedback=table.texts("feedback"),
    )
    table.close()
    return forms


def _consent(table: Table) -> ConsentRule:
    givers = table.texts("givers")
    if not givers or not set(givers) <= {"person", "family"}:
        raise table.bad("givers", "person | family")
    recipient = table.table("recipient")
    rule = ConsentRule(
        givers=cast("tuple[Giver, ...]", givers),
        rule="both" if table.one_of("rule", ("either", "both")) == "both" else "either",
        person_first=table.flag("person_first"),
        accept_sheet_mark=table.flag("accept_sheet_mark"),
        paper_first=table.flag("paper_first"),
        basis={cast("Giver", giver): table.text(f"basis_{giver}") for giver in givers},
        recipients=Recipients(
            recipient.text("code"),
            Words(recipient.text("ja"), recipient.text("en")),
        ),
        purposes=table.texts("purposes"),
        family_needs_second_basis=table.flag("family_needs_second_basis"),
        transfer_item=table.number("transfer_item", 0) or None,
        wordings=dict(_wording(t) for t in table.tables("wordings")),
        statutory_bases=table.texts("statutory_bases"),
    )
    recipient.close()
    table.close()
    return rule


def _wording(table: Table) -> tuple[str, frozenset[int]]:
    table.text_or_none("source")
    wording = table.text("version"), frozenset(table.numbers("items"))
    table.close()
    return wording


def _rule(table: Table, version: str) -> Rule:
    then = table.text_or_none("then")
    if then not in (None, "residence-transfer"):
        raise table.bad("then", "residence-transfer")
    districts = table.table("districts") if "districts" in table else None
    return Rule(
        kind=cast("Kind", table.one_of("kind", _KINDS)),
        then="residence-transfer" if then else None,
        out_of_prefecture=cast(
            "Literal['accept', 'advise', 'nearest-on-request']",
            table.one_of("out_of_prefecture", _OUTSIDE, default="accept"),
        ),
        prefecture_fallback=table.flag("prefecture_fallback"),
        sections=tuple(_section(t) for t in table.tables("sections")),
        districts={k: districts.text(k) for k in districts} if districts else {},
        layers=table.texts("layers") if "layers" in table else (),
        version=version,
    )


def _section(table: Table) -> Section:
    section = Section(
        desk=table.text("desk"),
        topic=table.text_or_none("topic"),
        field=table.text_or_none("field"),
        child_focus=table.flag("child_focus") if "child_focus" in table else None,
    )
    table.close()
    return section


def _advice(table: Table) -> Words | None:
    """What a source is told when the rule only advises: then it must be there."""
    outside = table.one_of("out_of_prefecture", _OUTSIDE, default="accept")
    return None if outside == "accept" else _words(table, "advice_")


def _priority(table: Table, key: str) -> Priority:
    return cast("Priority", table.one_of(key, _PRIORITIES))


def _priority_rule(table: Table) -> PriorityRule:
    rule = PriorityRule(
        system=table.text("system"),
        code=table.text("code"),
        priority=_priority(table, "priority"),
    )
    table.close()
    return rule


def _states(table: Table) -> dict[str, State]:
    return {key: _state(table.table(key)) for key in table}


def _state(table: Table) -> State:
    has_source = "source_ja" in table
    state = State(
        word=Words(table.text("ja"), table.text("en")),
        source=_words(table, "source_") if has_source else None,
        next=table.text_or_none("next"),
    )
    table.close()
    return state


def _clocks(table: Table) -> dict[str, int]:
    return {key: table.number(key, 0) for key in table}


def _report(table: Table) -> Report:
    report = Report(
        forms=table.texts("forms"),
        excluded_kinds=frozenset(table.texts("excluded_kinds")),
        period=table.one_of("period", ("month-of-provision", "none")),
        columns=table.texts("columns"),
        background=table.texts("background") if "background" in table else (),
        printed_rows=table.number("printed_rows", 0),
    )
    table.close()
    return report


def _leaflet(table: Table) -> Leaflet:
    leaflet = Leaflet(
        title=_words(table, "title_"),
        text=Words(table.text("ja").strip(), table.text("en").strip()),
        desks=tuple(_help_desk(t) for t in table.tables("desks")),
    )
    table.close()
    return leaflet


def _help_desk(table: Table) -> HelpDesk:
    name = Words(table.text("ja"), table.text("en"))
    desk = HelpDesk(name, table.text_or_none("telephone"))
    table.close()
    return desk
