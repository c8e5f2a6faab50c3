"""gzip of answers and bodies (security.md §7, rest.md F15)."""

import gzip
import json
import zlib

import pytest

from hub.restful.coding import SMALLEST
from tests.restful.build import (
    HOSPITAL,
    a_bundle,
    a_caller,
    a_patient,
    get,
    refusal,
    stored,
    submit,
)
from tests.running import running_hub

GZIP = {"Content-Encoding": "gzip"}


def _raw(caller, path, accept, method="GET"):
    """Status, headers and the bytes as they came, not expanded."""
    headers = {"Authorization": f"Bearer {caller.token}", "Accept-Encoding": accept}
    with caller.http.stream(method, f"/fhir/R4{path}", headers=headers) as answer:
        return answer.headers, b"".join(answer.iter_raw())


@pytest.mark.parametrize("accept", ["gzip", "br, gzip;q=0.5", "*", "GZIP"])
def test_a_large_answer_is_compressed_and_expands_to_the_same_bytes(source, accept):
    submit(source)
    path = "/metadata"
    plain_headers, plain = _raw(source, path, "identity")
    headers, packed = _raw(source, path, accept)
    assert headers["Content-Encoding"] == "gzip"
    assert headers["Vary"] == "Accept-Encoding"
    assert int(headers["Content-Length"]) == len(packed) < len(plain) / 3
    assert gzip.decompress(packed) == plain
    assert "Content-Encoding" not in plain_headers
    assert headers["Content-Type"] == plain_headers["Content-Type"]
    assert _raw(source, path, accept)[1] == packed


@pytest.mark.parametrize(
    "accept", ["", "identity", "br", "gzip;q=0", "*;q=0", "gzip;q=0, *"]
)
def test_who_does_not_accept_gzip_gets_none(source, accept):
    headers, body = _raw(source, "/metadata", accept)
    assert "Content-Encoding" not in headers
    assert json.loads(body)["resourceType"] == "CapabilityStatement"


def test_a_small_answer_is_left_as_it_is(source):
    made = submit(source)
    headers, body = _raw(source, f"/{made['Patient']}", "gzip")
    assert len(body) < SMALLEST
    assert "Content-Encoding" not in headers
    assert headers["ETag"] == 'W/"1"'


def test_F18_head_tells_the_length_of_its_get_in_each_coding(source):
    for _ in range(4):
        submit(source)
    for accept in ("gzip", "identity"):
        path = "/Patient/_history?_count=4"
        asked, _ = _raw(source, path, accept)
        told, nothing = _raw(source, path, accept, "HEAD")
        assert nothing == b""
        assert told.get("Content-Encoding") == asked.get("Content-Encoding")
    assert told["Content-Length"] == asked["Content-Length"]


def test_a_large_search_and_history_come_compressed(source):
    for _ in range(12):
        submit(source)
    for path in ("/Task?_count=24", "/Task/_history", "/_history"):
        headers, packed = _raw(source, path, "gzip")
        assert headers["Content-Encoding"] == "gzip"
        assert json.loads(gzip.decompress(packed))["resourceType"] == "Bundle"


def _post(caller, raw, path="/Patient", **headers):
    return caller.request("POST", path, content=raw, headers={**GZIP, **headers})


def test_a_compressed_body_is_taken_as_if_it_were_plain(drafting):
    author = a_caller(drafting, HOSPITAL)
    resource = a_patient(
        extension=[{"url": "https://else.example/a", "valueString": "x" * 9}]
    )
    body = json.dumps(resource).encode()
    answer = _post(author, gzip.compress(body))
    assert answer.status_code == 201, answer.text
    read = author.read(f"/Patient/{answer.json()['id']}")
    assert read["extension"] == resource["extension"]
    assert (
        _post(author, gzip.compress(body), **{"Content-Encoding": "x-gzip"}).status_code
        == 201
    )
    bundle = json.dumps(a_bundle(get(f"Patient/{read['id']}"))).encode()
    assert _post(author, gzip.compress(bundle), "").status_code == 200
    form = gzip.compress(f"_id={read['id']}".encode())
    header = {"Content-Type": "application/x-www-form-urlencoded"}
    found = _post(author, form, "/Patient/_search", **header)
    assert found.json()["total"] == 1


def _packed(raw):
    # Without the moment: the tests have the same names in every process.
    return gzip.compress(raw, mtime=0)


@pytest.mark.parametrize(
    ("raw", "id"),
    [
        (b"\x1f\x8b", "HUB-REST-047"),
        (b"not gzip at all", "HUB-REST-047"),
        (zlib.compress(b"{}"), "HUB-REST-047"),
        (_packed(b"{}")[:-1], "HUB-REST-047"),
        (_packed(b"{}") + b"{}", "HUB-REST-047"),
        (_packed(b"{") + _packed(b"}"), "HUB-REST-047"),
        (_packed(b""), "HUB-JSON-001"),
        (_packed(_packed(b"{}")), "HUB-JSON-002"),
    ],
)
def test_J12_what_is_no_gzip_is_400(hub, source, raw, id):
    before = stored(hub)
    answer = _post(source, raw)
    assert refusal(answer) == (400, id), answer.text
    assert stored(hub) == before


@pytest.mark.parametrize("coding", ["br", "deflate", "gzip, gzip", "zstd", "x"])
def test_F15_another_coding_is_415_on_every_route(source, coding):
    for path in ("/Patient", "", "/Patient/_search", "/intake/yoshiki1"):
        answer = _post(source, b"x", path, **{"Content-Encoding": coding})
        assert refusal(answer) == (415, "HUB-REST-048")


@pytest.fixture(scope="module")
def small(tmp_path_factory, sqlite_template):
    folder = tmp_path_factory.mktemp("small")
    path = folder / "hub.db"
    path.write_bytes(sqlite_template.read_bytes())
    with running_hub(
        f"sqlite:///{path}", folder, drafts=True, max_body_bytes=300_000
    ) as made:
        yield a_caller(made, HOSPITAL)


def _padded(size):
    """A Patient of this many bytes that does not shrink much."""
    noise = "".join(chr(0x4E00 + (n * n * 7919) % 20000) for n in range(size // 3))
    body = json.dumps(a_patient(noise), ensure_ascii=False).encode()
    return body[:size]


def test_AB14_the_expanded_size_is_what_counts(small):
    for raw in (b" " * 300_001, _padded(310_000)):
        answer = _post(small, gzip.compress(raw))
        assert answer.status_code == 413, answer.text
    fits = b" " * 90_000 + json.dumps(a_patient()).encode()
    assert _post(small, gzip.compress(fits)).status_code == 201
    # As much compressed as is allowed plain is still counted as it comes.
    stored_only = gzip.compress(_padded(300_000), compresslevel=0)
    assert len(stored_only) > 300_000
    assert refusal(_post(small, stored_only)) == (413, "HUB-REST-007")


def test_AB14_a_bomb_is_refused_by_its_ratio_and_never_expanded(small):
    bomb = gzip.compress(b" " * 250_000)
    assert refusal(_post(small, bomb)) == (413, "HUB-REST-046")
    huge = gzip.compress(b" " * 100_000_000)
    assert len(huge) < 300_000
    assert refusal(_post(small, huge))[0] == 413


def test_AB14_a_bomb_in_small_pieces_is_counted_too(small):
    raw = gzip.compress(b" " * 100_000_000)

    def pieces():
        for start in range(0, len(raw), 1000):
            yield raw[start : start + 1000]

    assert refusal(_post(small, pieces()))[0] == 413
