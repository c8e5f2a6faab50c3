"""Asking for a subscription: S1, S2, S8, S10, and who may see one."""

import json
import uuid

import pytest

from hub.subscriptions import backport
from tests.referrals.build import COOPERATING, HOSPITAL, Referral
from tests.subscriptions.build import (
    CENTRE,
    FILTER,
    TOPIC,
    a_subscription,
    active,
    errors,
    listening,
    send,
    status,
    stored_columns,
    subscribed,
    value,
)

HOOK = "https://hospital.example/hook"


@pytest.fixture
def source(hub):
    return hub.caller(HOSPITAL, "source")


@pytest.fixture
def hook():
    with listening() as one:
        yield one


def test_anonymous_and_without_scope_nobody_subscribes(hub):
    answer = hub.http.post("/fhir/R4/Subscription", json=a_subscription(HOOK))
    assert answer.status_code == 401
    reader = hub.caller(HOSPITAL, "source", scope="system/Subscription.rs")
    assert reader.post("/Subscription", a_subscription(HOOK)).status_code == 403


def test_S8_a_client_that_may_not_read_tasks_would_be_mute_and_is_refused(hub):
    caller = hub.caller(HOSPITAL, "source", scope="system/Subscription.cruds")
    answer = caller.post("/Subscription", a_subscription(HOOK))
    assert (answer.status_code, errors(answer)[0][0]) == (403, "HUB-AUTH-003")


@pytest.mark.parametrize("sent", ["requested", "active", "error", "off"])
def test_S1_whatever_status_is_sent_it_is_requested(source, sent):
    resource = a_subscription(HOOK, status=sent, error="何か")
    answer = source.post("/Subscription", resource)
    assert answer.status_code == 201
    made = answer.json()
    assert made["status"] == "requested"
    assert "error" not in made
    assert answer.headers["Location"].endswith(f"Subscription/{made['id']}/_history/1")
    assert value(status(source, made["id"]), "status") == "requested"


def test_S2_a_handshake_that_is_taken_makes_it_active(hub, source, hook):
    id_ = subscribed(source, hook.url)
    send(hub)
    (shake,) = hook.of("handshake")
    assert value(shake, "status") == "requested"
    assert value(shake, "events-since-subscription-start") == "0"
    assert source.read(f"/Subscription/{id_}")["status"] == "active"
    assert source.read(f"/Subscription/{id_}/_history")["total"] == 2


@pytest.mark.parametrize("code", [500, 400, 404, 410, 302])
def test_S2_a_refused_handshake_makes_it_error(hub, source, hook, code):
    hook.status = code
    id_ = subscribed(source, hook.url)
    send(hub)
    send(hub, hours=80)
    assert len(hook.got) == 1
    found = source.read(f"/Subscription/{id_}")
    assert (found["status"], found["error"]) == ("error", f"http-{code}")


def test_S2_a_handshake_that_hangs_makes_it_error(hub, source, hook):
    hook.gate.clear()
    id_ = subscribed(source, hook.url, timeout=1)
    send(hub)
    found = source.read(f"/Subscription/{id_}")
    assert (found["status"], found["error"]) == ("error", "timeout")


def test_an_endpoint_that_was_mended_is_asked_for_again_by_requested(hub, source, hook):
    hook.status = 500
    id_ = subscribed(source, hook.url)
    send(hub)
    hook.status = 200
    broken = source.read(f"/Subscription/{id_}")
    answer = source.put(f"/Subscription/{id_}", broken | {"status": "requested"})
    assert answer.json()["status"] == "requested"
    assert "error" not in answer.json()
    send(hub)
    assert source.read(f"/Subscription/{id_}")["status"] == "active"
    assert len(hook.of("handshake")) == 2


def test_another_endpoint_must_shake_hands_and_another_filter_need_not(
    hub, source, hook
):
    id_ = active(hub, source, hook)
    found = source.read(f"/Subscription/{id_}")
    narrower = a_subscription(hook.url, FILTER, id=id_, status="active")
    assert source.put(f"/Subscription/{id_}", narrower).json()["status"] == "active"
    with listening() as other:
        found["channel"]["endpoint"] = other.url
        found = source.put(f"/Subscription/{id_}", found)
        assert found.json()["status"] == "requested"
        send(hub)
        assert len(other.of("handshake")) == 1
    assert source.read(f"/Subscription/{id_}")["status"] == "active"


def test_patch_is_judged_like_an_update(source, hub, hook):
    id_ = active(hub, source, hook)
    patch = [{"op": "replace", "path": "/status", "value": "off"}]
    answer = source.request(
        "PATCH",
        f"/Subscription/{id_}",
        content=json.dumps(patch),
        headers={"Content-Type": "application/json-patch+json"},
    )
    assert answer.json()["status"] == "off"
    patch = [{"op": "replace", "path": "/channel/type", "value": "email"}]
    answer = source.request(
        "PATCH",
        f"/Subscription/{id_}",
        content=json.dumps(patch),
        headers={"Content-Type": "application/json-patch+json"},
    )
    assert errors(answer) == [("HUB-SUB-004", "Subscription.channel.type")]


def _with(path, what):
    def change(resource):
        *above, last = path
        for step in above:
            resource = resource[step]
        resource[last] = what

    return change


def _filtered(text):
    return _with(
        ["_criteria"],
        {"extension": [{"url": backport.FILTER_CRITERIA, "valueString": text}]},
    )


def _limit(url, key, number):
    return _with(["channel", "extension"], [{"url": url, key: number}])


_CONTENT = {"url": backport.PAYLOAD_CONTENT, "valueCode": "full-resource"}
CHANNEL, CRITERIA = "Subscription.channel", "Subscription.criteria"
REFUSED = {
    "topic": (_with(["criteria"], "https://x.example/topic"), "001", CRITERIA),
    "version": (_with(["criteria"], f"{TOPIC}|9"), "001", CRITERIA),
    "R4 query": (_with(["criteria"], "Task?status=requested"), "001", CRITERIA),
    "filter": (_filtered("Task?patient=1"), "002", f"{CRITERIA}.extension[0]"),
    "modifier": (_filtered("Task?owner:not=a"), "002", f"{CRITERIA}.extension[0]"),
    "type": (_filtered("Patient?owner=a"), "002", f"{CRITERIA}.extension[0]"),
    "no mark": (_filtered("owner=a"), "002", f"{CRITERIA}.extension[0]"),
    "status": (_filtered("Task?status=nonsense"), "003", f"{CRITERIA}.extension[0]"),
    "empty": (_filtered("Task?owner="), "003", f"{CRITERIA}.extension[0]"),
    "nothing": (_filtered("Task?"), "003", f"{CRITERIA}.extension[0]"),
    "cross-version": (
        _with(
            ["_criteria"],
            {"extension": [{"url": "http://hl7.org/fhir/5.0/x", "valueString": "a"}]},
        ),
        "008",
        f"{CRITERIA}.extension[0]",
    ),
    "custom channel": (
        _with(
            ["channel", "_type"],
            {"extension": [{"url": "http://x.example/a", "valueString": "a"}]},
        ),
        "008",
        f"{CHANNEL}.type",
    ),
    "websocket": (_with(["channel", "type"], "websocket"), "004", f"{CHANNEL}.type"),
    "http": (
        _with(["channel", "endpoint"], "http://hospital.example/x"),
        "005",
        f"{CHANNEL}.endpoint",
    ),
    "private": (
        _with(["channel", "endpoint"], "https://10.0.0.1/x"),
        "005",
        f"{CHANNEL}.endpoint",
    ),
    "userinfo": (
        _with(["channel", "endpoint"], "https://a:b@hospital.example/x"),
        "005",
        f"{CHANNEL}.endpoint",
    ),
    "payload": (
        _with(["channel", "payload"], "text/plain"),
        "006",
        f"{CHANNEL}.payload",
    ),
    "content": (
        _with(["channel", "_payload", "extension"], [_CONTENT]),
        "007",
        f"{CHANNEL}.payload.extension",
    ),
    "heartbeat": (
        _limit(backport.HEARTBEAT_PERIOD, "valueUnsignedInt", 1),
        "009",
        f"{CHANNEL}.extension",
    ),
    "timeout": (
        _limit(backport.TIMEOUT, "valueUnsignedInt", 100),
        "009",
        f"{CHANNEL}.extension",
    ),
    "max count": (
        _limit(backport.MAX_COUNT, "valuePositiveInt", 1000),
        "009",
        f"{CHANNEL}.extension",
    ),
    "end": (_with(["end"], "2020-01-01T00:00:00Z"), "012", "Subscription.end"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_S8_what_would_not_fire_is_refused_at_once(source, case):
    change, id_, expression = REFUSED[case]
    resource = a_subscription(HOOK)
    change(resource)
    answer = source.post("/Subscription", resource)
    assert answer.status_code == 422
    assert errors(answer) == [(f"HUB-SUB-{id_}", expression)]


def test_S8_all_that_is_wrong_is_told_at_once(source):
    resource = a_subscription("ftp://x", criteria="http://x.example")
    resource["channel"] |= {"type": "sms", "payload": "text/plain"}
    del resource["channel"]["_payload"]
    answer = source.post("/Subscription", resource)
    assert [id_[-3:] for id_, _ in errors(answer)] == [
        "004",
        "005",
        "006",
        "007",
        "001",
    ]


@pytest.mark.parametrize(
    "header",
    [
        "Host: x.example",
        "content-length: 3",
        "Transfer-Encoding: chunked",
        "Content-Type: text/plain",
        "webhook-signature: v1,a",
        "no colon",
        "X-Name: 日本",
    ],
)
def test_S10_forbidden_and_malformed_headers_are_refused(source, header):
    resource = a_subscription(HOOK, channel={"header": ["X-Fine: 1", header]})
    answer = source.post("/Subscription", resource)
    assert errors(answer) == [("HUB-SUB-010", f"{CHANNEL}.header[1]")]
    assert header.partition(":")[2] not in answer.text or ":" not in header


def test_S10_a_header_is_never_shown_nor_stored_in_clear(hub, source, hook):
    secret = "Bearer kaku-shi-goto"
    header = [f"Authorization: {secret}", "X-Room: 12"]
    id_ = active(hub, source, hook, channel={"header": header})
    for path in (
        f"/Subscription/{id_}",
        f"/Subscription/{id_}/_history/1",
        f"/Subscription/{id_}/_history",
        f"/Subscription?_id={id_}",
        f"/Subscription/{id_}/$status",
    ):
        text = source.get(path).text
        assert "kaku-shi" not in text
    shown = source.read(f"/Subscription/{id_}")["channel"]["header"]
    assert shown == ["Authorization: ********", "X-Room: ********"]
    assert "kaku-shi" not in stored_columns(hub.database)
    assert hook.got[0][0]["authorization"] == secret


def test_S10_writing_a_masked_header_back_keeps_it(hub, source, hook):
    id_ = active(hub, source, hook, channel={"header": ["X-Key: abc"]})
    found = source.read(f"/Subscription/{id_}")
    answer = source.put(f"/Subscription/{id_}", found | {"reason": "別の理由"})
    assert answer.json()["status"] == "active"
    source.post(f"/Subscription/{id_}/$fire")
    send(hub)
    assert hook.got[-1][0]["x-key"] == "abc"
    found["channel"]["header"] = ["X-Other: ********"]
    answer = source.put(f"/Subscription/{id_}", found)
    assert errors(answer) == [("HUB-SUB-011", f"{CHANNEL}.header[0]")]


def test_S10_a_stored_header_is_never_sent_to_another_host(hub, source, hook):
    header = ["Authorization: Bearer geheim"]
    id_ = active(hub, source, hook, channel={"header": header})
    found = source.read(f"/Subscription/{id_}")
    with listening() as other:
        found["channel"]["endpoint"] = other.url
        answer = source.put(f"/Subscription/{id_}", found)
        assert errors(answer) == [("HUB-SUB-011", f"{CHANNEL}.header[0]")]
        found["channel"]["header"] = ["Authorization: Bearer other"]
        assert source.put(f"/Subscription/{id_}", found).status_code == 200
        send(hub)
        assert other.got[0][0]["authorization"] == "Bearer other"


def test_S10_another_organisations_subscription_is_absent(hub, source, hook):
    id_ = active(hub, source, hook)
    other = hub.caller(COOPERATING, "source")
    nowhere = "00000000-0000-4000-8000-000000000000"
    for path in ("", "/_history", "/_history/1", "/$status", "/$events", "/$secret"):
        hidden = other.get(f"/Subscription/{id_}{path}", headers=_same())
        absent = other.get(f"/Subscription/{nowhere}{path}", headers=_same())
        assert hidden.status_code == absent.status_code == 404
        assert hidden.content == absent.content
    body = a_subscription(hook.url, id=id_)
    assert other.put(f"/Subscription/{id_}", body).status_code == 405
    assert other.request("DELETE", f"/Subscription/{id_}").status_code == 404
    assert other.post(f"/Subscription/{id_}/$fire").status_code == 404
    assert other.read("/Subscription/$status?id=" + id_)["total"] == 0
    assert id_ not in {one["id"] for one in other.search("/Subscription")}
    assert source.read(f"/Subscription/{id_}")["status"] == "active"


def _same():
    return {"X-Request-ID": "same"}


def test_the_topic_the_profile_and_the_operations_are_declared(hub):
    statement = hub.http.get("/fhir/R4/metadata").json()
    assert backport.SERVER in statement["instantiates"]
    (found,) = (
        one for one in statement["rest"][0]["resource"] if one["type"] == "Subscription"
    )
    assert found["supportedProfile"] == [backport.SUBSCRIPTION]
    (topic,) = found["extension"]
    assert topic["url"] == backport.TOPIC_CANONICAL
    assert topic["valueCanonical"].startswith(TOPIC)
    names = {one["name"] for one in found["operation"]}
    assert names == {"status", "events", "fire", "secret"}


def test_deleting_one_ends_it(hub, source, hook):
    id_ = active(hub, source, hook)
    source.post(f"/Subscription/{id_}/$fire")
    assert source.request("DELETE", f"/Subscription/{id_}").status_code == 204
    send(hub)
    assert hook.of("event-notification") == []
    assert source.get(f"/Subscription/{id_}").status_code == 410
    assert source.get(f"/Subscription/{id_}/$status").status_code == 410


def test_an_organisation_has_so_many_subscriptions_and_no_more(hub, hook, monkeypatch):
    monkeypatch.setattr("hub.subscribing.MOST", 1)
    caller = hub.caller("sns-kakuu", "source")
    first = subscribed(caller, HOOK)
    answer = caller.post("/Subscription", a_subscription(HOOK))
    assert errors(answer)[0][0] == "HUB-SUB-018"
    caller.request("DELETE", f"/Subscription/{first}")
    subscribed(caller, HOOK)


def _entry(resource):
    request = {"method": "POST", "url": "Subscription"}
    return {
        "fullUrl": f"urn:uuid:{uuid.uuid4()}",
        "resource": resource,
        "request": request,
    }


def test_S10_one_that_travels_with_a_referral_is_judged_and_stays_its_senders(
    hub, source, hook
):
    bundle = Referral().bundle()
    bad = a_subscription(HOOK, criteria="http://x.example")
    answer = source.post("", {**bundle, "entry": [*bundle["entry"], _entry(bad)]})
    assert (answer.status_code, errors(answer)[0][0]) == (422, "HUB-SUB-001")
    good = a_subscription(hook.url, channel={"header": ["X-Key: naisho-no-kagi"]})
    answer = source.post("", {**bundle, "entry": [*bundle["entry"], _entry(good)]})
    assert answer.status_code == 200, answer.text
    location = answer.json()["entry"][-1]["response"]["location"]
    id_ = location.split("Subscription/")[1].split("/")[0]
    assert "naisho" not in answer.text + stored_columns(hub.database)
    assert (
        hub.caller(CENTRE, "recipient").get(f"/Subscription/{id_}").status_code == 404
    )
    send(hub)
    assert source.read(f"/Subscription/{id_}")["status"] == "active"
    # The referral of the same transaction is an event of it.
    assert hook.numbers() == [1, 2]


def test_S10_the_entries_of_a_batch_are_judged_too(source, hook):
    bad = a_subscription("http://hospital.example/hook")
    bundle = {"resourceType": "Bundle", "type": "batch", "entry": [_entry(bad)]}
    (entry,) = source.post("", bundle).json()["entry"]
    assert entry["response"]["status"].startswith("422")


def test_a_recipient_subscribes_too(hub, hook):
    centre = hub.caller(CENTRE, "recipient")
    active(hub, centre, hook, FILTER)
