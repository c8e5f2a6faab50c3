from datetime import timedelta

import pytest
from sqlalchemy import false

from hub.store.history import history
from hub.store.visibility import hub_sees_all
from tests.store.conftest import START

LIST = {"resourceType": "List", "status": "current", "mode": "working"}


@pytest.fixture
def page(store):
    def ask(type_=None, id_=None, visible=hub_sees_all, **options):
        with store.database.transaction(write=False) as session:
            return history(session, type_, id_, visible, **options)

    return ask


def test_F9_each_version_is_one_entry_newest_first(store, page):
    [made] = store.create(LIST)
    store.update({**LIST, "id": made.id, "title": "二"})
    store.delete("List", made.id)
    found = page("List", made.id)
    assert found.total == 3
    assert [(e.method, e.version) for e in found.entries] == [
        ("DELETE", 3),
        ("PUT", 2),
        ("POST", 1),
    ]
    assert found.next is None


def test_F9_since_creation_is_all_and_the_future_is_none(store, page):
    [made] = store.create(LIST)
    store.update({**LIST, "id": made.id})
    assert page("List", made.id, since=made.last_updated).total == 2
    assert page("List", made.id, since=START + timedelta(days=1)).total == 0


def test_F9_a_walk_of_type_and_system_gives_each_version_once(store, page):
    for name in ("a", "b", "c"):
        store.create({**LIST, "id": name})
        store.update({**LIST, "id": name})
    store.create({"resourceType": "Group", "id": "a", "type": "person"})
    for type_, expected in (("List", 6), (None, 7)):
        seen, after = [], None
        while True:
            found = page(type_, count=2, after=after)
            assert len(found.entries) <= 2
            assert found.total == expected
            seen += found.entries
            after = found.next
            if after is None:
                break
        assert len({(e.reference, e.version) for e in seen}) == len(seen) == expected
        moments = [e.last_updated for e in seen]
        assert moments == sorted(moments, reverse=True)


def test_F9_versions_of_one_moment_are_walked_once_too(store, page):
    for _ in range(3):
        store.at -= timedelta(seconds=1)
        store.create(LIST)
    first = page("List", count=2)
    second = page("List", count=2, after=first.next)
    ids = [e.id for e in first.entries + second.entries]
    assert len(set(ids)) == 3
    assert second.next is None


def test_G1_hidden_versions_are_neither_shown_nor_counted(store, page):
    store.create({**LIST, "id": "mine"}, {**LIST, "id": "theirs"})
    found = page("List", visible=lambda rows: rows.c.id == "mine")
    assert ([e.id for e in found.entries], found.total) == (["mine"], 1)
    assert page("List", "theirs", visible=lambda _rows: false()).total == 0
