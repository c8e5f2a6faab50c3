"""Invariants of Bundle and Parameters."""

from hub.validation.rules.rule import Object, Rows, has, has_choice, part, parts, text


def _only_in(v: Object, name: str, types: frozenset[str]) -> bool:
    expected = text(v, "type") in types
    return all(has(entry, name) == expected for entry in parts(v, "entry"))


def _distinct(v: Object) -> bool:
    if text(v, "type") == "history":
        return True
    keys = [
        (url, text(part(part(entry, "resource"), "meta"), "versionId"))
        for entry in parts(v, "entry")
        if (url := text(entry, "fullUrl"))
    ]
    return len(keys) == len(set(keys))


def _first_is(v: Object, type_: str, resource_type: str) -> bool:
    if text(v, "type") != type_:
        return True
    first = next(iter(parts(v, "entry")), {})
    return text(part(first, "resource"), "resourceType") == resource_type


def _document_identifier(v: Object) -> bool:
    identifier = part(v, "identifier")
    return text(v, "type") != "document" or (
        has(identifier, "system") and has(identifier, "value")
    )


def _parameter(v: Object) -> bool:
    value, resource = has_choice(v, "value"), has(v, "resource")
    if has(v, "part"):
        return not value and not resource
    return value != resource


_REQUESTS = frozenset({"batch", "transaction", "history"})
_RESPONSES = frozenset({"batch-response", "transaction-response", "history"})

RULES: Rows = {
    "Bundle.bdl-1": (
        lambda v: not has(v, "total") or text(v, "type") in {"searchset", "history"},
        "totalは検索結果か履歴のときだけ入れてください",
    ),
    "Bundle.bdl-2": (
        lambda v: (
            text(v, "type") == "searchset"
            or not any(has(e, "search") for e in parts(v, "entry"))
        ),
        "entry.searchは検索結果のときだけ入れてください",
    ),
    "Bundle.bdl-3": (
        lambda v: _only_in(v, "request", _REQUESTS),
        "requestはbatch、transaction、historyの全entryに必要で、ほかでは不要です",
    ),
    "Bundle.bdl-4": (
        lambda v: _only_in(v, "response", _RESPONSES),
        "responseは応答かhistoryの全entryに必要で、ほかでは不要です",
    ),
    "Bundle.bdl-5": (
        lambda v: has(v, "resource", "request", "response"),
        "entryにはresource、request、responseのどれかを入れてください",
    ),
    "Bundle.bdl-7": (_distinct, "同じfullUrl（と版）のentryが二つあります"),
    "Bundle.bdl-8": (
        lambda v: "/_history/" not in text(v, "fullUrl"),
        "fullUrlに版（_history）は入れられません",
    ),
    "Bundle.bdl-9": (
        _document_identifier,
        "documentにはidentifierのsystemとvalueが必要です",
    ),
    "Bundle.bdl-10": (
        lambda v: text(v, "type") != "document" or "timestamp" in v,
        "documentにはtimestampが必要です",
    ),
    "Bundle.bdl-11": (
        lambda v: _first_is(v, "document", "Composition"),
        "documentの最初のentryはCompositionにしてください",
    ),
    "Bundle.bdl-12": (
        lambda v: _first_is(v, "message", "MessageHeader"),
        "messageの最初のentryはMessageHeaderにしてください",
    ),
    "Parameters.inv-1": (
        _parameter,
        "parameterにはvalue、resource、partのどれか一つだけを入れてください",
    ),
}
