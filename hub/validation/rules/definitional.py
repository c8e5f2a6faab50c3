"""Invariants of Questionnaire, code systems, value sets and other definitions."""

import re
from collections.abc import Iterator

from hub.validation.rules.rule import (
    Holds,
    Object,
    Rows,
    at_most_one,
    has,
    parts,
    text,
)

_NAME = re.compile(r"[A-Z][A-Za-z0-9_]{0,254}")
_WITH_OPTIONS = {
    "choice",
    "open-choice",
    "decimal",
    "integer",
    "date",
    "dateTime",
    "time",
    "string",
    "quantity",
}
_WITH_LENGTH = {"boolean", "decimal", "integer", "string", "text", "url", "open-choice"}


def _items(v: Object) -> Iterator[Object]:
    stack = parts(v, "item")
    while stack:
        item = stack.pop()
        yield item
        stack.extend(parts(item, "item"))


def _link_ids(v: Object) -> bool:
    ids = [text(item, "linkId") for item in _items(v)]
    ids = [id_ for id_ in ids if id_]
    return len(ids) == len(set(ids))


def _group_or_display(v: Object) -> bool:
    type_ = text(v, "type")
    if type_ == "group":
        return has(v, "item")
    return type_ != "display" or not has(v, "item")


def _not_on_display(*names: str) -> Holds:
    return lambda v: text(v, "type") != "display" or not has(v, *names)


def _options(v: Object) -> bool:
    with_options = has(v, "answerOption", "answerValueSet")
    return not with_options or text(v, "type") in _WITH_OPTIONS


def _enable_behavior(v: Object) -> bool:
    # R4 prints `count() > 2` beside the sentence "more than one"; the sentence holds,
    # as in later versions and in HL7's validator.
    return len(parts(v, "enableWhen")) <= 1 or has(v, "enableBehavior")


def _initials(v: Object) -> bool:
    return v.get("repeats") is True or len(parts(v, "initial")) <= 1


def _concept_codes(v: Object) -> bool:
    seen, stack = set(), list(parts(v, "concept"))
    while stack:
        concept = stack.pop()
        code = text(concept, "code")
        if code and code in seen:
            return False
        seen.add(code)
        stack.extend(parts(concept, "concept"))
    return True


def _name(v: Object) -> bool:
    return "name" not in v or _NAME.fullmatch(text(v, "name")) is not None


RULES: Rows = {
    "CodeSystem.csd-1": (_concept_codes, "同じcodeが二度あります"),
    "Questionnaire.que-1": (
        _group_or_display,
        "groupにはitemが必要で、displayにはitemを入れられません",
    ),
    "Questionnaire.que-2": (_link_ids, "同じlinkIdが二度あります"),
    "Questionnaire.que-3": (
        _not_on_display("code"),
        "displayにcodeは入れられません",
    ),
    "Questionnaire.que-4": (
        lambda v: at_most_one(v, "answerOption", "answerValueSet"),
        "answerOptionとanswerValueSetは同時に入れられません",
    ),
    "Questionnaire.que-5": (_options, "このtypeの項目に選択肢は入れられません"),
    "Questionnaire.que-6": (
        _not_on_display("required", "repeats"),
        "displayにrequiredとrepeatsは入れられません",
    ),
    "Questionnaire.que-7": (
        lambda v: text(v, "operator") != "exists" or "answerBoolean" in v,
        "operatorがexistsのときはanswerBooleanを入れてください",
    ),
    "Questionnaire.que-8": (
        lambda v: text(v, "type") not in {"group", "display"} or not has(v, "initial"),
        "groupとdisplayにinitialは入れられません",
    ),
    "Questionnaire.que-9": (
        _not_on_display("readOnly"),
        "displayにreadOnlyは入れられません",
    ),
    "Questionnaire.que-10": (
        lambda v: not has(v, "maxLength") or text(v, "type") in _WITH_LENGTH,
        "このtypeの項目にmaxLengthは入れられません",
    ),
    "Questionnaire.que-11": (
        lambda v: at_most_one(v, "answerOption", "initial"),
        "answerOptionがあるときは、initialでなくinitialSelectedを使ってください",
    ),
    "Questionnaire.que-12": (
        _enable_behavior,
        "enableWhenが二つ以上あるときはenableBehaviorを入れてください",
    ),
    "Questionnaire.que-13": (
        _initials,
        "繰り返さない項目のinitialは一つまでです",
    ),
    "ValueSet.vsd-1": (
        lambda v: has(v, "valueSet", "system"),
        "includeとexcludeにはsystemかvalueSetを入れてください",
    ),
    "ValueSet.vsd-2": (
        lambda v: not has(v, "concept", "filter") or has(v, "system"),
        "conceptかfilterを入れるときはsystemも入れてください",
    ),
    "ValueSet.vsd-3": (
        lambda v: at_most_one(v, "concept", "filter"),
        "conceptとfilterは同時に入れられません",
    ),
    "ValueSet.vsd-6": (
        lambda v: has(v, "code", "display"),
        "codeかdisplayを入れてください",
    ),
    "ValueSet.vsd-9": (
        lambda v: has(v, "code") or v.get("abstract") is True,
        "codeがないときはabstractをtrueにしてください",
    ),
    "ValueSet.vsd-10": (
        lambda v: not has(v, "code") or has(v, "system"),
        "codeを入れるときはsystemも入れてください",
    ),
}
for _key in (
    "CodeSystem.csd-0",
    "Measure.mea-0",
    "PlanDefinition.pdf-0",
    "Questionnaire.que-0",
    "ValueSet.vsd-0",
):
    RULES[_key] = (_name, "nameは英大文字で始まる英数字にすると計算機で扱えます")
