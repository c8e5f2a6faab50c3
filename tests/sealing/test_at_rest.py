"""Content at rest: read as it was sent, and nowhere to be found without the key."""

import base64
import json
import re
import uuid

import pytest
from sqlalchemy import select, text, update

from hub.fhir.json import decode
from hub.sealing.keys import FILE_NAME, create
from hub.sealing.tables import sealed_content
from hub.store import tables
from tests.restful.build import refusal
from tests.sealing.conftest import a_document, holds, secret

XML = {"Accept": "application/fhir+xml"}


def made(answer):
    assert answer.status_code == 201, answer.text
    return f"/{answer.json()['resourceType']}/{answer.json()['id']}"


def test_a_control_finds_plain_text_in_the_database(hub, source):
    """Without this the other tests could look in the wrong place."""
    title = f"控え{uuid.uuid4().hex}"
    made(source.post("/DocumentReference", a_document(b"x", description=title)))
    assert holds(hub, title.encode())  # the search index holds it, content not


def test_content_is_nowhere_in_the_files_of_the_database(hub, source):
    one, two, three, four = (secret() for _ in range(4))
    sent = source.request(
        "POST", "/Binary", content=one, headers={"Content-Type": "application/pdf"}
    )
    binary = made(sent)
    document = made(source.post("/DocumentReference", a_document(two)))
    entry = {"resource": a_document(three), "fullUrl": f"urn:uuid:{uuid.uuid4()}"}
    entry["request"] = {"method": "POST", "url": "DocumentReference"}
    bundle = {"resourceType": "Bundle", "type": "transaction", "entry": [entry]}
    answered = source.post(
        "",
        bundle,
        headers={
            "Idempotency-Key": uuid.uuid4().hex,
            "Prefer": "return=representation",
        },
    )
    assert base64.b64encode(three).decode() in answered.text
    changed = {**source.read(document), **a_document(four)}
    assert source.put(document, changed).status_code == 200

    assert not any(holds(hub, content) for content in (one, two, three, four))
    assert source.get(binary).content == one
    assert (
        source.read(f"{document}/_history/1")["content"] == a_document(two)["content"]
    )
    assert source.read(document)["content"] == a_document(four)["content"]


def test_an_attachment_anywhere_is_content(hub, source):
    content = secret()
    data = base64.b64encode(content).decode()
    communication = {
        "resourceType": "Communication",
        "status": "completed",
        "payload": [{"contentAttachment": {"contentType": "text/plain", "data": data}}],
    }
    path = made(source.post("/Communication", communication))
    assert not holds(hub, content)
    assert source.read(path)["payload"] == communication["payload"]


def test_a_kept_answer_that_shows_content_is_sealed_and_repeated(hub, source):
    content, key = secret(), uuid.uuid4().hex
    entry = {"resource": a_document(content), "fullUrl": f"urn:uuid:{uuid.uuid4()}"}
    entry["request"] = {"method": "POST", "url": "DocumentReference"}
    bundle = {"resourceType": "Bundle", "type": "transaction", "entry": [entry]}
    headers = {"Idempotency-Key": key, "Prefer": "return=representation"}
    first, again = (source.post("", bundle, headers=headers) for _ in range(2))
    assert base64.b64encode(content).decode() in first.text
    assert again.content == first.content
    assert not holds(hub, content)


def test_what_is_read_are_the_bytes_that_were_received(source):
    """Decimals keep their digits, in every way to read: read, history, search, XML."""
    url = "https://e.example/weight"
    document = a_document(secret())
    document["extension"] = [{"url": url, "valueDecimal": 9}]
    raw = json.dumps(document).replace(": 9}", ": 1.500}").encode()
    answer = source.request("POST", "/DocumentReference", content=raw)
    path = made(answer)
    ways = (path, f"{path}/_history/1", f"{path}/_history",
            f"/DocumentReference?_id={path.rpartition('/')[2]}")  # fmt: skip
    for way in ways:
        assert b'"valueDecimal":1.500' in source.get(way).content, way
    assert source.get(path).content == answer.content
    assert b'value="1.500"' in source.get(path, headers=XML).content
    tag = answer.headers["ETag"]
    assert source.get(path, headers={"If-None-Match": tag}).status_code == 304
    assert '"data"' in source.get(f"{path}?_summary=true").text  # content is summary
    some = source.read(f"{path}?_elements=content")
    assert some["content"] == document["content"]
    assert "description" not in some


def test_sealed_content_can_be_patched_and_found_by_its_title(source):
    document = a_document(secret(), description=f"索引{uuid.uuid4().hex}")
    path = made(source.post("/DocumentReference", document))
    patch = [{"op": "replace", "path": "/content/0/attachment/title", "value": "改訂"}]
    answer = source.request(
        "PATCH",
        path,
        content=json.dumps(patch).encode(),
        headers={"Content-Type": "application/json-patch+json"},
    )
    assert answer.status_code == 200, answer.text
    found = source.search(f"/DocumentReference?description={document['description']}")
    data = document["content"][0]["attachment"]["data"]
    assert [one["content"][0]["attachment"]["data"] for one in found] == [data]


def test_content_is_never_in_the_search_index(hub, source):
    content = secret()
    made(source.post("/DocumentReference", a_document(content)))
    part = base64.b64encode(content).decode()[:40].casefold()
    with hub.database.transaction(write=False) as session:
        for table in tables.INDEXES:
            for row in session.execute(select(table)):
                assert part not in str(row).casefold()


def test_other_types_are_stored_as_they_are(hub, source):
    patient = {"resourceType": "Patient", "name": [{"text": 'data":"'}]}
    path = made(source.post("/Patient", patient))
    with hub.database.transaction(write=False) as session:
        body = session.execute(
            select(tables.resource.c.body).where(
                tables.resource.c.id == path.rpartition("/")[2]
            )
        ).scalar_one()
        noted = session.execute(select(sealed_content.c.place)).scalars().all()
    assert decode(bytes(body))["name"] == patient["name"]
    assert not [place for place in noted if path.strip("/") in place]


@pytest.mark.parametrize("what", ["another resource", "another version", "one byte"])
def test_a_row_in_anothers_place_is_refused(hub, source, what):
    first, second = (
        made(source.post("/DocumentReference", a_document(secret()))) for _ in range(2)
    )
    if what == "another version":
        changed = {**source.read(first), **a_document(secret())}
        assert source.put(first, changed).status_code == 200
    _tamper(hub, first.rpartition("/")[2], second.rpartition("/")[2], what)
    for way in (first, f"{first}/_history", f"/DocumentReference?_id={first[19:]}"):
        answer = source.get(way)
        assert refusal(answer) == (503, "HUB-KEY-005")
        assert "data" not in answer.text
    assert source.get(second).status_code == 200


def _tamper(hub, first, second, what):
    current, former = tables.resource, tables.resource_version
    from_table, from_id = (
        (former, first) if what == "another version" else (current, second)
    )
    with hub.database.transaction() as session:
        if what == "one byte":
            from_id = first
        body = bytes(
            session.execute(
                select(from_table.c.body).where(from_table.c.id == from_id)
            ).scalar_one()
        )
        if what == "one byte":
            last = b"A" if body[-8:-7] != b"A" else b"B"
            body = body[:-8] + last + body[-7:]
        session.execute(update(current).where(current.c.id == first).values(body=body))


def test_without_its_key_content_is_503_and_the_hub_not_ready(hub, source):
    path = made(source.post("/DocumentReference", a_document(secret())))
    patient = made(source.post("/Patient", {"resourceType": "Patient"}))
    assert hub.http.get("/readyz").status_code == 200
    file = hub.settings.state / FILE_NAME
    kept = file.read_bytes()

    file.unlink()
    create(file)  # a wrong key
    for way in (path, f"{path}/_history", "/DocumentReference"):
        assert refusal(source.get(way)) == (503, "HUB-KEY-001")
    assert hub.http.get("/readyz").status_code == 503
    assert source.get(patient).status_code == 200  # other types need no key

    file.unlink()  # no key: nothing is stored in clear instead
    document = a_document(secret())
    answer = source.post("/DocumentReference", document)
    assert refusal(answer) == (503, "HUB-KEY-001")
    assert answer.headers["Retry-After"]
    assert source.get(patient).status_code == 200
    assert hub.http.get("/readyz").status_code == 503

    file.write_bytes(kept)
    file.chmod(0o600)
    assert source.get(path).status_code == 200
    assert hub.http.get("/readyz").status_code == 200


def test_another_key_under_the_same_id_is_found_out(hub, source):
    made(source.post("/DocumentReference", a_document(secret())))
    file = hub.settings.state / FILE_NAME
    keys = json.loads(file.read_bytes())
    keys["keys"][0]["k"] = base64.urlsafe_b64encode(bytes(32)).decode().rstrip("=")
    file.write_bytes(json.dumps(keys).encode())
    assert hub.http.get("/readyz").status_code == 503
    answer = source.get("/DocumentReference")
    assert refusal(answer) == (503, "HUB-KEY-005")


def test_a_sealed_row_is_a_jwe_that_names_its_key_and_its_place(hub, source):
    """Whoever has the key file can read it with any JOSE library."""
    path = made(source.post("/DocumentReference", a_document(secret())))
    with hub.database.transaction(write=False) as session:
        sealed = session.execute(
            text("SELECT body FROM resource WHERE type = 'DocumentReference'")
        ).scalar_one()
    head, *rest = bytes(sealed).decode().split(".")
    header = json.loads(base64.urlsafe_b64decode(head + "=="))
    keys = json.loads((hub.settings.state / FILE_NAME).read_bytes())["keys"]
    assert header == {
        "alg": "dir",
        "enc": "A256GCM",
        "kid": keys[0]["kid"],
        "place": f"{path[1:]}/_history/1",
    }
    assert len(rest) == 4
    assert re.fullmatch(r"\d{8}-[0-9a-f]{8}", keys[0]["kid"])
