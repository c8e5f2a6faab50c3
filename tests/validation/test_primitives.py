"""R4 primitive types: what each takes and refuses."""

from decimal import Decimal
from typing import Any

import pytest

from hub.validation.primitives import MAX_STRING, PRIMITIVES

GOOD: dict[str, list[Any]] = {
    "base64Binary": ["QUJD", "QQ==", "QUJD\r\nQUJD", "QU JD"],
    "boolean": [True, False],
    "canonical": ["https://x/Questionnaire/k1|1.0", "#local"],
    "code": ["final", "in progress", "K-1"],
    "date": ["2026", "2026-04", "2024-02-29", "2000-02-29"],
    "dateTime": [
        "2026",
        "2026-04",
        "2026-04-01",
        "2026-04-01T23:59:60.123456789+09:00",
    ],
    "decimal": [Decimal("1.50"), Decimal("1E+3"), 0, -7],
    "id": ["a", "A-1.b", "x" * 64],
    "instant": ["2026-04-01T00:00:00Z", "2026-04-01T00:00:00.5-14:00"],
    "integer": [0, -(2**31), 2**31 - 1],
    "markdown": ["**太字**"],
    "oid": ["urn:oid:1.2.392.100495"],
    "positiveInt": [1],
    "string": ["見本", " 前後の空白 ", "改行\n"],
    "time": ["09:00:00", "23:59:60.5"],
    "unsignedInt": [0],
    "uri": ["urn:oid:1.2.3", "https://x", "relative"],
    "url": ["mailto:a@example.jp"],
    "uuid": ["urn:uuid:00000000-0000-4000-8000-00000000000a"],
    "xhtml": ["<div/>"],
}
BAD: dict[str, list[Any]] = {
    "base64Binary": ["", "***", "QUJ", "Q=UJ", 5, None, "ＱＵＪＤ"],
    "boolean": ["true", 1, 0, None, Decimal(1)],
    "canonical": ["", "a b"],
    "code": ["", " a", "a ", "a  b", "a\tb", 1],
    "date": [
        "2026-02-30",
        "2023-02-29",
        "1900-02-29",
        "2026-06-31",
        "2026-13-01",
        "2026-00-01",
        "26-04-01",
        "2026/04/01",
        "２０２６-04-01",
        "0000",
        "2026-04-01T00:00:00Z",
        "2026-04-01\n",
        2026,
    ],
    "dateTime": ["2026-04-01T10:00:00", "2026-04-01T10:00Z", "2026-04T10:00:00Z"],
    "decimal": ["1.5", True, 1.5, Decimal("NaN"), Decimal("Infinity"), None],
    "id": ["", "x" * 65, "a_b", "氏名", 1],
    "instant": ["2026-04-01", "2026-04-01T24:00:00Z", "2026-02-30T00:00:00Z"],
    "integer": ["5", True, Decimal("5.0"), 2**31, -(2**31) - 1],
    "markdown": ["", "  "],
    "oid": ["1.2.392", "urn:oid:3.1", "urn:oid:1.02"],
    "positiveInt": [0, -1],
    "string": ["", " ", "\n", "　", None, 1, ["a"], "x" * (MAX_STRING + 1)],
    "time": ["9:00:00", "24:00:00", "09:00"],
    "unsignedInt": [-1],
    "uri": ["", "a b", "urn:uuid:1234", "urn:oid:x", {"a": 1}],
    "url": [" "],
    "uuid": ["00000000-0000-4000-8000-00000000000a"],
    "xhtml": [""],
}


@pytest.mark.parametrize("type_", PRIMITIVES)
def test_a_primitive_takes_its_values_and_no_others(type_: str):
    ok = PRIMITIVES[type_]
    assert [v for v in GOOD[type_] if not ok(v)] == []
    assert [v for v in BAD[type_] if ok(v)] == []


def test_a_string_is_measured_in_bytes():
    assert PRIMITIVES["string"]("あ" * (MAX_STRING // 3))
    assert not PRIMITIVES["string"]("あ" * (MAX_STRING // 3 + 1))
