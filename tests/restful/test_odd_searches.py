"""Whatever is asked, the answer is a Bundle or an OperationOutcome, never a 500 (F18)."""

from itertools import islice

import pytest

from hub.restful.served import searchable
from tests.restful.build import HOSPITAL, a_caller
from tests.store.queries import queries

ROUNDS = 80


@pytest.fixture(scope="module")
def caller(hub):
    return a_caller(hub, HOSPITAL)


@pytest.mark.parametrize("seed", [101, 102])
def test_F18_no_search_is_an_error_of_ours(caller, seed):
    for place, query in islice(queries(seed, sorted(searchable())), ROUNDS):
        answer = caller.get(f"/{place}?{query}")
        kind = "Bundle" if answer.status_code == 200 else "OperationOutcome"
        assert answer.status_code in (200, 400, 404), (place, query)
        assert answer.json()["resourceType"] == kind


def test_F14_get_and_post_of_generated_searches_agree(caller):
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    for place, query in islice(queries(103, sorted(searchable())), 30):
        got = caller.get(f"/{place}?{query}")
        path = f"/{place}/_search".replace("//", "/")
        posted = caller.request("POST", path, content=query, headers=form)
        assert got.status_code == posted.status_code, (place, query)
        if "_page=" not in got.text:
            assert got.content == posted.content
