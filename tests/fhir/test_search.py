from contextlib import suppress
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.fhir.outcome import FhirError
from hub.fhir.search import (
    Chain,
    Has,
    Match,
    Parameter,
    conditional,
    parse,
    types_touched,
)
from hub.fhir.search_values import (
    BEGINNING,
    END,
    Missing,
    Quantity,
    Range,
    Reference,
    Text,
    Token,
    date_range,
    parse_number,
    parse_token,
    pieces,
    plain,
)

BASE = "https://hub.example/fhir/R4"


def row(code, kind, *targets):
    return code, Parameter(code, kind, targets)


COMMON = [row("_id", "token"), row("_lastUpdated", "date"), row("_tag", "token")]
DECLARED = {
    "Patient": dict(
        [
            *COMMON,
            row("name", "string"),
            row("identifier", "token"),
            row("birthdate", "date"),
            row("link", "reference", "Patient", "RelatedPerson"),
            row("organization", "reference", "Organization"),
        ]
    ),
    "Organization": dict(
        [*COMMON, row("name", "string"), row("partof", "reference", "Organization")]
    ),
    "Task": dict(
        [
            *COMMON,
            row("status", "token"),
            row("patient", "reference", "Patient"),
            row("focus", "reference", "*"),
        ]
    ),
    "Observation": dict(
        [
            *COMMON,
            row("value-quantity", "quantity"),
            row("patient", "reference", "Patient"),
            row("url", "uri"),
        ]
    ),
    "RiskAssessment": dict([*COMMON, row("probability", "number")]),
}


def read(resource_type, *pairs, **options):
    return parse(resource_type, pairs, DECLARED, base_url=BASE, **options)


def value(resource_type, name, text):
    [criterion] = read(resource_type, (name, text)).criteria
    assert isinstance(criterion, Match)
    return criterion.values[0]


def refused(resource_type, *pairs, **options):
    with pytest.raises(FhirError) as error:
        read(resource_type, *pairs, **options)
    assert error.value.status == 400
    return error.value.issues[0].id


@pytest.mark.parametrize(
    ("type_", "name", "text", "expected"),
    [
        ("Patient", "identifier", "s|c", Token("s", "c")),
        ("Patient", "identifier", "|c", Token("", "c")),
        ("Patient", "identifier", "c", Token(None, "c")),
        ("Patient", "identifier", "s|", Token("s", None)),
        ("Patient", "identifier", r"s|a\|b\,c\$d\\", Token("s", r"a|b,c$d" + "\\")),
        ("Patient", "name", "髙﨑", Text("髙﨑")),
        ("Patient", "name:missing", "true", Missing(missing=True)),
        ("Task", "patient", "Patient/1", Reference("Patient", "1", f"{BASE}/Patient/1")),
        ("Task", "patient", f"{BASE}/Patient/1", Reference("Patient", "1", f"{BASE}/Patient/1")),
        ("Task", "patient", "1", Reference(None, "1")),
        ("Task", "patient:Patient", "1", Reference("Patient", "1", f"{BASE}/Patient/1")),
        ("Task", "patient:identifier", "s|1", Token("s", "1")),
        ("Task", "focus", "https://x.example/a|2", Reference(url="https://x.example/a", version="2")),
        ("RiskAssessment", "probability", "gt0.5", Range("gt", 0.45, 0.55, 0.5)),
        ("Observation", "value-quantity", "2.0||mg", Quantity(Range("eq", 1.95, 2.05, 2.0), None, "mg")),
        ("Observation", "url:below", "https://x.example", Text("https://x.example")),
    ],
)  # fmt: skip
def test_a_value_is_read_by_the_type_of_its_parameter(type_, name, text, expected):
    assert value(type_, name, text) == expected


@pytest.mark.parametrize(
    ("type_", "name", "text"),
    [
        ("Patient", "birthdate", "1990-13"),
        ("Patient", "birthdate", "1990-02-30"),
        ("Patient", "birthdate", "昨日"),
        ("Patient", "birthdate", "2026-11-01T09"),
        ("Patient", "birthdate", "2026-11-01T09:00:61Z"),
        ("Patient", "birthdate", "2026-11-01T09:00:00+99:99"),
        ("Patient", "birthdate", "0000"),
        ("Patient", "birthdate", ""),
        ("Patient", "birthdate", "xx1990"),
        ("Patient", "identifier", "|"),
        ("Patient", "identifier", ""),
        ("Patient", "identifier", "a|b|c"),
        ("Patient", "identifier", r"a\b"),
        ("Patient", "identifier", "a,"),
        ("Patient", "name", " "),
        ("Patient", "name:missing", "maybe"),
        ("Patient", "name:missing", "true,false"),
        ("Task", "patient", "a b"),
        ("Task", "patient:Patient", "Organization/1"),
        ("RiskAssessment", "probability", "NaN"),
        ("RiskAssessment", "probability", "1,000,"),
        ("Observation", "value-quantity", "2.0|mg"),
        ("Observation", "value-quantity", "2.0|s|"),
    ],
)
def test_F14_a_malformed_value_is_400_under_lenient_handling_too(type_, name, text):
    assert refused(type_, (name, text)) == "HUB-SEARCH-002"
    assert refused(type_, (name, text), lenient=True) == "HUB-SEARCH-002"


def test_F14_an_unknown_parameter_is_400_or_named_when_lenient():
    pairs = (("name", "a"), ("nickname", "b"), ("_tag", "c"))
    assert refused("Patient", *pairs) == "HUB-SEARCH-001"
    query = read("Patient", *pairs, lenient=True)
    assert query.ignored == (2,)
    assert query.understood == (("name", "a"), ("_tag", "c"))
    assert len(query.criteria) == 2


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("_filter", "name eq a", "HUB-SEARCH-003"),
        ("_query", "x", "HUB-SEARCH-003"),
        ("_text", "x", "HUB-SEARCH-003"),
        ("_content", "x", "HUB-SEARCH-003"),
        ("_list", "x", "HUB-SEARCH-003"),
        ("_contained", "true", "HUB-SEARCH-003"),
        ("_at", "2026", "HUB-SEARCH-003"),
        ("_include", "*", "HUB-SEARCH-003"),
        ("_revinclude", "*", "HUB-SEARCH-003"),
        ("_include:recurse", "Patient:organization", "HUB-SEARCH-003"),
        ("name:fuzzy", "a", "HUB-SEARCH-004"),
        ("identifier:exact", "a", "HUB-SEARCH-004"),
        ("organization:Patient", "a", "HUB-SEARCH-004"),
        ("_id:missing", "true", "HUB-SEARCH-004"),
        ("_include", "Patient:name", "HUB-SEARCH-007"),
        ("_include", "Patient", "HUB-SEARCH-007"),
        ("_include", "Patient:organization:Patient", "HUB-SEARCH-007"),
        ("_include", "Patient:organization:Organization:x", "HUB-SEARCH-007"),
        ("_count", "-1", "HUB-SEARCH-008"),
        ("_count", "many", "HUB-SEARCH-008"),
        ("_total", "some", "HUB-SEARCH-008"),
        ("_summary", "yes", "HUB-SEARCH-008"),
        ("_sort", "nickname", "HUB-SEARCH-008"),
        ("_sort", "", "HUB-SEARCH-008"),
        ("_elements", "a b", "HUB-SEARCH-008"),
        ("name.family", "a", "HUB-SEARCH-006"),
        ("organization:Patient.name", "a", "HUB-SEARCH-006"),
        ("_has:Task:patient", "a", "HUB-SEARCH-006"),
        ("_has:Task:status:status", "a", "HUB-SEARCH-006"),
        ("name", "a\0b", "HUB-SEARCH-013"),
    ],
)
def test_what_is_not_supported_is_refused_even_when_lenient(name, text, expected):
    assert refused("Patient", (name, text)) == expected
    assert refused("Patient", (name, text), lenient=True) == expected


def test_an_error_never_repeats_what_was_received():
    for pair in (("山田花子", "x"), ("birthdate", "山田花子"), ("name:山田花子", "x")):
        with pytest.raises(FhirError) as error:
            read("Patient", pair)
        [found] = error.value.issues
        assert "山田" not in found.text + found.english + str(found.expression)


def test_a_chain_has_a_branch_for_each_type_that_knows_the_parameter():
    [chain] = read("Task", ("focus.name", "a")).criteria
    assert isinstance(chain, Chain)
    assert [name for name, _inner in chain.branches] == ["Patient", "Organization"]
    [chain] = read("Task", ("patient.organization.name", "a")).criteria
    [(_, inner)] = chain.branches
    assert isinstance(inner, Chain)
    assert refused("Task", ("patient.nickname", "a")) == "HUB-SEARCH-001"
    assert refused("Task", ("focus.patient.birthdate", "never")) == "HUB-SEARCH-002"


def test_has_may_be_nested_and_chained():
    name = "_has:Patient:organization:_has:Task:patient:status"
    [has] = read("Organization", (name, "requested")).criteria
    assert isinstance(has, Has)
    assert isinstance(has.criterion, Has)
    assert isinstance(has.criterion.criterion, Match)
    assert has.criterion.criterion.values == (Token(None, "requested"),)
    [chain] = read("Task", ("patient._has:Observation:patient:_tag", "a")).criteria
    assert isinstance(chain.branches[0][1], Has)


def test_chains_end_after_three_links():
    three = "partof.partof.partof.name"
    assert read("Organization", (three, "a")).criteria
    assert refused("Organization", (f"partof.{three}", "a")) == "HUB-SEARCH-005"
    assert refused("Patient", (f"link:Patient.organization.{three}", "a")) == (
        "HUB-SEARCH-005"
    )


def test_results_are_shaped_as_asked():
    query = read(
        "Task",
        ("_sort", "-_lastUpdated,status"),
        ("_count", "10"),
        ("_total", "none"),
        ("_elements", "status,for"),
        ("_include", "Task:patient"),
        ("_include:iterate", "Patient:organization:Organization"),
        ("_revinclude", "Observation:patient"),
        ("_format", "json"),
    )
    assert [(s.parameter.code, s.descending) for s in query.sort] == [
        ("_lastUpdated", True),
        ("status", False),
    ]
    assert (query.count, query.total, query.elements) == (10, "none", ("status", "for"))
    assert [(i.source, i.target, i.iterate, i.reverse) for i in query.includes] == [
        ("Task", None, False, False),
        ("Patient", "Organization", True, False),
        ("Observation", None, False, True),
    ]
    assert ("_format", "json") not in query.understood
    assert read("Task", ("_count", "0")).counts_only
    assert read("Task", ("_summary", "count")).counts_only
    assert read("Task", ("_totalMethod", "count")).total == "accurate"


def test_types_touched_names_every_type_that_needs_a_scope():
    query = read(
        "Task",
        ("patient.organization.name", "a"),
        ("patient._has:Observation:patient:_tag", "a"),
    )
    assert types_touched(query) == {"Task", "Patient", "Organization", "Observation"}
    query = read("Patient", ("_revinclude", "Task:patient"))
    assert types_touched(query) == {"Patient", "Task"}


def test_a_system_search_needs_types_and_common_parameters():
    query = read("", ("_type", "Patient,Task"), ("_tag", "a"))
    assert query.types == ("Patient", "Task")
    assert query.understood == (("_type", "Patient,Task"), ("_tag", "a"))
    assert refused("", ("_tag", "a")) == "HUB-SEARCH-008"
    assert refused("", ("_type", "Nothing")) == "HUB-SEARCH-008"
    assert refused("", ("_type", "Patient,Task"), ("name", "a")) == "HUB-SEARCH-001"
    assert refused("Patient", ("_type", "Patient")) == "HUB-SEARCH-003"


def test_F6_a_conditional_needs_criteria_and_nothing_else():
    def ask(*pairs):
        with pytest.raises(FhirError) as error:
            conditional("Patient", pairs, DECLARED)
        return error.value.issues[0].id

    assert ask() == "HUB-SEARCH-009"
    assert ask(("identifier", "a"), ("_count", "1")) == "HUB-SEARCH-001"
    assert ask(("nickname", "a")) == "HUB-SEARCH-001"
    assert conditional("Patient", [("identifier", "a")], DECLARED).criteria


def test_AB26_the_number_of_values_has_a_limit():
    many = ",".join(str(n) for n in range(1001))
    assert refused("Patient", ("identifier", many)) == "HUB-SEARCH-010"


@pytest.mark.parametrize(
    ("text", "low", "width"),
    [
        ("2026", "2026-01-01T00:00:00+09:00", 365 * 86_400_000_000),
        ("2026-11", "2026-11-01T00:00:00+09:00", 30 * 86_400_000_000),
        ("2026-11-03", "2026-11-03T00:00:00+09:00", 86_400_000_000),
        ("2026-11-03T10:05", "2026-11-03T10:05:00+09:00", 60_000_000),
        ("2026-11-03T01:05:06Z", "2026-11-03T10:05:06+09:00", 1_000_000),
        ("2026-11-03T10:05:06.7", "2026-11-03T10:05:06.700+09:00", 100_000),
        ("2026-11-03T10:05:06.789123456", "2026-11-03T10:05:06.789123+09:00", 1),
        ("2026-11-03T10:05:60+09:00", "2026-11-03T10:06:00+09:00", 1_000_000),
    ],
)
def test_a_date_is_the_span_it_covers_in_japan_unless_it_has_a_zone(text, low, width):
    first, last = date_range(text)
    assert (first, last - first) == (date_range(low)[0], width)


def test_the_last_year_ends_open():
    assert date_range("9999")[1] == END
    assert date_range("9999-12-31")[1] == END
    assert date_range("0001")[0] > BEGINNING


@given(
    st.decimals(
        allow_nan=False,
        allow_infinity=False,
        min_value=-(10**9),
        max_value=10**9,
        places=3,
    )
)
def test_a_number_lies_in_the_range_its_digits_imply(number: Decimal):
    found = parse_number(f"{number:f}")
    assert found.low < found.exact < found.high
    assert found.exact == float(number)


@given(st.lists(st.text(min_size=1), min_size=1, max_size=4))
def test_escaped_pieces_come_back_as_they_were(texts):
    def escaped(text):
        for character in "\\,|$":
            text = text.replace(character, "\\" + character)
        return text

    joined = ",".join(escaped(text) for text in texts)
    assert [plain(piece) for piece in pieces(joined, ",")] == texts


@given(st.text(), st.text())
def test_reading_any_pair_ends_in_a_query_or_a_refusal(name, text):
    with suppress(FhirError):
        read("Patient", (name, text))


@pytest.mark.parametrize(
    ("type_", "code"),
    [
        ("Patient", "birthdate"),
        ("Patient", "identifier"),
        ("Task", "focus"),
        ("RiskAssessment", "probability"),
        ("Observation", "value-quantity"),
    ],
)
@given(text=st.text() | st.from_regex(r"[0-9.+|T:Z-]{1,30}", fullmatch=True))
def test_reading_any_value_ends_in_a_value_or_a_refusal(type_, code, text):
    with suppress(FhirError):
        read(type_, (code, text))


def test_a_backslash_before_anything_else_is_malformed():
    with pytest.raises(ValueError, match="escape"):
        parse_token("a\\b")
