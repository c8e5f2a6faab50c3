"""AB15, AB22, AB24, AB30: what there is not cannot be abused, and is proved not to be.

HL7 v2, QR codes, local accounts and break-glass are not built here. When one of them
comes, the test of its row fails and has to be replaced by a test of its defence.
"""

import pytest

from tests.restful.build import OTHER_CENTRE, a_caller, case_of, submit

V2 = "MSH|^~\\&|A|B|C|D|20260401||ADT^A04|1|P|2.5\rPID|1||1^^^X||架空^花子\r"


@pytest.mark.parametrize(
    "path",
    ["/intake/hl7v2", "/intake/adt", "/hl7v2", "/mllp", "/fhir/R4/$process-message"],
)
def test_AB15_no_door_reads_hl7_v2(hub, source, path):
    header = {
        "Authorization": f"Bearer {source.token}",
        "Content-Type": "application/hl7-v2",
    }
    answer = hub.http.post(path, content=V2.encode(), headers=header)
    assert 400 <= answer.status_code < 500
    assert "架空" not in answer.text


def test_AB22_there_is_no_code_to_photograph(hub):
    routes = hub.http.get("/openapi.json").json()["paths"]
    words = ("qr", "code", "invite", "link", "view", "share", "pin")
    assert not [p for p in routes if set(p.lower().strip("/").split("/")) & {*words}]
    for path in ("/qr/x", "/s/x", "/view/x", "/fhir/R4/$qr", "/portal", "/p/x"):
        assert hub.http.get(path).status_code in (401, 404), path


def test_AB24_nothing_of_the_api_is_opened_by_a_cookie(hub, source):
    """Without ambient authority a foreign page has nothing to ride on."""
    for name in ("token", "access_token", "session", "Authorization"):
        cookies = {"Cookie": f"{name}={source.token}"}
        answer = hub.http.get("/fhir/R4/Patient", headers=cookies)
        assert answer.status_code == 401
        assert "set-cookie" not in answer.headers
    answer = source.get("/Patient", headers={"Origin": "https://evil.example"})
    assert "access-control-allow-origin" not in answer.headers
    assert "access-control-allow-credentials" not in answer.headers


@pytest.mark.parametrize(
    "header",
    ["X-Break-Glass", "X-Purpose-Of-Use", "Purpose-Of-Use", "X-Emergency", "Prefer"],
)
def test_AB30_no_word_of_an_emergency_opens_anything(hub, source, header):
    made = submit(source)
    case = case_of(source, made)["id"]
    desk = a_caller(hub, OTHER_CENTRE, "recipient")
    for word in ("BTG", "ETREAT", "emergency", "break-glass", "1"):
        for path in (f"/{made['Patient']}", f"/EpisodeOfCare/{case}"):
            plain, loud = desk.get(path), desk.get(path, headers={header: word})
            assert plain.status_code == loud.status_code == 404
            assert plain.content == loud.content
    assert desk.get(f"/Patient?_security=BTG&_id={case}").json().get("total") in (
        0,
        None,
    )
