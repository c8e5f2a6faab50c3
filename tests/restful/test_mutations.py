"""Whatever is sent, no answer is a 5xx, and what was refused stored nothing.

A valid referral, mutated by hypothesis in one or several places, goes through the real
door; so do mutated single resources and batches.
"""

import copy
import json
from random import Random
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.restful.build import (
    a_bundle,
    a_referral,
    case_of,
    child_of,
    delete,
    get,
    put,
    stored,
    submit,
    urn,
)
from tests.restful.patches import add, insert, move, part, patch, replace
from tests.restful.patches import delete as delete_at

# Values that are JSON and yet not what an element holds.
ODD: list[Any] = [
    None,
    True,
    0,
    -1,
    10**17,
    1.5,
    "",
    " ",
    "x",
    "Patient/1",
    "Patient/",
    "/",
    "?",
    "Patient?",
    "Patient?identifier=",
    "Patient?identifier=a|b",
    "Nonsense?x=y",
    "urn:uuid:00000000-0000-4000-8000-000000000000",
    "#x",
    "http://[",
    "https://else.example/fhir/Patient/1",
    "2026-02-31",
    "\U0001f600",
    "a" * 300,
    [],
    {},
    [None],
    [[]],
    {"x": 1},
    {"reference": 1},
    {"reference": None},
    {"reference": []},
    {"reference": "Task/1"},
    {"coding": "x"},
    {"coding": [None]},
    {"extension": [{}]},
    "DELETE",
    "PATCH",
    "GET",
    "PUT",
    "HEAD",
]
ODDLY = st.sampled_from(ODD).map(copy.deepcopy)
BEARINGS = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


def _paths(value: Any, here: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    found = [here] if here else []
    if isinstance(value, dict):
        for key, child in value.items():
            found += _paths(child, (*here, key))
    elif isinstance(value, list):
        for index, child in enumerate(value):
            found += _paths(child, (*here, index))
    return found


ADDED = [
    "meta",
    "id",
    "extension",
    "contained",
    "identifier",
    "owner",
    "groupIdentifier",
    "partOf",
    "text",
    "subject",
    "ifMatch",
    "ifNoneExist",
    "reference",
    "implicitRules",
    "_status",
]


def _mutate(chance: Random, value):
    """The value with some places removed, replaced, doubled or given a new key.

    By a seed, not by drawn choices: what is mutated depends on what the hub answered.
    """
    after = copy.deepcopy(value)
    for _ in range(chance.randint(1, 3)):
        *above, last = chance.choice(_paths(after))
        parent = after
        for step in above:
            parent = parent[step]
        act = chance.choice(["replace", "remove", "wrap", "double", "add"])
        odd = copy.deepcopy(chance.choice(ODD))
        if act == "replace":
            parent[last] = odd
        elif act == "wrap":
            parent[last] = [parent[last]]
        elif act == "double" and isinstance(parent, list):
            parent.append(copy.deepcopy(parent[last]))
        elif act == "add" and isinstance(parent, dict):
            parent[chance.choice(ADDED)] = odd
        else:
            del parent[last]
        if not _paths(after):
            break
    return after


def _is_refused_cleanly(hub, answer, before):
    assert answer.status_code < 500, answer.text
    if answer.status_code >= 400:
        assert answer.json()["resourceType"] == "OperationOutcome"
        assert stored(hub) == before


@given(seed=st.integers(0, 2**32))
@BEARINGS
def test_a_mutated_referral_is_never_a_500_and_refused_whole(hub, source, seed):
    bundle = _mutate(Random(seed), a_referral())
    before = stored(hub)
    _is_refused_cleanly(hub, source.post("", bundle), before)


@given(seed=st.integers(0, 2**32))
@BEARINGS
def test_a_mutated_batch_is_never_a_500(hub, source, seed):
    bundle = {**a_referral(), "type": "batch"}
    bundle["entry"] += [
        get("Patient?name=x"),
        get("Task/x", ifNoneMatch='W/"1"'),
        delete("ServiceRequest/x"),
        put({"resourceType": "Patient", "id": "x"}, ifMatch="1"),
    ]
    answer = source.post("", _mutate(Random(seed), bundle))
    assert answer.status_code < 500, answer.text
    for entry in answer.json().get("entry", ()):
        assert int(entry["response"]["status"][:3]) < 500, entry


@given(seed=st.integers(0, 2**32))
@BEARINGS
def test_a_mutated_task_is_never_a_500(hub, source, centre, seed):
    made, chance = _once(hub, source), Random(seed)
    caller = chance.choice([source, centre])
    task = chance.choice([child_of(caller, made), caller.read(f"/{made['Task']}")])
    changed = _mutate(chance, task)
    version = task["meta"]["versionId"]
    answer = caller.put(f"/Task/{task['id']}", changed, headers={"If-Match": version})
    assert answer.status_code < 500, answer.text
    # Whatever became of it, both sides still read the case.
    assert source.get(f"/{made['Task']}").status_code == 200
    assert child_of(centre, made)["owner"]["reference"]


_MADE: dict[int, Any] = {}


def _once(hub, source):
    """One case per hub for all examples; a new one when the last has ended."""
    made = _MADE.get(id(hub))
    if made is None or child_of(source, made)["status"] not in (
        "requested",
        "received",
    ):
        made = _MADE[id(hub)] = submit(source)
    return made


def _writings(patient: str, request: str, case: str) -> list[dict[str, Any]]:
    return [
        {
            "resourceType": "Communication",
            "status": "completed",
            "subject": {"reference": patient},
            "basedOn": [{"reference": request}],
            "payload": [{"contentString": "架空の連絡"}],
        },
        {
            "resourceType": "Task",
            "status": "requested",
            "intent": "order",
            "code": {"coding": [{"code": "abort"}]},
            "focus": {"reference": "Task/x"},
            "for": {"reference": patient},
            "partOf": [{"reference": f"EpisodeOfCare/{case}"}],
        },
        {
            "resourceType": "RelatedPerson",
            "patient": {"reference": patient},
            "name": [{"text": "架空"}],
        },
    ]


@given(seed=st.integers(0, 2**32))
@BEARINGS
def test_a_mutated_resource_of_a_case_is_never_a_500(hub, source, seed):
    made, chance = _once(hub, source), Random(seed)
    case = case_of(source, made)["id"]
    options = _writings(made["Patient"], made["ServiceRequest"], case)
    resource = _mutate(chance, chance.choice(options))
    before = stored(hub)
    kind = resource.get("resourceType")
    path = f"/{kind}" if isinstance(kind, str) and kind.isalpha() else "/Task"
    if chance.random() < 0.5:
        answer = source.post(path, resource)
    else:
        request = {"method": "POST", "url": path[1:]}
        entry = {"fullUrl": urn(), "resource": resource, "request": request}
        answer = source.post("", a_bundle(entry))
    _is_refused_cleanly(hub, answer, before)


@given(raw=st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
@BEARINGS
def test_any_bytes_are_answered_without_a_500(hub, source, raw):
    for path in ("", "/Patient", "/HealthcareService/$route"):
        assert source.request("POST", path, content=raw).status_code < 500
    patch = {"Content-Type": "application/json-patch+json", "If-Match": "1"}
    made = _once(hub, source)
    answer = source.request("PATCH", f"/{made['Task']}", content=raw, headers=patch)
    assert answer.status_code < 500
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    answer = source.request("POST", "/Patient/_search", content=raw, headers=form)
    assert answer.status_code < 500


PATHS = st.sampled_from(
    ["", "/", "/id", "/status", "/meta", "/focus", "/x/y", "/note/-"]
)
OPERATIONS = st.fixed_dictionaries(
    {},
    optional={
        "op": st.sampled_from(
            ["add", "remove", "replace", "move", "copy", "test", "x"]
        ),
        "path": PATHS | ODDLY,
        "from": PATHS | ODDLY,
        "value": ODDLY,
    },
)


@given(operations=st.lists(OPERATIONS | ODDLY, max_size=4))
@BEARINGS
def test_any_patch_is_answered_without_a_500(hub, source, operations):
    made = _once(hub, source)
    version = source.read(f"/{made['ServiceRequest']}")["meta"]["versionId"]
    header = {"Content-Type": "application/json-patch+json", "If-Match": version}
    answer = source.request(
        "PATCH",
        f"/{made['ServiceRequest']}",
        content=json.dumps(operations).encode(),
        headers=header,
    )
    assert answer.status_code < 500, answer.text
    assert source.get(f"/{made['ServiceRequest']}").status_code == 200


@given(chance=st.randoms(use_true_random=False))
@BEARINGS
def test_any_patch_by_path_is_answered_without_a_500(hub, source, chance):
    made = _once(hub, source)
    good = patch(
        add("ServiceRequest", "note", valueAnnotation={"text": "x"}),
        insert("ServiceRequest.note", 0, valueAnnotation={"text": "y"}),
        move("ServiceRequest.note", 0, 1),
        replace("ServiceRequest.note[0].text", valueMarkdown="z"),
        add("ServiceRequest", "extension", part=[part("url", valueUri="x")]),
        delete_at("ServiceRequest.note.where(text = 'y')"),
    )
    parameters = _mutate(chance, good)
    version = source.read(f"/{made['ServiceRequest']}")["meta"]["versionId"]
    answer = source.request(
        "PATCH",
        f"/{made['ServiceRequest']}",
        content=json.dumps(parameters).encode(),
        headers={"If-Match": version},
    )
    assert answer.status_code < 500, answer.text
    url = {"method": "PATCH", "url": made["ServiceRequest"]}
    entry = {"resource": parameters, "request": url}
    for kind in ("batch", "transaction"):
        answer = source.post("", a_bundle(entry, type=kind))
        assert answer.status_code < 500, answer.text
        assert '"status":"5' not in answer.text
    assert source.get(f"/{made['ServiceRequest']}").status_code == 200


@given(
    query=st.text(
        st.sampled_from("abc_:|,.$\\%&=+-<>!*'\"(){}[]/?#;0123456789 é漢"), max_size=60
    )
)
@BEARINGS
def test_any_query_is_answered_without_a_500(hub, source, query):
    for path in ("/Task", "/Patient/x/_history", "/Patient/x"):
        answer = source.get(f"{path}?{query.replace('#', '%23')}")
        assert answer.status_code < 500, answer.text


NAMES = st.sampled_from(
    [
        "patient",
        "_id",
        "identifier",
        "_lastUpdated",
        "owner",
        "status",
        "_has:Provenance:target:agent",
        "patient.name",
        "patient:Patient.name:exact",
        "authored-on",
        "_sort",
        "_count",
        "_include",
        "_revinclude",
        "_summary",
        "_elements",
        "_total",
        "_page",
        "_type",
        "code:not",
        "status:missing",
    ]
)
VALUES = st.sampled_from(
    [
        "",
        "x",
        "1",
        "-1",
        "ge2026",
        "ge9999-12-31",
        "lt0001",
        "0000",
        "a|b|c",
        "|",
        ",",
        "\\",
        "true",
        "Patient/1",
        "Task:patient",
        "Task:patient:Patient",
        "-_lastUpdated",
        "999999999",
        "*",
        "ap0001-01-01",
        "2026-01-01T25:00",
        "9999-12-31T23:59:59Z",
        "eq",
        "漢字",
        "%25",
        "_" * 300,
    ]
)


@given(asked=st.lists(st.tuples(NAMES, VALUES), max_size=4))
@BEARINGS
def test_any_search_is_answered_without_a_500(hub, source, asked):
    answer = source.get("/Task", params=asked)
    assert answer.status_code < 500, (asked, answer.text)
    privacy = hub.caller("tsunagi-hub", "privacy")
    log = [(n, v) for n, v in asked if n != "owner"]
    log += [("date", value) for name, value in asked if name == "authored-on"]
    assert privacy.get("/AuditEvent", params=log).status_code < 500
