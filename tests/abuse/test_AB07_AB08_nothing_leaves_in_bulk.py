"""AB7, AB8: there is no export, and a group opens nothing.

Bulk export is not built. Should it come, these tests fail, and the rows of security.md
§8 with it need tests of their own (B9, B10).
"""

import pytest

from tests.restful.build import HOSPITAL, a_caller, submit
from tests.restful.least import least

BULK = ("$export", "$everything", "$export-poll-status", "$bulk-publish", "$graphql")


@pytest.mark.parametrize("operation", BULK)
def test_AB7_AB8_there_is_no_operation_that_gives_all(hub, source, operation):
    patient = submit(source)["Patient"]
    for path in (f"/{operation}", f"/Patient/{operation}", f"/{patient}/{operation}"):
        for method in ("GET", "POST"):
            answer = source.request(method, path, content=b"")
            assert answer.status_code in (404, 405), (method, path)
    told = hub.http.get("/openapi.json").text + hub.http.get("/fhir/R4/metadata").text
    assert operation not in told


def test_AB7_a_group_of_anothers_patient_is_refused_and_shows_nobody(hub, stranger):
    source = a_caller(hub, HOSPITAL)
    hidden = submit(stranger)["Patient"]
    answers = []
    for someone in (hidden, "Patient/00000000-0000-4000-8000-000000000000"):
        group = least("Group", member=[{"entity": {"reference": someone}}])
        answers.append(source.post("/Group", group))
    assert [a.status_code for a in answers] == [422, 422]
    assert answers[0].content == answers[1].content
    assert source.search("/Group?_include=Group:member") == []
    there, nowhere = (source.get(f"/{one}/*") for one in (hidden, "Patient/never-was"))
    assert there.status_code == nowhere.status_code == 200
    assert there.json().get("entry") == nowhere.json().get("entry") is None
