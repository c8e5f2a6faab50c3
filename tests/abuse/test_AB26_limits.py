"""AB26: what costs without end is refused or cut, and another client does not wait."""

import time

import pytest

from hub.subscribing import MOST
from tests.restful.build import a_bundle, get, refusal, submit
from tests.subscriptions.build import a_subscription

LONGEST = 5.0  # seconds that any one of these may take on a busy machine


@pytest.fixture(autouse=True)
def soon():
    started = time.monotonic()
    yield
    assert time.monotonic() - started < 12 * LONGEST


@pytest.mark.parametrize("count", ["1000000000", "999999999", "0", "-1", "1e9"])
def test_AB26_a_count_without_measure_is_cut_or_refused(hub, source, count):
    submit(source)
    answer = source.get(f"/Task?_count={count}")
    assert answer.status_code in (200, 400)
    if answer.status_code == 200:
        most = hub.settings.max_page_size
        assert len(answer.json().get("entry", ())) <= most


def test_AB26_a_huge_bundle_is_refused_before_any_entry(hub, source):
    many = a_bundle(
        *(get("Task/x") for _ in range(hub.settings.max_bundle_entries + 1)),
        type="batch",
    )
    answer = source.post("", many)
    assert answer.status_code in (400, 413)
    assert source.post("", a_bundle(get("Task/x"), type="batch")).status_code == 200


def test_AB26_a_body_beyond_the_limit_is_413(hub, source):
    raw = (
        b'{"resourceType":"Patient","x":"' + b"a" * hub.settings.max_body_bytes + b'"}'
    )
    assert source.request("POST", "/Patient", content=raw).status_code == 413


@pytest.mark.parametrize("depth", [65, 5_000, 100_000])
def test_AB26_nesting_beyond_the_limit_is_400(source, depth):
    raw = b'{"resourceType":"Patient","a":' + b"[" * depth + b"]" * depth + b"}"
    assert source.request("POST", "/Patient", content=raw).status_code == 400


@pytest.mark.parametrize(
    "evil",
    ["(a+)+$" + "a" * 200, "a" * 5_000 + "!", "[" * 2_000, "%" * 3_000, "\\" * 3_000],
)
def test_AB26_no_expression_of_a_caller_is_run(source, evil):
    """There is no regular expression to blow up: LIKE gets every sign as itself."""
    for parameter in ("name:contains", "name", "name:exact", "identifier"):
        started = time.monotonic()
        answer = source.get("/Patient", params={parameter: evil})
        assert answer.status_code in (200, 400, 413, 414)
        assert time.monotonic() - started < LONGEST


def test_AB26_includes_that_go_in_circles_end(source):
    made = submit(source)
    links = ("part-of", "focus", "patient")
    circles = "&".join(
        f"{way}:iterate=Task:{link}"
        for link in links
        for way in ("_include", "_revinclude")
    )
    started = time.monotonic()
    answer = source.get(f"/Task?_id={made['Task'].partition('/')[2]}&{circles}")
    assert answer.status_code == 200
    assert time.monotonic() - started < LONGEST
    keys = [one["fullUrl"] for one in answer.json()["entry"]]
    assert len(keys) == len(set(keys))


@pytest.mark.parametrize("depth", [9, 40, 200])
def test_AB26_a_chain_without_end_is_refused(source, depth):
    chain = "part-of." * depth + "status"
    has = "_has:Task:part-of:" * depth + "status"
    for name in (chain, has):
        answer = source.get("/Task", params={name: "requested"})
        assert answer.status_code == 400, name[:60]


def test_AB26_a_storm_of_subscriptions_stops_at_the_limit(hub, source):
    body = a_subscription("http://127.0.0.1:9/hook")
    made = []
    for _ in range(MOST + 1):
        answer = source.post("/Subscription", body)
        if answer.status_code != 201:
            break
        made.append(answer.json()["id"])
    assert refusal(answer)[1] == "HUB-SUB-018"
    assert len(made) <= MOST
    for id_ in made:
        assert source.request("DELETE", f"/Subscription/{id_}").status_code == 204
    assert source.get("/Task?_summary=count").status_code == 200
