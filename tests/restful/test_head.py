"""HEAD is GET without a body on every route that has a GET (rest.md F18)."""

import pytest

from tests.restful.build import HOSPITAL, a_caller, case_of, submit


@pytest.fixture(scope="module")
def caller(hub):
    return a_caller(hub, HOSPITAL)


@pytest.fixture(scope="module")
def made(caller):
    return submit(caller)


def _paths(caller, made):
    """One path that answers 200 for each route with a GET."""
    task, episode = made["Task"], case_of(caller, made)["id"]
    return [
        "/metadata",
        f"/{task}",
        f"/{task}/_history/1",
        f"/{task}/_history",
        f"/Task/_history?_since={_NOW}",
        f"/_history?_since={_NOW}",
        f"/Task?_id={task.split('/')[1]}",
        f"/EpisodeOfCare/{episode}/$explain-access",
    ]


# Nothing is written after it: the two answers are of the same moment.
_NOW = "2099-01-01T00:00:00Z"


def test_F18_every_route_with_a_get_has_a_head_alike(caller, made):
    headers = {"Accept-Encoding": "identity"}
    for path in _paths(caller, made):
        got = caller.get(path, headers=headers)
        head = caller.request("HEAD", path, headers=headers)
        assert got.status_code == head.status_code == 200, path
        assert head.content == b""
        for name in ("Content-Type", "Content-Length", "ETag", "Last-Modified"):
            assert head.headers.get(name) == got.headers.get(name), (path, name)


def test_F18_head_of_what_is_refused_has_the_status_of_its_get(caller):
    for path in (
        "/Task/never-there",
        "/Task?nonsense=1",
        "/Nonsense",
        "/_history?_at=1",
    ):
        got, head = caller.get(path), caller.request("HEAD", path)
        assert got.status_code == head.status_code >= 400
        assert head.content == b""


def test_a_vread_by_condition_is_304(caller, made):
    path = f"/{made['Task']}/_history/1"
    answer = caller.get(path, headers={"If-None-Match": 'W/"1"'})
    assert (answer.status_code, answer.content) == (304, b"")
    moment = caller.get(path).headers["Last-Modified"]
    answer = caller.get(path, headers={"If-Modified-Since": moment})
    assert answer.status_code == 304
    assert caller.get(path, headers={"If-None-Match": "2"}).status_code == 200
