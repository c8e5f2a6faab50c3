"""fhir-kit-client 2.0.3 (npm) through every flow it has, against the running hub."""

import json
import subprocess

import pytest

from tests.clients.conftest import HERE
from tests.restful.build import HOSPITAL, OTHER_HOSPITAL, a_caller, a_name
from tests.subscriptions.build import FILTER, a_subscription


@pytest.fixture(scope="module")
def told(hub, node_modules):
    """{step: what became of it}; each step asserted below."""
    callers = (
        a_caller(hub, HOSPITAL),
        a_caller(hub, HOSPITAL, scopes="system/Task.rs"),
        a_caller(hub, OTHER_HOSPITAL),
    )
    tokens = [caller.token for caller in callers]
    subscription = json.dumps(a_subscription("http://127.0.0.1:9/hook", FILTER))
    arguments = [hub.settings.fhir_base, *tokens, a_name(), subscription]
    done = subprocess.run(
        ["node", "fhir_kit.mjs", *arguments],
        cwd=HERE,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    return {line["step"]: line for line in lines}


def ok(told, step):
    assert "ok" in told[step], told[step]
    return told[step]["ok"]


def refused(told, step):
    assert "status" in told[step], told[step]
    return told[step]["status"], told[step]["issue"]


def test_discovery(told, hub):
    assert ok(told, "capabilities") == "CapabilityStatement"
    assert ok(told, "smart") == hub.settings.token_url
    assert refused(told, "openid") == (404, None)


def test_one_resource(told):
    created = ok(told, "create-headers")
    assert created["status"] == 201
    assert created["location"].endswith("/_history/1")
    assert created["etag"] == 'W/"1"'
    assert ok(told, "read")["birthDate"] == "1990-01-01"
    assert ok(told, "vread") == "1"
    assert ok(told, "update") == "2"
    assert ok(told, "patch") == "other"
    assert ok(told, "minimal") == 0
    assert ok(told, "history") == ["PUT", "PUT", "PUT", "POST"]
    assert ok(told, "delete") == 204


def test_what_is_not_modified_is_an_error_to_this_client_but_304(told):
    assert told["not-modified"]["status"] == 304


def test_conditional_writes(told):
    assert ok(told, "conditional-create") == {"status": 200, "same": True}
    assert ok(told, "conditional-update") == {"status": 200, "same": True}
    assert refused(told, "conditional-update-many") == (412, "HUB-REST-012")
    assert refused(told, "stale-update") == (412, "HUB-REST-008")
    assert refused(told, "patch-test-fails") == (422, "HUB-REST-019")


def test_search(told):
    assert ok(told, "search") == 2
    assert ok(told, "search-post") == 2
    assert ok(told, "search-twice-the-name") == 2
    assert ok(told, "count") == 2
    assert ok(told, "lenient") == 2
    assert refused(told, "unknown-parameter") == (400, "HUB-SEARCH-001")
    assert ok(told, "pages") == {"seen": 2, "distinct": 2, "sorted": True}
    assert ok(told, "include-and-chain") == {"total": 1, "modes": ["match", "include"]}
    assert ok(told, "revinclude-and-has") == ["Patient", "Observation"]
    assert ok(told, "slash") == 1


def test_compartments_and_several_types(told):
    assert ok(told, "compartment") == [True]
    assert ok(told, "compartment-foreign") == 0
    assert ok(told, "system-search") == ["Observation", "Patient"]
    assert ok(told, "system-search-post") == 1
    assert ok(told, "type-history") == ["POST"]
    assert ok(told, "system-history") == "history"


def test_subscriptions(told):
    assert ok(told, "subscribe")["status"] == "requested"
    assert ok(told, "subscription-status") == "Parameters"
    assert ok(told, "subscription-off") == "off"
    assert ok(told, "unsubscribe") == 204
    assert refused(told, "subscribe-unknown-topic") == (422, "HUB-SUB-001")


def test_references(told):
    assert ok(told, "resolve") is True
    assert ok(told, "resolve-absolute") is True
    assert ok(told, "resolve-in-bundle") is True


def test_bundles_and_operations(told):
    assert ok(told, "transaction") == {"type": "transaction-response", "linked": True}
    first, second = ok(told, "batch")
    assert (first[:3], second[:3]) == ("200", "404")
    assert ok(told, "operation") == "Parameters"
    assert refused(told, "unknown-operation") == (404, "HUB-REST-003")


def test_who_it_is_not(told):
    assert refused(told, "no-token") == (401, "HUB-AUTH-001")
    assert refused(told, "bad-token") == (401, "HUB-AUTH-002")
    assert refused(told, "narrow") == (403, "HUB-AUTH-003")
    assert refused(told, "foreign") == (404, "HUB-REST-001")
    assert refused(told, "foreign-absent") == refused(told, "foreign")
    assert refused(told, "deleted") == (410, "HUB-REST-010")


def test_the_lock_names_no_host():
    lock = json.loads((HERE / "package-lock.json").read_text())
    assert lock["packages"]["node_modules/fhir-kit-client"]["version"] == "2.0.3"
    for name, package in lock["packages"].items():
        assert "resolved" not in package, name
        assert not name or package["integrity"].startswith("sha512-"), name
