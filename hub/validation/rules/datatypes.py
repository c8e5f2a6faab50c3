"""Invariants of the datatypes."""

from decimal import Decimal

from hub.validation.rules.rule import (
    Holds,
    Object,
    Rows,
    at_most_one,
    has,
    is_after,
    number,
    part,
    text,
)

UCUM = "http://unitsofmeasure.org"
_MEALS = {"C", "CM", "CD", "CV"}


def _needs(name: str, other: str) -> Holds:
    return lambda v: not has(v, name) or has(v, other)


def _not_negative(name: str) -> Holds:
    return lambda v: (number(v, name) or Decimal()) >= 0


def _is_ucum(v: Object) -> bool:
    return not has(v, "system") or text(v, "system") == UCUM


def _measured(v: Object) -> bool:
    return (has(v, "code") or not has(v, "value")) and _is_ucum(v)


def _age(v: Object) -> bool:
    value = number(v, "value")
    return _measured(v) and (value is None or value > 0)


def _count(v: Object) -> bool:
    code = not has(v, "code") or text(v, "code") == "1"
    value = number(v, "value")
    return _measured(v) and code and (value is None or value == value.to_integral())


def _duration(v: Object) -> bool:
    return not has(v, "code") or (text(v, "system") == UCUM and has(v, "value"))


def _range(v: Object) -> bool:
    low, high = part(v, "low"), part(v, "high")
    if text(low, "code") != text(high, "code"):
        return True  # quantities in different units are not compared here
    bottom, top = number(low, "value"), number(high, "value")
    return bottom is None or top is None or bottom <= top


def _ratio(v: Object) -> bool:
    top, bottom = has(v, "numerator"), has(v, "denominator")
    return top == bottom and (top or has(v, "extension"))


def _trigger(v: Object) -> bool:
    type_ = text(v, "type")
    return (
        (type_ != "named-event" or has(v, "name"))
        and (type_ != "periodic" or _timed(v))
        and (not type_.startswith("data-") or has(v, "data"))
    )


def _timed(v: Object) -> bool:
    return has(v, "timingTiming", "timingReference", "timingDate", "timingDateTime")


def _offset(v: Object) -> bool:
    when = v.get("when")
    if not has(v, "offset"):
        return True
    return type(when) is list and not _MEALS.intersection(
        w for w in when if type(w) is str
    )


RULES: Rows = {
    "Age.age-1": (_age, "年齢は0より大きい値とし、UCUMの単位コードを付けてください"),
    "Attachment.att-1": (
        _needs("data", "contentType"),
        "dataを入れるときはcontentTypeも入れてください",
    ),
    "ContactPoint.cpt-2": (
        _needs("value", "system"),
        "valueを入れるときはsystem（phone、emailなど）も入れてください",
    ),
    "Count.cnt-3": (_count, "件数は整数とし、UCUMのコード1を付けてください"),
    "DataRequirement.drq-1": (
        lambda v: has(v, "path") != has(v, "searchParam"),
        "pathとsearchParamはどちらか一つだけ入れてください",
    ),
    "DataRequirement.drq-2": (
        lambda v: has(v, "path") != has(v, "searchParam"),
        "pathとsearchParamはどちらか一つだけ入れてください",
    ),
    "Distance.dis-1": (_measured, "距離にはUCUMの単位コードを付けてください"),
    "Duration.drt-1": (_duration, "単位コードはUCUMとし、値も入れてください"),
    "Expression.exp-1": (
        lambda v: has(v, "expression", "reference"),
        "expressionかreferenceを入れてください",
    ),
    "Period.per-1": (
        lambda v: not is_after(text(v, "start"), text(v, "end")),
        "期間の開始は終了より後にできません",
    ),
    "Quantity.qty-3": (
        _needs("code", "system"),
        "単位のcodeを入れるときはsystemも入れてください",
    ),
    "Range.rng-2": (_range, "範囲の下限は上限より大きくできません"),
    "Ratio.rat-1": (_ratio, "分子と分母は両方入れるか、両方なしにしてください"),
    "Timing.tim-1": (
        _needs("duration", "durationUnit"),
        "durationを入れるときはdurationUnitも入れてください",
    ),
    "Timing.tim-2": (
        _needs("period", "periodUnit"),
        "periodを入れるときはperiodUnitも入れてください",
    ),
    "Timing.tim-4": (_not_negative("duration"), "durationは0以上にしてください"),
    "Timing.tim-5": (_not_negative("period"), "periodは0以上にしてください"),
    "Timing.tim-6": (
        _needs("periodMax", "period"),
        "periodMaxを入れるときはperiodも入れてください",
    ),
    "Timing.tim-7": (
        _needs("durationMax", "duration"),
        "durationMaxを入れるときはdurationも入れてください",
    ),
    "Timing.tim-8": (
        _needs("countMax", "count"),
        "countMaxを入れるときはcountも入れてください",
    ),
    "Timing.tim-9": (
        _offset,
        "offsetを入れるときはwhenも入れ、食事そのものを指すコードは使わないでください",
    ),
    "Timing.tim-10": (
        lambda v: at_most_one(v, "timeOfDay", "when"),
        "timeOfDayとwhenは同時に入れられません",
    ),
    "TriggerDefinition.trd-1": (
        lambda v: not (has(v, "data") and _timed(v)),
        "dataとtimingは同時に入れられません",
    ),
    "TriggerDefinition.trd-2": (
        _needs("condition", "data"),
        "conditionを入れるときはdataも入れてください",
    ),
    "TriggerDefinition.trd-3": (
        _trigger,
        "typeに応じてname、timing、dataを入れてください",
    ),
}
