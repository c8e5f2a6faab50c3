"""Every row of security.md §8 has its tests, and they are where the table says."""

import ast
from functools import cache
from pathlib import Path

import pytest

from tests.abuse.rows import ROWS

ROOT = Path(__file__).resolve().parent.parent.parent


@cache
def _tests(file: str) -> tuple[str, ...]:
    tree = ast.parse((ROOT / file).read_text("utf-8"))
    return tuple(
        one.name
        for one in tree.body
        if isinstance(one, ast.FunctionDef) and one.name.startswith("test_")
    )


def test_all_35_rows_are_in_the_table():
    assert sorted(ROWS) == list(range(1, 36))


@pytest.mark.parametrize("row", ROWS)
def test_a_row_of_the_table_has_its_tests(row):
    for pointer in ROWS[row]:
        file, _, begins = pointer.partition("::")
        found = [name for name in _tests(file) if name.startswith(begins or "test_")]
        assert found, f"AB{row}: {pointer}"


@pytest.mark.parametrize("row", ROWS)
def test_the_text_of_each_row_is_what_the_table_is_about(shared, row):
    text = (shared / "design" / "security.md").read_text("utf-8")
    assert f"| AB{row} |" in text
