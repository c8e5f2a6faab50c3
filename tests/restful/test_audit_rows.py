"""F17, A12, K6: exactly one AuditEvent per interaction, refusals too; who reads them."""

import json

import pytest

from tests.restful.build import (
    HOSPITAL,
    a_caller,
    a_name,
    a_patient,
    a_referral,
    a_request,
    case_of,
    child_of,
    count,
    refusal,
    submit,
)

PATCH = {"Content-Type": "application/json-patch+json"}


def _rows(hub, act):
    """The AuditEvents that an act adds, oldest first, and what it answered."""
    before = count(hub, "audit_event")
    answer = act()
    added = count(hub, "audit_event") - before
    with hub.database.engine.connect() as session:
        bodies = session.exec_driver_sql(
            f"SELECT body FROM audit_event ORDER BY recorded DESC LIMIT {added + 1}"
        ).scalars()
        found = [json.loads(bytes(body)) for body in bodies]
    return answer, found[:added][::-1]


def _code(event):
    return event["subtype"][0]["code"]


def _about(event):
    return [
        e["what"]["reference"]
        for e in event["entity"]
        if "reference" in e.get("what", {})
    ]


def test_F17_reads_are_one_row_with_their_person(hub, source):
    made = submit(source)
    patient = made["Patient"]
    for path, code in (
        (f"/{made['Task']}", "read"),
        (f"/{made['Task']}/_history/1", "vread"),
        (f"/{made['Task']}/_history", "history-instance"),
    ):
        answer, rows = _rows(hub, lambda path=path: source.get(path))
        assert answer.status_code == 200
        assert [_code(row) for row in rows] == [code]
        assert f"{made['Task']}/_history/1" in _about(rows[0])
        assert patient in _about(rows[0])
        assert rows[0]["outcome"] == "0"


def test_F17_a_304_and_a_head_are_reads(hub, source):
    made = submit(source)["Task"]
    for act in (
        lambda: source.get(f"/{made}", headers={"If-None-Match": "1"}),
        lambda: source.request("HEAD", f"/{made}"),
    ):
        _, rows = _rows(hub, act)
        assert [_code(row) for row in rows] == ["read"]


def test_F17_writes_are_one_row_each(drafting):
    author = a_caller(drafting, HOSPITAL)
    request = a_request("Patient/x", subject={"display": "架空"})
    answer, rows = _rows(drafting, lambda: author.post("/ServiceRequest", request))
    assert [_code(row) for row in rows] == ["create"]
    made = answer.json()
    path = f"/ServiceRequest/{made['id']}"
    _, rows = _rows(drafting, lambda: author.put(path, made))
    assert [_code(row) for row in rows] == ["update"]
    body = b'[{"op":"add","path":"/priority","value":"urgent"}]'
    _, rows = _rows(
        drafting, lambda: author.request("PATCH", path, content=body, headers=PATCH)
    )
    assert [_code(row) for row in rows] == ["patch"]
    _, rows = _rows(drafting, lambda: author.request("DELETE", path))
    assert [_code(row) for row in rows] == ["delete"]


def test_a_draft_of_a_person_is_audited_as_that_persons(drafting):
    author = a_caller(drafting, HOSPITAL)
    answer, rows = _rows(drafting, lambda: author.post("/Patient", a_patient()))
    assert f"Patient/{answer.json()['id']}" in _about(rows[0])
    _, rows = _rows(drafting, lambda: author.get(f"/Patient/{answer.json()['id']}"))
    assert f"Patient/{answer.json()['id']}" in _about(rows[0])


def test_F17_a_conditional_create_that_found_is_a_read(drafting):
    author = a_caller(drafting, HOSPITAL)
    number = a_name()
    patient = a_patient(identifier=[{"system": "urn:x-test", "value": number}])
    header = {"If-None-Exist": f"identifier=urn:x-test|{_encoded(number)}"}
    author.post("/Patient", patient)
    answer, rows = _rows(
        drafting, lambda: author.post("/Patient", patient, headers=header)
    )
    assert answer.status_code == 200
    assert [_code(row) for row in rows] == ["read"]


def _encoded(text):
    from urllib.parse import quote

    return quote(text)


def test_a_replayed_submission_is_one_row(hub, source):
    key, bundle = {"Idempotency-Key": a_name().encode().hex()}, a_referral()
    source.post("", bundle, headers=key)
    answer, rows = _rows(hub, lambda: source.post("", bundle, headers=key))
    assert answer.status_code == 200
    assert [_code(row) for row in rows] == ["transaction"]


@pytest.mark.parametrize(
    ("method", "path", "code", "id"),
    [
        ("GET", "/Patient/x", "read", "HUB-REST-001"),
        ("HEAD", "/Patient/x", "read", "HUB-REST-001"),
        ("GET", "/Patient/x/_history/1", "vread", "HUB-REST-001"),
        ("GET", "/Patient/x/_history", "history-instance", "HUB-REST-001"),
        ("GET", "/Patient?nonsense=1", "search-type", "HUB-SEARCH-001"),
        ("POST", "/Patient/_search", "search-type", "HUB-REST-026"),
        ("POST", "/Patient", "create", "HUB-JSON-001"),
        ("PUT", "/ServiceRequest/x", "update", "HUB-JSON-001"),
        ("PUT", "/ServiceRequest?identifier=a", "update", "HUB-JSON-001"),
        ("PATCH", "/Patient/x", "patch", "HUB-JSON-001"),
        ("PATCH", "/Patient?identifier=a", "patch", "HUB-JSON-001"),
        ("DELETE", "/ServiceRequest?nonsense=1", "delete", "HUB-SEARCH-001"),
        ("GET", "/Patient/_history?_at=2026", "history-type", "HUB-SEARCH-003"),
        ("GET", "/_history?nonsense=1", "history-system", "HUB-SEARCH-001"),
        ("DELETE", "/ServiceRequest/x", "delete", "HUB-REST-001"),
        ("POST", "", "transaction", "HUB-JSON-001"),
        ("POST", "/HealthcareService/$route", "operation", "HUB-JSON-001"),
        ("GET", "/EpisodeOfCare/x/$explain-access", "operation", "HUB-REST-001"),
        ("GET", "/Patient/x/$disclosures", "operation", "HUB-REST-001"),
        ("POST", "/intake/nonsense", "transaction", "HUB-SHEET-001"),
        ("GET", "/AuditEvent/x", "read", "HUB-AUTH-003"),
    ],
)
def test_A12_every_refusal_is_one_row_of_its_interaction(
    hub, source, method, path, code, id
):
    answer, rows = _rows(hub, lambda: source.request(method, path))
    assert answer.status_code >= 400
    assert [(_code(row), row["outcomeDesc"]) for row in rows] == [(code, id)]
    assert rows[0]["outcome"] == "4"
    assert rows[0]["agent"][0]["who"]


def test_A12_an_anonymous_refusal_is_a_row_without_a_name(hub):
    _, rows = _rows(hub, lambda: hub.http.get("/fhir/R4/Patient"))
    assert [row["outcomeDesc"] for row in rows] == ["HUB-AUTH-001"]


def test_a_denied_consent_is_its_own_kind_of_row(hub, source):
    denied = {"provision": {"type": "deny"}}
    _, rows = _rows(hub, lambda: source.post("", a_referral(consent=denied)))
    assert [_code(row) for row in rows] == ["AuthZ-Consent"]
    assert rows[0]["outcome"] == "8"


def test_metadata_is_not_audited(hub, source):
    _, rows = _rows(hub, lambda: source.get("/metadata"))
    assert rows == []


def test_an_audit_row_holds_no_name(hub, source):
    name = a_name()
    made = submit(source, a_referral(name=name))
    source.read(f"/{made['Patient']}")
    source.post("", a_referral(name=name, consent={"provision": {"type": "deny"}}))
    with hub.database.engine.connect() as session:
        bodies = session.exec_driver_sql("SELECT body FROM audit_event").scalars()
        assert not any(name.encode() in bytes(body) for body in bodies)


# Who reads the log.


def test_the_log_is_for_the_privacy_role_alone(hub, source):
    assert refusal(source.get("/AuditEvent")) == (403, "HUB-AUTH-003")
    named = a_caller(hub, HOSPITAL, "source", scopes="system/AuditEvent.rs")
    assert refusal(named.get("/AuditEvent")) == (403, "HUB-AUTH-003")
    assert refusal(named.get("/AuditEvent/x")) == (404, "HUB-REST-001")
    for method in ("POST", "PUT", "PATCH", "DELETE"):
        path = "/AuditEvent" if method == "POST" else "/AuditEvent/x"
        assert refusal(source.request(method, path))[0] in (403, 404, 405)


def test_a_hidden_event_is_as_an_unknown_one(hub, privacy):
    event = privacy.search("/AuditEvent?_count=1")[0]
    named = a_caller(hub, HOSPITAL, "source", scopes="system/AuditEvent.rs")
    hidden = named.get(f"/AuditEvent/{event['id']}")
    absent = named.get("/AuditEvent/never-there")
    assert refusal(hidden) == (404, "HUB-REST-001")
    assert hidden.content == absent.content


def test_the_privacy_officer_reads_the_log_and_is_recorded(hub, source, privacy):
    made = submit(source)
    source.read(f"/{made['Patient']}")
    path = (
        f"/AuditEvent?patient={made['Patient']}&action=R&agent=Organization/{HOSPITAL}"
    )
    bundle, rows = _rows(hub, lambda: privacy.read(path))
    assert bundle["total"] == 1
    event = bundle["entry"][0]["resource"]
    assert _code(event) == "read"
    assert [_code(row) for row in rows] == ["search-type"]
    query = next(e["query"] for e in rows[0]["entity"] if "query" in e)
    assert "patient" in _decoded(query)
    read, rows = _rows(hub, lambda: privacy.read(f"/AuditEvent/{event['id']}"))
    assert read == event
    assert [_code(row) for row in rows] == ["read"]


def _decoded(text):
    from base64 import b64decode

    return b64decode(text).decode()


def test_the_log_is_walked_page_by_page(hub, source, privacy):
    made = submit(source)
    for _ in range(4):
        source.read(f"/{made['Task']}")
    path = f"/AuditEvent?patient={made['Patient']}&action=R&_count=2"
    seen = []
    while path:
        bundle = privacy.read(path)
        assert bundle["total"] == 4
        assert len(bundle["entry"]) <= 2
        seen += [e["resource"]["id"] for e in bundle["entry"]]
        following = [x["url"] for x in bundle["link"] if x["relation"] == "next"]
        path = following[0].partition("/fhir/R4")[2] if following else ""
        if path:
            other = a_caller(
                hub, "tsunagi-hub", "privacy", scopes="system/AuditEvent.rs"
            )
            assert refusal(other.get(path)) == (404, "HUB-REST-001")
    assert len(set(seen)) == 4


@pytest.mark.parametrize(
    ("query", "total"),
    [
        ("date=2099", 0),
        ("date=ge2020-01-01&date=lt2020-01-02", 0),
        ("date=gt2099-01-01T00:00:00%2B09:00", 0),
        ("patient=Patient/never-there", 0),
        ("_count=0&agent=nobody", 0),
    ],
)
def test_the_log_is_narrowed(privacy, query, total):
    assert privacy.read(f"/AuditEvent?{query}")["total"] == total


@pytest.mark.parametrize(
    ("query", "id"),
    [
        ("nonsense=1", "HUB-SEARCH-001"),
        ("date=yesterday", "HUB-SEARCH-002"),
        ("date=2026-13", "HUB-SEARCH-002"),
        ("date=sa2026", "HUB-SEARCH-002"),
        ("date=", "HUB-SEARCH-002"),
        ("action=X", "HUB-SEARCH-002"),
        ("patient=Task/1", "HUB-SEARCH-002"),
        ("patient=", "HUB-SEARCH-002"),
        ("agent=a,,b", "HUB-SEARCH-002"),
        ("agent=Patient/a", "HUB-SEARCH-002"),
        ("entity=Task", "HUB-SEARCH-002"),
        ("outcome=1", "HUB-SEARCH-002"),
        (f"type={','.join('x' * 21)}", "HUB-SEARCH-002"),
        ("_count=x", "HUB-SEARCH-008"),
        ("_count=9999999999", "HUB-SEARCH-008"),
        ("patient=a&patient=b", "HUB-SEARCH-003"),
        ("date=ge2026&date=gt2026", "HUB-SEARCH-003"),
        ("patient.name=x", "HUB-SEARCH-001"),
        ("source=x", "HUB-SEARCH-001"),
    ],
)
def test_a_malformed_question_to_the_log_is_400(privacy, query, id):
    assert refusal(privacy.get(f"/AuditEvent?{query}")) == (400, id)


def test_the_log_is_asked_by_post_and_in_a_bundle_too(source, privacy):
    made = submit(source)
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    posted = privacy.request(
        "POST", "/AuditEvent/_search", data={"patient": made["Patient"]}, headers=form
    )
    assert posted.json()["total"] >= 1
    event = posted.json()["entry"][0]["resource"]["id"]
    bundle = {
        "resourceType": "Bundle",
        "type": "batch",
        "entry": [
            {
                "request": {
                    "method": "GET",
                    "url": f"AuditEvent?patient={made['Patient']}",
                }
            },
            {"request": {"method": "GET", "url": f"AuditEvent/{event}"}},
        ],
    }
    answers = privacy.post("", bundle).json()["entry"]
    assert answers[0]["resource"]["total"] >= 1
    assert answers[1]["resource"]["id"] == event
    refused = source.post("", bundle).json()["entry"]
    assert [e["response"]["status"][:3] for e in refused] == ["403", "403"]


def test_the_log_cannot_be_reached_by_a_chain_or_an_include(hub):
    caller = a_caller(hub, HOSPITAL)
    for query in (
        "_revinclude=AuditEvent:patient",
        "_has:AuditEvent:patient:action=R",
    ):
        assert caller.get(f"/Patient?{query}").status_code in (400, 403)


# $explain-access.


def test_a_participant_sees_every_grant_and_its_basis(source, centre):
    made = submit(source)
    episode = case_of(source, made)["id"]
    child = child_of(source, made)
    for caller in (source, centre):
        told = caller.read(f"/EpisodeOfCare/{episode}/$explain-access")
        grants = [
            {p["name"]: p for p in one["part"]}
            for one in told["parameter"]
            if one["name"] == "grant"
        ]
        found = {
            g["role"]["valueCode"]: g["organisation"]["valueReference"]["reference"]
            for g in grants
        }
        assert found == {
            "source": f"Organization/{HOSPITAL}",
            "recipient": "Organization/kagoshima-shi",
        }
        assert all(g["basis"]["valueCode"] == "consent-person" for g in grants)
        assert all(made["Consent"] in g["consent"]["valueString"] for g in grants)
    assert child["status"] == "requested"


def test_the_privacy_officer_sees_grants_and_no_content(source, privacy):
    made = submit(source)
    episode = case_of(source, made)["id"]
    told = privacy.get(f"/EpisodeOfCare/{episode}/$explain-access")
    assert told.status_code == 200
    assert refusal(privacy.get(f"/EpisodeOfCare/{episode}"))[0] == 403
    assert refusal(privacy.get(f"/{made['Patient']}"))[0] == 403


def test_a_closed_grant_is_still_explained(source, privacy):
    made = submit(source)
    episode = case_of(source, made)["id"]
    consent = source.read(f"/{made['Consent']}")
    source.put(f"/{made['Consent']}", {**consent, "status": "inactive"})
    told = privacy.read(f"/EpisodeOfCare/{episode}/$explain-access")
    reasons = [
        part["valueCode"]
        for one in told["parameter"]
        for part in one.get("part", ())
        if part["name"] == "closed-because"
    ]
    assert reasons == ["consent-withdrawn"] * 2


def test_a_stranger_gets_404_as_for_an_unknown_case(hub, source):
    made = submit(source)
    episode = case_of(source, made)["id"]
    stranger = a_caller(hub, "4619999925")
    hidden = stranger.get(f"/EpisodeOfCare/{episode}/$explain-access")
    absent = stranger.get("/EpisodeOfCare/never-there/$explain-access")
    assert refusal(hidden) == (404, "HUB-REST-001")
    assert hidden.content == absent.content
