"""F16: a walk over pages while others write, on both databases."""

import random
import threading
from itertools import count

import pytest

from hub.fhir.outcome import FhirError
from tests.store.conftest import Store

STABLE, CHANGING = 60, 20


def a_task(id_: str, **over):
    made = {"resourceType": "Task", "id": id_, "status": "requested", "intent": "order"}
    return {**made, **over}


def meddle(store: Store, seed: int, stop: threading.Event) -> None:
    """Insert, change and delete, as fast as it goes, until told to stop."""
    pick = random.Random(seed)
    for n in count():
        if stop.is_set():
            return
        store.create(a_task(f"new{n}", description=f"d{n % 7}"))
        id_ = f"c{pick.randrange(CHANGING)}"
        try:
            if pick.randrange(3):
                status = pick.choice(("requested", "draft"))
                store.update(a_task(id_, status=status, description=f"d{n % 5}"))
            else:
                store.delete("Task", id_)
        except FhirError:
            store.delete("Task", f"new{n}")


@pytest.mark.parametrize(
    "sort", ["", "&_sort=_id", "&_sort=-code", "&_sort=status,-authored-on"]
)
def test_F16_a_walk_beside_a_writer_gives_each_stable_match_once(store, sort):
    stable = [
        a_task(
            f"s{n:02}",
            authoredOn=f"2026-11-{n % 9 + 1:02}",
            code={"coding": [{"code": f"k{n % 4}"}]},
        )
        for n in range(STABLE)
    ]
    changing = [a_task(f"c{n}") for n in range(CHANGING)]
    order = random.Random(7).sample([*stable, *changing], STABLE + CHANGING)
    store.create(*order)
    stop = threading.Event()
    writer = threading.Thread(target=meddle, args=(Store(store.database), 1, stop))
    writer.start()
    try:
        for _ in range(3):
            seen = walk(store, f"Task?status=requested&_count=7{sort}")
            ours = [id_ for id_ in seen if id_.startswith("s")]
            assert sorted(ours) == sorted(one["id"] for one in stable)
    finally:
        stop.set()
        writer.join()


def walk(store: Store, url: str) -> list[str]:
    """All ids of a walk; pages are full but the last, none is empty."""
    seen: list[str] = []
    after = None
    for _ in range(1000):
        page = store.search(url, after=after)
        assert page.matches or not seen
        assert page.next is None or len(page.matches) == 7
        assert page.total is not None
        assert page.total >= STABLE
        seen += [one.id for one in page.matches]
        after = page.next
        if after is None or len(seen) > 2000:
            break
    return seen


def test_F16_a_walk_goes_on_when_its_last_match_is_gone(store):
    for n in range(6):
        store.create(a_task(f"t{n}", authoredOn=f"2026-11-0{n + 1}"))
    for sort in ("", "&_sort=_id", "&_sort=-authored-on"):
        url = f"Task?status=requested&_count=2{sort}"
        first = store.search(url)
        last = first.matches[-1].id
        store.delete("Task", last)
        left, after = [], first.next
        while after is not None:
            page = store.search(url, after=after)
            left += [one.id for one in page.matches]
            after = page.next
        assert not {*left} & {one.id for one in first.matches}
        assert len(left) == store.search("Task?status=requested").total - 1
        store.create(a_task(f"{last}x", authoredOn="2026-11-09"))


def test_F16_the_total_counts_each_match_once_whatever_the_criteria(store):
    coding = [{"system": "http://x.example", "code": f"c{n}"} for n in range(3)]
    store.create(
        *(a_task(f"t{n}", code={"coding": coding, "text": "c"}) for n in range(5))
    )
    for asked in (
        "code=c0,c1,c2",
        "code=http://x.example|",
        "code=c0&code=c1",
        "code:text=c",
        "code:not=zzz",
        "status:missing=false",
        "_id=t0,t1,t2,t3,t4,t4",
    ):
        assert store.search(f"Task?{asked}&_count=2").total == 5, asked
        assert store.search(f"Task?{asked}&_summary=count").total == 5, asked
        assert len(store.ids(f"Task?{asked}")) == 5, asked
