"""Twin worlds (security.md §9.1): what is hidden changes no byte of any answer.

Two hubs hold the same data of the asker; one of them others' too, which goes on
changing while the same generated requests are asked of both. Ids and the clock are
those of the act, so that nothing is left out of the comparison but the server's Date.
`make twin` asks 200 seeds on both databases.
"""

from typing import Any

import pytest
from sqlalchemy import and_, true

from hub.disclosure import grants
from hub.restful import (
    conditional,
    documents,
    history,
    linking,
    one,
    search,
    visible,
)
from hub.store import search as store_search
from hub.store.conditions import conditions
from hub.store.include import included
from hub.store.visibility import hub_sees_all
from tests.oracles.twin import compare
from tests.oracles.worlds import ASKERS, copied


@pytest.fixture
def asked(sqlite_template, tmp_path):
    def ask(seed, rounds=40):
        folder = tmp_path / str(seed)
        folder.mkdir()
        return compare(copied(sqlite_template, folder), folder, seed, rounds)

    return ask


@pytest.mark.parametrize("seed", range(len(ASKERS)))
def test_AB1_AB2_AB3_AB4_AB5_AB9_two_worlds_answer_alike_to_the_byte(asked, seed):
    report = asked(seed)
    assert report.leaks == []
    assert report.asked >= 40
    assert {200, 404} <= {status for _, status in report.statuses}


def _see_all(actor, at=None):
    del actor, at
    return hub_sees_all


def _total_of_all(session, types, query, visible, old=store_search._total):
    del visible
    return old(session, types, query, hub_sees_all)


def _included_of_all(*given, old=included):
    session, includes, matches, _visible, *rest = given
    return old(session, includes, matches, hub_sees_all, *rest)


def _conditions_of_all(rows, types, criteria, visible, old=conditions):
    del visible
    return old(rows, types, criteria, hub_sees_all)


def _gives_of_any_class(given, _member, organisation, moment):
    return and_(given.c.organisation == organisation, grants._open(given, moment))


# Defences taken away, one at a time: (where, name, what stands there instead).
MUTANTS: dict[str, list[tuple[Any, str, Any]]] = {
    "read": [(visible, "visible_to", _see_all)],
    "search": [(search, "visible_to", _see_all)],
    "history": [(history, "visible_to", _see_all)],
    "update": [(one, "visible_to", _see_all)],
    "conditional": [(conditional, "visible_to", _see_all)],
    "reference": [(linking, "visible_to", _see_all)],
    "document": [(documents, "visible_to", _see_all)],
    "total": [(store_search, "_total", _total_of_all)],
    "include": [(store_search, "included", _included_of_all)],
    "chain": [(store_search, "conditions", _conditions_of_all)],
    "class": [(grants, "gives", _gives_of_any_class)],
    "closed grant": [(grants, "_open", lambda _given, _moment: true())],
}


# The seeds that tell; others are as good, and later.
SEEDS = {"conditional": (2, 4), "include": (5, 10), "chain": (4, 9)}


@pytest.mark.parametrize("mutant", MUTANTS)
def test_AB35_a_path_that_forgets_its_predicate_is_noticed(asked, monkeypatch, mutant):
    for place, name, instead in MUTANTS[mutant]:
        monkeypatch.setattr(place, name, instead)
    assert any(asked(seed).leaks for seed in SEEDS.get(mutant, (0, 4)))
