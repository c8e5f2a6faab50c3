"""AB34: whatever is asked, SQLite and PostgreSQL answer the same bytes.

The twins once more, with the same data on both sides: only the database differs. NUL,
collation, `%`, `_` and the backslash in LIKE, odd characters in an order.
"""

from functools import partial

import pytest

from tests.conftest import POSTGRES, _admin, _url
from tests.oracles.twin import compare, seen
from tests.oracles.worlds import copied, twins

if not POSTGRES:
    pytest.skip("there is one database here", allow_module_level=True)

NAMES = (
    "100%",
    "1000",
    "a_b",
    "axb",
    "a\\b",
    "Ａｂｃ",
    "abc",
    "ABD",
    "髙",
    "高",
    "é",
    "e",
)
ODD = (
    *("name=100%25", "name=a_b", "name=a%5Cb", "name:contains=%25", "name:contains=_"),
    *(
        "name:contains=%5C",
        "name:contains=%5C%5C",
        "name:exact=100%25",
        "name:exact=Ａｂｃ",
        "name=ab",
        "name=高",
    ),
    *("name=%E9%AB%99", "name=e", "name:exact=e", "name=%00", "name=%F0%9F%98%80"),
    *("_sort=name&_count=3", "_sort=-name&_count=3", "_sort=family,_id", "name='"),
    *('name="', "name=;--", "identifier=%25", "identifier=a_b|", "name:contains=1"),
)


@pytest.fixture
def urls(sqlite_template, postgres_template, tmp_path):
    name = f"tsunagi_differ_{tmp_path.name[-20:].lower().replace('-', '_')}"
    name = "".join(c for c in name if c.isalnum() or c == "_")
    _admin(f"CREATE DATABASE {name} TEMPLATE {postgres_template}")
    yield [copied(sqlite_template, tmp_path)[0], _url(name)]
    _admin(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.mark.parametrize("seed", [3, 10])
def test_AB34_generated_requests_are_answered_alike(urls, tmp_path, seed):
    report = compare(urls, tmp_path, seed, 40, alike=True)
    assert report.leaks == []
    assert {200, 404} <= {status for _, status in report.statuses}


def test_AB34_signs_of_like_and_collation_are_letters_like_any_other(urls, tmp_path):
    with twins(urls, tmp_path, 0, alike=True) as made:
        for number, name in enumerate(NAMES):
            made.both(partial(_named, number=number, name=name))
        found = {}
        for query in ODD:
            # The people of the world have a gender, these names have none.
            asked = f"/Patient?{query}&gender:missing=true"
            one, two = made.ask("GET", asked, {}, b"")
            assert seen(one) == seen(two), query
            found[query] = one.json().get("total")
        assert found["name=100%25"] == 1
        assert found["name:contains=%25"] == 1
        assert found["name:contains=_"] == 1
        # R4 §3.1.1.4.4: a backslash is written as two; one alone escapes nothing.
        assert found["name:contains=%5C%5C"] == 1
        assert found["name:contains=%5C"] is None
        assert found["name=%00"] is None


def _named(world, number, name):
    body = {"resourceType": "Patient", "name": [{"family": name}]}
    answer = world.caller("4619999917", "source").post("/Patient", body)
    assert answer.status_code == 201, (number, answer.text)
