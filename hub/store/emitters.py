"""One element of a resource to index rows, by datatype (search.html, R4 4.0.1).

A value that is not what its datatype promises gives no row: validation is the place
that refuses it.
"""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from hub.fhir.references import split
from hub.fhir.search_values import BEGINNING, END, date_range, typed_code
from hub.store.found import Emit, Found, Row
from hub.store.parameters import Definition, bounded, system_number

_LARGEST = 1e300
_HUMAN_NAME = ("family", "given", "prefix", "suffix", "text")
_ADDRESS = ("line", "city", "district", "state", "country", "postalCode", "text")
_NUMBERS = frozenset({"integer", "decimal", "positiveInt", "unsignedInt"})


def emitter(definition: Definition, path: dict[str, Any]) -> Emit:
    """The function that indexes what stands at the end of `path` (`build.build`)."""
    datatype = path["as"]
    if datatype == "present":
        return _present(definition.number, path["names"])
    if definition.parameter.type == "token":
        return _token(definition, datatype, path.get("system"))
    if definition.parameter.type == "reference":
        if datatype == "Resource":
            return _resource(definition.number, path["to"])
        return _reference(definition, datatype, path.get("to"))
    makers: dict[str, Callable[[int, str], Emit]] = {
        "string": _string,
        "date": _date,
        "uri": _uri,
        "number": _quantity,
        "quantity": _quantity,
    }
    return makers[definition.parameter.type](definition.number, datatype)


def _present(parameter: int, names: list[str]) -> Emit:
    """`x.exists() and x != false`: true or false for every resource."""

    def emit(value: Any, found: Found) -> None:
        is_so = any(value.get(name, False) is not False for name in names)
        found.token.append(_token_row(parameter, "true" if is_so else "false"))

    return emit


def _token(definition: Definition, datatype: str, implied: str | None) -> Emit:
    match datatype:
        case "CodeableConcept":
            return _concept(definition)
        case "Coding" | "Quantity":
            return _coding(definition)
        case "Identifier":
            return _identifier(definition)
        case "ContactPoint":
            return _contact(definition.number)
    return _code(definition.number, system_number(implied or ""))


def _token_row(parameter: int, code: str, system: int = 0) -> Row:
    return {"parameter": parameter, "code": bounded(code), "system": system}


def _code(parameter: int, system: int) -> Emit:
    def emit(value: Any, found: Found) -> None:
        if type(value) is bool:
            value = "true" if value else "false"
        if type(value) is str:
            found.token.append(_token_row(parameter, value, system))

    return emit


def _coding(definition: Definition) -> Emit:
    parameter, text = definition.number, definition.text_number

    def emit(value: Any, found: Found) -> None:
        if type(value) is not dict:
            return
        code, display = value.get("code"), value.get("display")
        if type(code) is str:
            system = system_number(_text(value.get("system")))
            found.token.append(_token_row(parameter, code, system))
        if type(display) is str:
            found.say(text, display)

    return emit


def _concept(definition: Definition) -> Emit:
    coding, text = _coding(definition), definition.text_number

    def emit(value: Any, found: Found) -> None:
        if type(value) is not dict:
            return
        for item in _items(value.get("coding")):
            coding(item, found)
        words = value.get("text")
        if type(words) is str:
            found.say(text, words)

    return emit


def _identifier(definition: Definition) -> Emit:
    parameter, text = definition.number, definition.text_number
    of_type = definition.of_type_number

    def emit(value: Any, found: Found) -> None:
        if type(value) is not dict:
            return
        _add_identifier(parameter, value, found)
        kind = _element(value.get("type"))
        if type(kind.get("text")) is str:
            found.say(text, kind["text"])
        for coding in _items(kind.get("coding")):
            _add_of_type(of_type, _element(coding), value.get("value"), found)

    return emit


def _add_of_type(parameter: int, coding: Row, value: Any, found: Found) -> None:
    """`:of-type`: the system and code of the type, with the identifier's value."""
    code = coding.get("code")
    if type(code) is str and type(value) is str:
        system = system_number(_text(coding.get("system")))
        row = _token_row(parameter, typed_code(code, value), system)
        found.token.append(row)


def _add_identifier(parameter: int, value: Row, found: Found) -> None:
    code = value.get("value")
    if type(code) is str:
        system = system_number(_text(value.get("system")))
        found.token.append(_token_row(parameter, code, system))


def _contact(parameter: int) -> Emit:
    def emit(value: Any, found: Found) -> None:
        written = value.get("value") if type(value) is dict else None
        if type(written) is not str:
            return
        found.token.append(_token_row(parameter, written))
        # One telephone number is written with and without hyphens.
        digits = "".join(c for c in written if c.isdigit())
        if value.get("system") in ("phone", "fax", "sms") and digits != written:
            found.token.append(_token_row(parameter, digits))

    return emit


def _string(parameter: int, datatype: str) -> Emit:
    def text(value: Any, found: Found) -> None:
        if type(value) is str:
            found.say(parameter, value)

    match datatype:
        case "HumanName":
            return _parts(text, _HUMAN_NAME)
        case "Address":
            return _parts(text, _ADDRESS)
        case "CodeableConcept":
            return _parts(text, ("text",))
    return text


def _parts(each: Emit, names: tuple[str, ...]) -> Emit:
    def emit(value: Any, found: Found) -> None:
        if type(value) is not dict:
            return
        for name in names:
            part = value.get(name)
            for item in _items(part) or (part,):
                each(item, found)

    return emit


def _reference_row(parameter: int, type_: str, id_: str, version: str = "") -> Row:
    return {
        "parameter": parameter,
        "target_id": bounded(id_),
        "target_type": type_,
        "version": bounded(version),
    }


def _reference(definition: Definition, datatype: str, to: str | None) -> Emit:
    parameter, other = definition.number, definition.identifier_number

    def canonical(value: Any, found: Found) -> None:
        if type(value) is str:
            url, _, version = value.partition("|")
            # `Library/1` names a resource here, as a search for it does.
            here = split(url, found.base_url) or ("", url)
            found.reference.append(_reference_row(parameter, *here, version))

    def reference(value: Any, found: Found) -> None:
        if type(value) is not dict:
            return
        target, identifier = value.get("reference"), value.get("identifier")
        if type(target) is str and not target.startswith("#"):
            here = split(target, found.base_url)
            if to in (None, here[0] if here else _tail(target)):
                row = _reference_row(parameter, *(here or ("", target)))
                found.reference.append(row)
        if type(identifier) is dict and to in (None, value.get("type")):
            _add_identifier(other, identifier, found)

    return reference if datatype == "Reference" else canonical


def _resource(parameter: int, resource_type: str) -> Emit:
    """A resource in a Bundle, as a reference to one of its type and id."""

    def emit(value: Any, found: Found) -> None:
        if type(value) is dict and value.get("resourceType") == resource_type:
            id_ = value.get("id")
            if type(id_) is str:
                found.reference.append(_reference_row(parameter, resource_type, id_))

    return emit


def _tail(url: str) -> str:
    """The type that a foreign absolute reference names: `…/Patient/1`."""
    parts = url.rsplit("/", 2)
    return parts[1] if len(parts) == 3 else ""  # noqa: PLR2004 - base, type, id


def _date(parameter: int, datatype: str) -> Emit:
    match datatype:
        case "Period":
            return _period(parameter)
        case "Timing":
            return _timing(parameter)
    return _moment(parameter)


def _date_row(parameter: int, low: int, high: int) -> Row:
    return {"parameter": parameter, "low": low, "high": high}


def _moment(parameter: int) -> Emit:
    def emit(value: Any, found: Found) -> None:
        try:
            found.date.append(_date_row(parameter, *date_range(value)))
        except (ValueError, TypeError):
            return

    return emit


def _period(parameter: int) -> Emit:
    def emit(value: Any, found: Found) -> None:
        if type(value) is not dict or not {"start", "end"} & value.keys():
            return
        try:
            low = date_range(value["start"])[0] if "start" in value else BEGINNING
            high = date_range(value["end"])[1] if "end" in value else END
        except (ValueError, TypeError):
            return
        found.date.append(_date_row(parameter, low, high))

    return emit


def _timing(parameter: int) -> Emit:
    moment, period = _moment(parameter), _period(parameter)

    def emit(value: Any, found: Found) -> None:
        if type(value) is not dict:
            return
        for item in _items(value.get("event")):
            moment(item, found)
        repeat = value.get("repeat")
        if type(repeat) is dict:
            period(repeat.get("boundsPeriod"), found)

    return emit


def _uri(parameter: int, _datatype: str) -> Emit:
    def emit(value: Any, found: Found) -> None:
        if type(value) is str:
            found.uri.append({"parameter": parameter, "value": bounded(value)})

    return emit


def _quantity(parameter: int, datatype: str) -> Emit:
    def number(value: Any, found: Found) -> None:
        if _is_number(value):
            found.quantity.append(_quantity_row(parameter, value, value, {}))

    def quantity(value: Any, found: Found) -> None:
        if type(value) is not dict or not _is_number(value.get("value")):
            return
        amount, comparator = value["value"], str(value.get("comparator", ""))
        low = -_LARGEST if comparator.startswith("<") else amount
        high = _LARGEST if comparator.startswith(">") else amount
        found.quantity.append(_quantity_row(parameter, low, high, value))

    if datatype == "Range":
        return _range(parameter)
    return number if datatype in _NUMBERS else quantity


def _range(parameter: int) -> Emit:
    def emit(value: Any, found: Found) -> None:
        if type(value) is not dict:
            return
        first, last = _element(value.get("low")), _element(value.get("high"))
        low, high = first.get("value", -_LARGEST), last.get("value", _LARGEST)
        if (first or last) and _is_number(low) and _is_number(high):
            found.quantity.append(_quantity_row(parameter, low, high, first or last))

    return emit


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float | Decimal) and type(value) is not bool


def _quantity_row(parameter: int, low: Any, high: Any, unit: Row) -> Row:
    return {
        "parameter": parameter,
        "low": float(low),
        "high": float(high),
        "system": system_number(_text(unit.get("system"))),
        "code": bounded(_text(unit.get("code")) or _text(unit.get("currency"))),
        "unit": bounded(_text(unit.get("unit"))),
    }


def _text(value: Any) -> str:
    return value if type(value) is str else ""


def _items(value: Any) -> list[Any]:
    return value if type(value) is list else []


def _element(value: Any) -> Row:
    return value if type(value) is dict else {}
