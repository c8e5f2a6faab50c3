"""Search through HTTP: GET and POST, pages, links, audit (rest.md F14 parts, F16)."""

from urllib.parse import parse_qs, urlsplit

import pytest

from tests.restful.build import (
    HOSPITAL,
    a_caller,
    a_name,
    a_referral,
    count,
    refusal,
    submit,
)

FORM = {"Content-Type": "application/x-www-form-urlencoded"}


def _next(bundle):
    for link in bundle["link"]:
        if link["relation"] == "next":
            return link["url"].partition("/fhir/R4")[2]
    return None


def test_F14_get_and_post_answer_alike(source):
    name = a_name()
    submit(source, a_referral(name=name))
    got = source.get("/Patient", params={"name": name})
    posted = source.request(
        "POST", "/Patient/_search", data={"name": name}, headers=FORM
    )
    assert got.json() == posted.json()
    assert got.json()["total"] == 1


def test_a_posted_search_merges_the_url_and_the_body(source):
    name = a_name()
    made = submit(source, a_referral(name=name))["Patient"].split("/")[1]
    answer = source.request(
        "POST", f"/Patient/_search?_id={made}", data={"name": "x"}, headers=FORM
    )
    assert answer.json()["total"] == 0
    answer = source.request(
        "POST", f"/Patient/_search?_id={made}", data={"name": name}, headers=FORM
    )
    assert answer.json()["total"] == 1


def test_a_posted_search_may_be_empty(source):
    answer = source.request("POST", "/Patient/_search", headers=FORM)
    assert answer.status_code == 200


def test_F16_the_self_link_holds_what_was_understood(source):
    bundle = source.read("/Patient?name=x&_format=json&_count=3")
    asked = parse_qs(urlsplit(bundle["link"][0]["url"]).query)
    assert asked == {"name": ["x"], "_count": ["3"]}


def test_F14_an_unknown_parameter_is_refused_or_named(source):
    assert refusal(source.get("/Patient?nonsense=x")) == (400, "HUB-SEARCH-001")
    lenient = {"Prefer": "handling=lenient"}
    bundle = source.get("/Patient?nonsense=x&name=x", headers=lenient).json()
    assert "nonsense" not in bundle["link"][0]["url"]
    outcome = bundle["entry"][-1]
    assert outcome["search"]["mode"] == "outcome"
    assert outcome["resource"]["issue"][0]["severity"] == "warning"


@pytest.mark.parametrize(
    "query",
    [
        "_filter=x",
        "_query=x",
        "_text=x",
        "_content=x",
        "_list=x",
        "_contained=true",
        "_at=2026",
        "_include=*",
        "_revinclude=*",
        "name:nonsense=x",
        "_summary=true&_elements=name",
    ],
)
def test_what_search_does_not_support_is_refused(source, query):
    lenient = {"Prefer": "handling=lenient"}
    for headers in ({}, lenient):
        assert source.get(f"/Patient?{query}", headers=headers).status_code == 400


def test_F16_a_walk_returns_each_id_once(source):
    name = a_name()
    made = {submit(source, a_referral(name=name))["Patient"] for _ in range(5)}
    seen, path = [], f"/Patient?name={name}&_count=2"
    while path:
        bundle = source.read(path)
        assert bundle["total"] == 5
        assert len(bundle["entry"]) <= 2
        seen += [f"Patient/{e['resource']['id']}" for e in bundle["entry"]]
        submit(source, a_referral(name="別人"))
        path = _next(bundle)
    assert sorted(seen) == sorted(made)


def test_F16_a_next_link_is_bound_to_its_caller_and_intact(hub, source, stranger):
    name = a_name()
    for _ in range(2):
        submit(source, a_referral(name=name))
    path = _next(source.read(f"/Patient?name={name}&_count=1"))
    assert source.get(path).status_code == 200
    token = path.partition("_page=")[2]
    bad = [
        stranger.get(path),
        a_caller(hub, HOSPITAL).get(path),
        source.get(path[:-2]),
        source.get(f"/Patient?_page={token[:-4]}AAAA"),
        source.get("/Patient?_page="),
        source.get("/Patient?_page=%E6%9E%B6"),
        source.get(f"/Task?_page={token}"),
        source.get(f"{path}&name=x"),
    ]
    for answer in bad:
        assert refusal(answer) == (404, "HUB-REST-001")
        assert answer.content == bad[0].content


def test_G2_each_page_asks_the_grants_again(source, centre):
    name = a_name()
    made = [submit(source, a_referral(name=name)) for _ in range(3)]
    bundle = centre.read(f"/Patient?name={name}&_count=1")
    shown = bundle["entry"][0]["resource"]["id"]
    left = [m for m in made if m["Patient"] != f"Patient/{shown}"]
    consent = source.read(f"/{left[0]['Consent']}")
    source.put(f"/{left[0]['Consent']}", {**consent, "status": "inactive"})
    seen, path = [shown], _next(bundle)
    while path:
        bundle = centre.read(path)
        seen += [e["resource"]["id"] for e in bundle.get("entry", ())]
        path = _next(bundle)
    assert sorted(seen) == sorted(
        m["Patient"].split("/")[1] for m in made if m is not left[0]
    )


def test_F16_counting_shows_no_entries(source):
    name = a_name()
    for _ in range(2):
        submit(source, a_referral(name=name))
    counted = [
        source.read(f"/Patient?name={name}&{how}")
        for how in ("_summary=count", "_count=0", "_count=0&_totalMethod=count")
    ]
    assert all(b["total"] == 2 and "entry" not in b for b in counted)
    assert "total" not in source.read(f"/Patient?name={name}&_total=none")


def test_elements_and_summary_mark_their_parts(source):
    name = a_name()
    submit(source, a_referral(name=name))
    (part,) = source.search(f"/Patient?name={name}&_elements=name")
    assert set(part) == {"resourceType", "id", "meta", "name"}
    assert part["meta"]["tag"][0]["code"] == "SUBSETTED"
    (text,) = source.search(f"/Patient?name={name}&_summary=text")
    assert set(text) == {"resourceType", "id", "meta"}
    (data,) = source.search(f"/Patient?name={name}&_summary=data")
    assert data["name"][0]["text"] == name


def test_F17_a_search_is_one_audit_row_per_patient_disclosed(hub, source):
    name = a_name()
    for _ in range(3):
        submit(source, a_referral(name=name))
    before = count(hub, "audit_event")
    bundle = source.read(f"/Task?patient.name={name}&_include=Task:patient")
    assert bundle["total"] == 6
    assert count(hub, "audit_event") == before + 3
    source.read("/Patient?name=niemand")
    assert count(hub, "audit_event") == before + 4
    source.get("/Patient?nonsense=1")
    assert count(hub, "audit_event") == before + 5


def test_polling_by_last_updated_sees_a_new_referral(source):
    submit(source)  # so that there is a last one to go on from
    (last,) = source.search("/Task?_sort=-_lastUpdated&_count=1")
    since = last["meta"]["lastUpdated"].replace("+", "%2B")
    made = submit(source)
    found = source.search(f"/Task?_lastUpdated=ge{since}&_count=100")
    assert made["Task"] in {f"Task/{task['id']}" for task in found}
