"""FHIR XML on every route: the same content, headers and refusals as in JSON (F15)."""

import json
import re
import shutil
from typing import Any

import pytest
from lxml import etree

from hub.fhir import xml
from hub.validation import validate
from hub.validation.layouts import definitions
from tests.restful.build import (
    HOSPITAL,
    a_bundle,
    a_caller,
    a_patient,
    a_referral,
    case_of,
    get,
    post,
    put,
    refusal,
    stored,
    submit,
)
from tests.running import FHIR_JSON, running_hub

FHIR_XML = "application/fhir+xml"
IN_XML = {"Accept": FHIR_XML}
SENT_AS_XML = {"Content-Type": FHIR_XML}
FORM = "application/x-www-form-urlencoded"
# Ids, numbers of cases and moments, which are new each time.
_OWN = re.compile(
    r"[0-9a-f]{8}-[0-9a-f-]{27}|[0-9]{4}-[0-9-]{5}T[0-9:.]+(?:Z|\+[0-9:]{5})"
)
FHIR = 'xmlns="http://hl7.org/fhir"'
SECRET = "架空の秘密"


def as_xml(resource: dict[str, Any]) -> bytes:
    return xml.encode(resource, definitions())


def read_xml(answer) -> dict[str, Any]:
    """The resource of an answer in XML, which is valid R4."""
    assert answer.headers["Content-Type"] == FHIR_XML, answer.text
    found = xml.decode(answer.content, definitions(), 1000)
    assert [i.id for i in validate(found) if i.severity == "error"] == []
    return found


def refusal_in_xml(answer) -> tuple[int, str]:
    outcome = read_xml(answer)
    assert outcome["resourceType"] == "OperationOutcome"
    return answer.status_code, outcome["issue"][0]["details"]["coding"][0]["code"]


def send(caller, method, path, resource, **headers):
    body = resource if isinstance(resource, bytes) else as_xml(resource)
    return caller.request(
        method, path, content=body, headers={**SENT_AS_XML, **IN_XML, **headers}
    )


@pytest.fixture
def author(drafting):
    return a_caller(drafting, HOSPITAL)


# Answers.


def test_F15_every_kind_of_answer_says_the_same_in_xml(source):
    made = submit(source)
    paths = [f"/{made[kind]}" for kind in ("Patient", "Consent", "Task")]
    episode = case_of(source, made)["id"]
    paths += [
        f"/{made['QuestionnaireResponse']}/_history/1",
        f"/{made['Task']}/_history",
        f"/Task?patient={made['Patient']}&_include=Task:focus",
        "/Task?_count=1",
        "/Task?_summary=count",
        "/Patient?_elements=name&_count=2",
        f"/{made['Patient']}?_summary=data",
        f"/EpisodeOfCare/{episode}/$explain-access",
        "/Organization?_count=100",
        "/HealthcareService?_count=3&_revinclude=PractitionerRole:service",
        "/metadata",
    ]
    for path in paths:
        in_json, in_xml = source.get(path), source.get(path, headers=IN_XML)
        assert (in_json.status_code, in_xml.status_code) == (200, 200), path
        expected, found = in_json.json(), read_xml(in_xml)
        for one in (expected, found):
            _without_pages(one)
        assert found == expected, path
        for name in ("ETag", "Last-Modified", "Cache-Control"):
            assert in_xml.headers.get(name) == in_json.headers.get(name), path


def _without_pages(resource: dict[str, Any]) -> None:
    """A next link is signed with the moment it was made."""
    resource["link"] = [
        one for one in resource.get("link", ()) if one["relation"] != "next"
    ]


def test_F15_the_audit_log_is_told_in_xml(source, privacy):
    submit(source)
    answer = privacy.get("/AuditEvent?_count=5", headers=IN_XML)
    assert read_xml(answer)["type"] == "searchset"


def test_json_stays_the_stored_bytes_and_decimals_keep_their_digits(author):
    made = {
        "resourceType": "Observation",
        "status": "final",
        "code": {"text": "架空"},
        "valueQuantity": {"value": 1.5},
        "note": [{"text": 'b\n\t"c"'}, {"text": "a"}],
    }  # fmt: skip
    body = as_xml(made).replace(b'value="1.5"', b'value="1.50"')
    answer = send(author, "POST", "/Observation", body)
    assert answer.status_code == 201
    assert b'<value value="1.50"/>' in answer.content
    path = f"/Observation/{read_xml(answer)['id']}"
    first = author.get(path)
    assert '"valueQuantity":{"value":1.50}' in first.text
    assert author.get(path, headers=IN_XML).content == answer.content
    assert author.get(path).content == first.content


@pytest.mark.parametrize(
    ("accept", "media"),
    [
        ("application/fhir+xml", FHIR_XML),
        ("application/xml", FHIR_XML),
        ("text/xml", FHIR_XML),
        ("application/xml+fhir", FHIR_XML),
        ("APPLICATION/FHIR+XML", FHIR_XML),
        ("application/fhir+xml; charset=utf-8", FHIR_XML),
        ("application/fhir+xml; fhirVersion=4.0", FHIR_XML),
        ("application/fhir+xml;q=0.5, application/fhir+json;q=0.4", FHIR_XML),
        ("application/fhir+xml;q=0.4, application/fhir+json;q=0.5", FHIR_JSON),
        ("application/fhir+xml, */*;q=0.1", FHIR_XML),
        ("*/*, application/fhir+xml", FHIR_XML),
        ("application/fhir+json, application/fhir+xml", FHIR_JSON),
        ("application/fhir+xml, application/fhir+json", FHIR_XML),
        ("application/fhir+json;q=0, */*", FHIR_XML),
        ("application/fhir+xml;q=0, */*", FHIR_JSON),
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", FHIR_XML),
        ("application/fhir+xml; fhirVersion=3.0, application/fhir+json;q=0.1", FHIR_JSON),
        ("text/*", FHIR_JSON),
        ("*/*", FHIR_JSON),
    ],
)  # fmt: skip
def test_F15_the_format_most_wanted_is_answered(source, accept, media):
    answer = source.get("/Organization?_count=1", headers={"Accept": accept})
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, media)


@pytest.mark.parametrize(
    "accept",
    [
        "text/html",
        "application/fhir+xml;q=0",
        "application/fhir+xml; fhirVersion=3.0",
        "application/fhir+json; fhirVersion=5.0",
        "application/fhir+xml; charset=shift_jis",
        "application/pdf;q=1, */*;q=0",
    ],
)
def test_F15_what_cannot_be_answered_is_406(hub, source, accept):
    for path in ("/Organization?_count=1", "/Patient/x", "/metadata"):
        answer = source.get(path, headers={"Accept": accept})
        assert refusal(answer) == (406, "HUB-REST-006")


@pytest.mark.parametrize(
    "format_",
    [
        "xml",
        "text/xml",
        "application/xml",
        "application/fhir+xml",  # its + arrives as a space
        "application/fhir%2Bxml",
        "application/fhir%2Bxml;fhirVersion=4.0",
    ],
)
def test_F15_format_goes_before_accept(source, format_):
    made = submit(source)["Patient"]
    for path in (f"/{made}", "/Patient", "/metadata", f"/{made}/_history"):
        answer = source.get(f"{path}?_format={format_}", headers={"Accept": FHIR_JSON})
        assert read_xml(answer), path


def test_F15_two_formats_at_once_are_none(source):
    answer = source.get("/Patient?_format=xml&_format=json")
    assert refusal(answer) == (406, "HUB-REST-006")
    assert read_xml(source.get("/Patient?_format=xml&_format=text/xml"))


def test_F15_the_format_of_a_posted_search_counts(source):
    header = {"Content-Type": FORM, "Accept": FHIR_JSON}
    for body, media in ((b"_format=xml", FHIR_XML), (b"_format=json", FHIR_JSON)):
        answer = source.request(
            "POST", "/Patient/_search", content=body, headers=header
        )
        assert answer.status_code == 200
        assert answer.headers["Content-Type"] == media


def test_a_next_link_asks_for_the_format_that_its_page_was_asked_in(source):
    page = read_xml(source.get("/Organization?_count=2&_format=xml"))
    links = {one["relation"]: one["url"] for one in page["link"]}
    assert "_format" not in links["self"]
    path = links["next"].partition("/fhir/R4")[2]
    second = read_xml(source.get(path))
    assert len(second["entry"]) == 2
    assert second["entry"] != page["entry"]
    by_header = read_xml(source.get("/Organization?_count=2", headers=IN_XML))
    assert not any("_format" in one["url"] for one in by_header["link"])


def test_intake_answers_a_list_that_xml_has_no_form_for(source):
    answer = source.post("/intake/auto", headers=IN_XML)
    assert refusal_in_xml(answer) == (406, "HUB-REST-006")


# Refusals.


def test_F15_every_refusal_is_told_in_the_format_asked_for(hub, source):
    def as_asked(method, path, **kwargs):
        headers = {**IN_XML, **kwargs.pop("headers", {})}
        return refusal_in_xml(source.request(method, path, headers=headers, **kwargs))

    for path, expected in {
        "/Patient/x": (404, "HUB-REST-001"),
        "/Nothing/x": (404, "HUB-REST-003"),
        "/Patient/$everything": (404, "HUB-REST-003"),
        "/no/such/path/at/all": (404, "HUB-REST-003"),
        "/Patient?unknown=x": (400, "HUB-SEARCH-001"),
    }.items():
        assert as_asked("GET", path) == expected
        answer = source.get(f"{path}{'&' if '?' in path else '?'}_format=xml")
        assert refusal_in_xml(answer) == expected
    assert as_asked("DELETE", "/EpisodeOfCare/x") == (405, "HUB-REST-004")
    text = {"Content-Type": "text/plain"}
    sent = as_asked("POST", "/Patient", content=b"a", headers=text)
    assert sent == (415, "HUB-REST-005")
    assert as_asked("POST", "/Patient", content=b"{}") == (400, "HUB-JSON-009")
    anonymous = hub.http.get("/fhir/R4/Patient/x", headers=IN_XML)
    assert refusal_in_xml(anonymous) == (401, "HUB-AUTH-001")
    assert anonymous.headers["WWW-Authenticate"]


def test_a_query_that_cannot_be_read_is_refused_in_json(source):
    answer = source.get("/Patient?name=%ff", headers=IN_XML)
    assert refusal(answer) == (400, "HUB-JSON-002")


def test_F18_head_is_get_without_a_body_in_xml(source):
    made = submit(source)["Patient"]
    whole = source.get(f"/{made}", headers=IN_XML)
    head = source.request("HEAD", f"/{made}", headers=IN_XML)
    assert (head.status_code, head.content) == (200, b"")
    for name in ("Content-Type", "Content-Length", "ETag", "Last-Modified"):
        assert head.headers[name] == whole.headers[name]


def test_a_version_that_is_known_is_304_in_xml(source):
    made = submit(source)["Patient"]
    headers = {**IN_XML, "If-None-Match": 'W/"1"'}
    answer = source.get(f"/{made}", headers=headers)
    assert (answer.status_code, answer.content) == (304, b"")


# Bodies.


@pytest.mark.parametrize(
    "media",
    [
        "application/fhir+xml",
        "application/xml",
        "text/xml",
        "application/xml+fhir",
        "Application/FHIR+XML",
        'application/fhir+xml; charset="UTF-8"',
        "text/xml; charset=utf-8; fhirVersion=4.0",
    ],
)
def test_F15_the_xml_types_are_taken(author, media):
    answer = send(author, "POST", "/Patient", a_patient(), **{"Content-Type": media})
    assert answer.status_code == 201
    assert read_xml(answer)["name"] == a_patient()["name"]


@pytest.mark.parametrize(
    "media",
    [
        "application/xhtml+xml",
        "application/fhir+xml; charset=shift_jis",
        "text/xml; charset=iso-8859-1",
        "application/fhir+xml; fhirVersion=3.0",
        "application/fhir+json; fhirVersion=5.0",
    ],
)
def test_F15_another_type_charset_or_version_is_415(hub, source, media):
    before = stored(hub)
    for method, path in (("POST", ""), ("POST", "/Patient"), ("PUT", "/Patient/x")):
        answer = send(source, method, path, a_patient(), **{"Content-Type": media})
        assert refusal_in_xml(answer) == (415, "HUB-REST-005")
    assert stored(hub) == before


def test_a_referral_in_xml_is_the_referral_in_json(hub, source):
    """The same Bundle both ways: as many rows, and the same contents but for ids."""
    found = []
    for in_xml in (False, True):
        before, bundle = stored(hub), a_referral(name="架空 太郎")
        answer = send(source, "POST", "", bundle) if in_xml else source.post("", bundle)
        assert answer.status_code == 200, answer.text
        response = read_xml(answer) if in_xml else answer.json()
        rows = {name: number - before[name] for name, number in stored(hub).items()}
        found.append((rows, _contents(source, response)))
    assert found[0] == found[1]


def _contents(source, response) -> Any:
    """The response and what was stored, ids and moments replaced by their place."""
    paths = [one["response"]["location"].split("/")[:2] for one in response["entry"]]
    contents = [source.read("/" + "/".join(path)) for path in paths]
    text = json.dumps([response, contents], ensure_ascii=False)
    for place, own in enumerate(dict.fromkeys(_OWN.findall(text))):
        text = text.replace(own, f"own{place}")
    return json.loads(text)


def test_a_batch_in_xml_is_answered_entry_by_entry(source):
    made = submit(source)
    read, missing = get(made["Patient"]), get("Patient/x")
    answer = send(source, "POST", "", a_bundle(read, missing, type="batch"))
    response = read_xml(answer)
    first, second = response["entry"]
    assert first["resource"] == source.read(f"/{made['Patient']}")
    assert second["response"]["status"].startswith("404")
    assert second["response"]["outcome"]["issue"]


def test_a_change_in_xml_meets_the_same_versions(centre, source):
    made = submit(source)
    task = read_xml(source.get(f"/{made['Task']}", headers=IN_XML))
    path = f"/{made['Task']}"
    answer = send(source, "PUT", path, task)
    assert refusal_in_xml(answer) == (428, "HUB-REST-009")
    answer = send(source, "PUT", path, task, **{"If-Match": 'W/"9"'})
    assert refusal_in_xml(answer) == (412, "HUB-REST-008")
    task["note"] = [{"text": "架空"}]
    task.pop("id")
    answer = send(source, "PUT", path, task, **{"If-Match": 'W/"1"'})
    assert refusal_in_xml(answer) == (400, "HUB-REST-011")


def test_an_update_in_xml_makes_the_next_version(author):
    made = read_xml(send(author, "POST", "/Patient", a_patient()))
    made["birthDate"] = "1980-05"
    answer = send(author, "PUT", f"/Patient/{made['id']}", made)
    assert (answer.status_code, answer.headers["ETag"]) == (200, 'W/"2"')
    assert author.read(f"/Patient/{made['id']}")["birthDate"] == "1980-05"


def test_prefer_means_the_same_in_xml(author):
    minimal = send(author, "POST", "/Patient", a_patient(), Prefer="return=minimal")
    assert (minimal.status_code, minimal.content) == (201, b"")
    assert minimal.headers["Location"]
    told = send(
        author, "POST", "/Patient", a_patient(), Prefer="return=OperationOutcome"
    )
    assert refusal_in_xml(told) == (201, "HUB-REST-027")


def test_an_operation_is_asked_and_answered_in_xml(source):
    asked = {
        "resourceType": "Parameters",
        "parameter": [{"name": "patient", "resource": a_patient()}],
    }
    path = "/HealthcareService/$route"
    answer = send(source, "POST", path, asked)
    assert answer.status_code == 200
    assert read_xml(answer) == source.post(path, asked).json()


def test_what_validation_refuses_is_told_with_its_place(hub, source):
    before = stored(hub)
    wrong = a_bundle(post(a_patient(gender="x")))
    answer = send(source, "POST", "", wrong)
    assert answer.status_code == 422
    found = read_xml(answer)["issue"][0]
    assert found["expression"] == ["Bundle.entry[0].resource.gender"]
    assert stored(hub) == before


def test_a_type_that_the_url_does_not_name_is_refused(author):
    body = as_xml({"resourceType": "Group", "type": "person", "actual": True})
    assert refusal_in_xml(send(author, "POST", "/Patient", body)) == (
        400,
        "HUB-REST-011",
    )


BAD: dict[str, tuple[str, str | bytes]] = {
    "X1 DOCTYPE": ("HUB-XML-004", f"<!DOCTYPE Patient [<!ENTITY a '{SECRET}'>]><Patient {FHIR}/>"),
    "X1 UTF-16": ("HUB-XML-002", f"<!DOCTYPE Patient><Patient {FHIR}/>".encode("utf-16")),
    "X2 declared": ("HUB-XML-002", f'<?xml version="1.0" encoding="iso-8859-1"?><Patient {FHIR}/>'),
    "X3 XInclude": ("HUB-XML-008", f'<Patient {FHIR}><xi:include xmlns:xi="http://www.w3.org/2001/XInclude" href="/etc/passwd"/></Patient>'),
    "X3 instruction": ("HUB-XML-005", f'<?xml-stylesheet href="{SECRET}"?><Patient {FHIR}/>'),
    "X4 depth": ("HUB-XML-006", f"<Patient {FHIR}>" + '<extension url="a:b">' * 64 + "</extension>" * 64 + "</Patient>"),
    "X6 namespace": ("HUB-XML-007", "<Patient/>"),
    "X6 element": ("HUB-XML-008", f"<Patient {FHIR}><x>{SECRET}</x></Patient>"),
    "X6 attribute": ("HUB-XML-009", f'<Patient {FHIR} x="{SECRET}"/>'),
    "X7 namespace": ("HUB-XML-014", f'<Patient {FHIR}><text><status value="generated"/><div xmlns="http://www.w3.org/1999/xhtml"><svg xmlns="http://www.w3.org/2000/svg">{SECRET}</svg></div></text></Patient>'),
    "X8 empty": ("HUB-XML-001", ""),
    "X8 JSON": ("HUB-XML-003", json.dumps(a_patient(SECRET))),
    "X8 cut off": ("HUB-XML-003", f"<Patient {FHIR}><name>{SECRET}"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_X_bad_xml_is_400_on_every_route_that_takes_a_body(hub, source, name):
    id, raw = BAD[name]
    body = raw if isinstance(raw, bytes) else raw.encode()
    before = stored(hub)
    for method, path in (
        ("POST", ""),
        ("POST", "/Patient"),
        ("PUT", "/ServiceRequest/x"),
        ("PUT", "/ServiceRequest?identifier=a"),
        ("POST", "/HealthcareService/$route"),
    ):
        answer = send(source, method, path, body)
        assert refusal_in_xml(answer) == (400, id), path
        assert SECRET not in answer.text
        in_json = send(source, method, path, body, Accept=FHIR_JSON)
        assert refusal(in_json) == (400, id)
    assert stored(hub) == before


def test_X5_the_size_is_counted_on_the_stream(tmp_path, sqlite_template):
    shutil.copyfile(sqlite_template, tmp_path / "hub.db")
    url = f"sqlite:///{tmp_path}/hub.db"
    with running_hub(url, tmp_path, max_body_bytes=2000, max_depth=10) as small:
        source = small.caller(HOSPITAL, "source")
        body = as_xml(a_patient())
        pieces = (b" " * 500 for _ in range(5))
        answer = source.request(
            "POST", "/Patient", content=pieces, headers={**SENT_AS_XML, **IN_XML}
        )
        assert refusal_in_xml(answer) == (413, "HUB-REST-007")
        exact = body + b" " * (2000 - len(body))
        assert send(source, "POST", "/Patient", exact).status_code == 201
        assert send(source, "POST", "/Patient", exact + b" ").status_code == 413
        deep = '<extension url="a:b">' * 5 + "</extension>" * 5
        answer = send(source, "POST", "/Patient", f"<Patient {FHIR}>{deep}</Patient>".encode())  # fmt: skip
        assert refusal_in_xml(answer) == (400, "HUB-XML-006")


@pytest.mark.parametrize(
    "inside",
    [
        "<script>a</script>",
        "<a href='javascript:a()'>a</a>",
        "<!DOCTYPE a [<!ENTITY b SYSTEM 'file:///etc/passwd'>]>",
        "<?b c?>",
        "<b>" * 64 + "a" + "</b>" * 64,
    ],
)
def test_X7_a_narrative_in_json_is_judged_by_the_same_parser(author, drafting, inside):
    div = f"<div xmlns='http://www.w3.org/1999/xhtml'>{inside}</div>"
    before = stored(drafting)
    text = {"status": "generated", "div": div}
    answer = author.post("/Patient", a_patient(text=text))
    assert answer.status_code == 422
    assert answer.json()["issue"][0]["expression"] == ["Patient.text.div"]
    assert stored(drafting) == before


def test_a_narrative_is_answered_as_the_same_xhtml(author):
    div = "<div xmlns='http://www.w3.org/1999/xhtml'><p>架空&nbsp;&lt;&copy;</p></div>"
    text = {"status": "generated", "div": div}
    made = author.post("/Patient", a_patient(text=text)).json()
    assert made["text"]["div"] == div
    answer = author.get(f"/Patient/{made['id']}", headers=IN_XML)
    (shown,) = etree.fromstring(answer.content).iter("{http://www.w3.org/1999/xhtml}p")
    assert shown.text == "架空\xa0<©"


def test_put_by_query_in_a_bundle_takes_xml(author):
    number = "urn:x-test|xml-1"
    query = f"Patient?identifier={number}"
    identifier = [{"system": "urn:x-test", "value": "xml-1"}]
    entry = put({**a_patient(identifier=identifier), "id": "x"})
    entry["request"]["url"] = query
    entry["resource"].pop("id")
    for status in ("201", "200"):
        answer = send(author, "POST", "", a_bundle(entry))
        assert read_xml(answer)["entry"][0]["response"]["status"].startswith(status)
