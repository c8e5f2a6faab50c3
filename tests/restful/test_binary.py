"""Binary: content in its own media type, never shown, under its owner's access (AB25)."""

import base64
import shutil
import uuid

import pytest

from tests.restful.build import (
    CENTRE,
    HOSPITAL,
    OTHER_HOSPITAL,
    a_bundle,
    a_caller,
    post,
    refusal,
    submit,
    urn,
)
from tests.restful.least import least
from tests.running import running_hub

CONTENT = b"%PDF-1.7 \x00\xff\r\n not a real one"
JSON = {"Accept": "application/fhir+json"}


@pytest.fixture(scope="module")
def hospital(hub):
    return a_caller(hub, HOSPITAL)


@pytest.fixture(scope="module")
def desk(hub):
    return a_caller(hub, CENTRE, "recipient")


@pytest.fixture(scope="module")
def made(hospital):
    return submit(hospital)


def _send(caller, content=CONTENT, type="application/pdf", context=None, **headers):
    if context:
        headers["X-Security-Context"] = context
    headers["Content-Type"] = type
    return caller.request("POST", "/Binary", content=content, headers=headers)


def _id(answer):
    assert answer.status_code == 201, answer.text
    return answer.json()["id"]


def test_content_is_sent_and_read_in_its_own_media_type(hospital, made):
    sent = _send(hospital, context=made["Patient"])
    assert sent.json()["data"] == base64.b64encode(CONTENT).decode()
    assert sent.json()["securityContext"] == {"reference": made["Patient"]}
    path = f"/Binary/{_id(sent)}"
    for accept in ("*/*", "application/pdf", "image/png, */*;q=0.1"):
        answer = hospital.get(path, headers={"Accept": accept})
        assert (answer.status_code, answer.content) == (200, CONTENT)
        assert answer.headers["Content-Type"] == "application/pdf"
    assert answer.headers["ETag"] == 'W/"1"'
    assert answer.headers["X-Security-Context"] == made["Patient"]
    assert hospital.get(f"{path}/_history/1").content == CONTENT
    head = hospital.request("HEAD", path)
    assert (head.content, head.headers["Content-Length"]) == (b"", str(len(CONTENT)))
    known = hospital.get(path, headers={"If-None-Match": 'W/"1"'})
    assert (known.status_code, known.content) == (304, b"")


def test_AB23_content_is_an_attachment_and_never_shown(hospital, made):
    script = b"<script>alert(1)</script>"
    for type in ("text/html", "image/svg+xml; charset=utf-8", "text/plain"):
        id = _id(_send(hospital, script, type, made["Patient"]))
        answer = hospital.get(f"/Binary/{id}", headers={"Accept": "text/html,*/*"})
        assert answer.content == script
        assert answer.headers["Content-Type"] == type
        assert answer.headers["Content-Disposition"] == "attachment"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Cache-Control"] == "private, no-store"
        assert answer.headers["Content-Security-Policy"] == (
            "default-src 'none'; frame-ancestors 'none'; sandbox"
        )


@pytest.mark.parametrize(
    "asked",
    [
        {"headers": JSON},
        {"headers": {"Accept": "application/json"}},
        {"headers": {"Accept": "application/fhir+json, */*; q=0.1"}},
        {"headers": {"Accept": "*/*"}, "params": {"_format": "json"}},
        {"headers": {"Accept": "*/*"}, "params": {"_format": "application/fhir+json"}},
    ],
)
def test_the_resource_is_read_when_a_fhir_format_is_asked_for(hospital, made, asked):
    sent = _send(hospital, context=made["Patient"])
    answer = hospital.get(f"/Binary/{_id(sent)}", **asked)
    assert answer.headers["Content-Type"] == "application/fhir+json"
    assert answer.json() == sent.json()


def test_a_binary_sent_as_a_resource_is_read_as_content(hospital, made):
    resource = least("Binary", securityContext={"reference": made["Patient"]})
    answer = hospital.post("/Binary", resource)
    content = hospital.get(f"/Binary/{_id(answer)}", headers={"Accept": "*/*"})
    assert content.content == base64.b64decode(resource["data"])
    assert content.headers["Content-Type"] == "text/plain"


@pytest.mark.parametrize(
    "type", ["text/plain\\r\\nX-Other: 1", "nonsense", "a/b; c", "テキスト/文書"]
)
def test_a_stored_media_type_that_is_none_becomes_octets(hospital, made, type):
    context = {"reference": made["Patient"]}
    resource = least("Binary", securityContext=context, contentType=type)
    answer = hospital.post("/Binary", resource)
    if answer.status_code == 422:
        return  # R4's own rule of codes refuses it
    content = hospital.get(f"/Binary/{_id(answer)}", headers={"Accept": "*/*"})
    assert content.headers["Content-Type"] == "application/octet-stream"
    assert "X-Other" not in content.headers


def test_content_without_data_is_empty(hospital, made):
    resource = least("Binary", securityContext={"reference": made["Patient"]})
    del resource["data"]
    id = _id(hospital.post("/Binary", resource))
    answer = hospital.get(f"/Binary/{id}", headers={"Accept": "*/*"})
    assert (answer.status_code, answer.content) == (200, b"")


def test_content_is_replaced_by_put_and_the_old_version_stays(hospital, made):
    path = f"/Binary/{_id(_send(hospital, context=made['Patient']))}"
    headers = {"Content-Type": "text/csv", "X-Security-Context": made["Patient"]}
    answer = hospital.request("PUT", path, content=b"a,b", headers=headers)
    assert answer.status_code == 200, answer.text
    assert hospital.get(path, headers={"Accept": "*/*"}).content == b"a,b"
    assert hospital.get(f"{path}/_history/1").content == CONTENT
    elsewhere = {**headers, "X-Security-Context": made["ServiceRequest"]}
    for other in (elsewhere, {"Content-Type": "text/csv"}):
        answer = hospital.request("PUT", path, content=b"a,b", headers=other)
        assert refusal(answer) == (422, "HUB-REST-065")


def test_what_is_wrong_with_content_is_said(hospital, made):
    person = made["Patient"]
    assert refusal(_send(hospital)) == (403, "HUB-CON-012")
    bad = ("Patient", "https://else.example/Patient/1", "Patient/1, Patient/2")
    for context in bad:
        assert refusal(_send(hospital, context=context)) == (400, "HUB-REST-066")
    for type in ("nonsense", "text/plain; x", "a b/c"):
        answer = _send(hospital, type=type, context=person)
        assert refusal(answer) == (415, "HUB-REST-067")
    answer = _send(hospital, context=person, **{"Content-Encoding": "br"})
    assert refusal(answer) == (415, "HUB-REST-048")
    unknown = _send(hospital, context=f"Patient/{uuid.uuid4()}")
    assert refusal(unknown) == (422, "HUB-REST-016")


def test_content_is_limited_so_that_its_resource_can_be_sent(sqlite_template, tmp_path):
    shutil.copyfile(sqlite_template, tmp_path / "hub.db")
    url = f"sqlite:///{tmp_path}/hub.db"
    with running_hub(url, tmp_path, drafts=True, max_body_bytes=4000) as hub:
        caller = a_caller(hub, HOSPITAL, scopes="system/Binary.cruds")
        assert refusal(_send(caller, b"x" * 2251)) == (413, "HUB-REST-007")
        assert refusal(_send(caller, b"x" * 5000)) == (413, "HUB-REST-007")
        id = _id(_send(caller, b"x" * 2250))
        resource = caller.get(f"/Binary/{id}", headers=JSON).content
        answer = caller.request("PUT", f"/Binary/{id}", content=resource)
        assert answer.status_code == 200


# AB25: a Binary has no way of its own.


def test_AB25_a_binary_of_an_unseen_document_is_absent(hub, hospital, desk, made):
    """The desk's own file: the sender sees neither it nor its content."""
    document = desk.post(
        "/DocumentReference",
        least("DocumentReference", subject={"reference": made["Patient"]}),
    )
    owner = f"DocumentReference/{_id(document)}"
    id, unknown = _id(_send(desk, context=owner)), str(uuid.uuid4())
    assert desk.get(f"/Binary/{id}", headers={"Accept": "*/*"}).content == CONTENT
    stranger = a_caller(hub, OTHER_HOSPITAL)
    for caller in (hospital, stranger):
        for accept in ("*/*", "application/fhir+json", "application/pdf"):
            answers = [
                caller.get(f"/Binary/{one}{tail}", headers={"Accept": accept})
                for one in (id, unknown)
                for tail in ("", "/_history/1")
            ]
            assert {a.status_code for a in answers} == {404}
            assert len({a.content for a in answers}) == 1
            assert {a.headers["Content-Type"] for a in answers} == {
                "application/fhir+json"
            }


def test_AB25_a_binary_goes_with_what_its_author_tells(hospital, desk, made):
    told = desk.post(
        "/Communication",
        least("Communication", subject={"reference": made["Patient"]}),
    )
    shared = _id(_send(desk, context=f"Communication/{_id(told)}"))
    own = _id(_send(desk, context=made["ServiceRequest"]))
    anything = {"Accept": "*/*"}
    assert hospital.get(f"/Binary/{shared}", headers=anything).content == CONTENT
    # The request is the sender's: a context of another's opens nothing wider.
    assert hospital.get(f"/Binary/{own}", headers=anything).status_code == 404


def test_AB25_a_withdrawal_closes_the_content(hub, hospital, desk):
    made = submit(hospital)
    id = _id(_send(hospital, context=made["ServiceRequest"]))
    assert desk.get(f"/Binary/{id}", headers={"Accept": "*/*"}).content == CONTENT
    consent = hospital.read(f"/{made['Consent']}")
    answer = hospital.put(f"/{made['Consent']}", {**consent, "status": "inactive"})
    assert answer.status_code == 200
    assert desk.get(f"/Binary/{id}").status_code == 404


def test_AB25_an_attachment_points_only_to_content_that_is_seen(hub, hospital, made):
    """A reference in all but its form: hidden and absent look alike."""
    other = submit(hospital)
    hidden = _id(_send(a_caller(hub, HOSPITAL), context=other["Patient"]))
    stranger = a_caller(hub, OTHER_HOSPITAL)
    theirs = submit(stranger)

    def document(caller, url, person):
        attachment = {"contentType": "application/pdf", "url": url}
        body = least(
            "DocumentReference",
            subject={"reference": person},
            content=[{"attachment": attachment}],
        )
        return caller.post("/DocumentReference", body)

    urls = (f"Binary/{hidden}", f"Binary/{uuid.uuid4()}")
    answers = [document(stranger, url, theirs["Patient"]) for url in urls]
    assert refusal(answers[0]) == (422, "HUB-REST-016")
    assert answers[0].content == answers[1].content
    # Seen, but of another case.
    mixed = document(hospital, urls[0], made["Patient"])
    assert refusal(mixed) == (422, "HUB-REF-017")
    fine = document(hospital, urls[0], other["Patient"])
    assert fine.status_code == 201
    base = f"{hub.settings.fhir_base}/Binary/{hidden}"
    absolute = document(hospital, base, other["Patient"])
    assert absolute.json()["content"][0]["attachment"]["url"] == urls[0]
    changed = fine.json()
    mine = _id(_send(hospital, context=made["Patient"]))
    changed["content"][0]["attachment"]["url"] = f"Binary/{mine}"
    answer = hospital.put(f"/DocumentReference/{changed['id']}", changed)
    assert refusal(answer) == (422, "HUB-REF-017")


def test_F11_a_transaction_brings_document_and_content_together(hospital, made):
    document, content = urn(), urn()
    attachment = {"contentType": "text/plain", "url": content}
    bundle = a_bundle(
        post(
            least(
                "DocumentReference",
                subject={"reference": made["Patient"]},
                content=[{"attachment": attachment}],
            ),
            document,
        ),
        post(least("Binary", securityContext={"reference": document}), content),
    )
    answer = hospital.post("", bundle)
    assert answer.status_code == 200, answer.text
    paths = [e["response"]["location"].split("/_")[0] for e in answer.json()["entry"]]
    stored = hospital.read(f"/{paths[0]}")
    assert stored["content"][0]["attachment"]["url"] == paths[1]
    assert hospital.get(f"/{paths[1]}", headers={"Accept": "*/*"}).status_code == 200


def test_F17_reading_content_is_audited_with_its_person(hub, hospital, privacy):
    made = submit(hospital)
    id = _id(_send(hospital, context=made["Patient"]))
    before = privacy.search(f"/AuditEvent?patient={made['Patient']}&action=R")
    hospital.get(f"/Binary/{id}", headers={"Accept": "*/*"})
    after = privacy.search(f"/AuditEvent?patient={made['Patient']}&action=R")
    assert len(after) == len(before) + 1
