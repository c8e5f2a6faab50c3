"""What arrives at an endpoint: S3 to S7, S9, S10, the outbox's Q8 for it."""

import base64
import hashlib
import hmac
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import update

from hub.delivery.schedule import MAX_ATTEMPTS
from hub.delivery.tables import outbox
from hub.smart import clients
from hub.subscriptions import registry
from hub.validation import validate
from tests.referrals.build import COOPERATING, HOSPITAL, sent
from tests.subscriptions.build import (
    CENTRE,
    FILTER,
    a_worker,
    active,
    focuses,
    listening,
    numbers,
    send,
    status,
    subscribed,
    told,
    value,
)


@pytest.fixture
def source(hub):
    return hub.caller(HOSPITAL, "source")


@pytest.fixture
def centre(hub):
    return hub.caller(CENTRE, "recipient")


@pytest.fixture
def hook():
    with listening() as one:
        yield one


def test_S3_S5_an_id_only_notification_is_a_conforming_history_bundle(
    hub, source, hook
):
    id_ = active(hub, source, hook, FILTER)
    task = sent(hub).child()
    send(hub)
    (bundle,) = hook.of("event-notification")
    assert validate(bundle) == []
    assert bundle["type"] == "history"
    first, *others = bundle["entry"]
    assert first["resource"]["resourceType"] == "Parameters"
    assert first["request"]["url"].endswith(f"Subscription/{id_}/$status")
    assert all("request" in e and "response" in e for e in bundle["entry"])
    here = f"{hub.settings.fhir_base}/Subscription/{id_}"
    assert value(bundle, "subscription") == {"reference": here}
    assert value(bundle, "status") == "active"
    assert value(bundle, "events-since-subscription-start") == "1"
    (event,) = told(bundle)
    url = f"{hub.settings.fhir_base}/Task/{task['id']}"
    assert event["event-number"] == "1"
    assert event["focus"] == {"reference": url}
    (entry,) = others
    assert "resource" not in entry
    assert entry["fullUrl"] == url
    assert "見本" not in hook.got[-1][1].decode()


def test_S5_an_empty_notification_names_nothing(hub, source, hook):
    active(hub, source, hook, FILTER, content="empty")
    task = sent(hub).child()
    send(hub)
    (bundle,) = hook.of("event-notification")
    assert len(bundle["entry"]) == 1
    assert value(bundle, "topic") is None
    (event,) = told(bundle)
    assert set(event) == {"event-number", "timestamp"}
    assert task["id"] not in str(bundle)


def test_S6_content_type_and_headers_are_as_asked_for(hub, source, hook):
    channel = {
        "payload": "application/json",
        "header": ["X-Odd: a  b;c", "authorization: Bearer x"],
    }
    active(hub, source, hook, channel=channel)
    headers, _ = hook.got[0]
    assert headers["content-type"] == "application/json"
    assert headers["x-odd"] == "a  b;c"
    assert headers["authorization"] == "Bearer x"


def test_a_notification_carries_a_signature_of_standard_webhooks(hub, source, hook):
    id_ = active(hub, source, hook)
    given = source.read(f"/Subscription/{id_}/$secret")["parameter"][0]["valueString"]
    key = base64.b64decode(given.removeprefix("whsec_"))
    headers, body = hook.got[0]
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    expected = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest())
    assert headers["webhook-signature"] == f"v1,{expected.decode()}"


def test_S4_a_heartbeat_comes_iff_its_period_is_given(hub, source, hook):
    active(hub, source, hook)
    send(hub, seconds=700_000)
    assert hook.of("heartbeat") == []
    with listening() as beating:
        id_ = active(hub, source, beating, heartbeat=60)
        send(hub, seconds=30)
        assert beating.of("heartbeat") == []
        send(hub, seconds=61)
        (beat,) = beating.of("heartbeat")
        assert value(beat, "status") == "active"
        assert len(beat["entry"]) == 1
        assert told(beat) == []
        assert value(status(source, id_), "events-since-subscription-start") == "0"
        beating.status = 503
        send(hub, seconds=200)
        assert source.read(f"/Subscription/{id_}")["status"] == "error"
        beating.status = 200
        send(hub, seconds=400)
        assert source.read(f"/Subscription/{id_}")["status"] == "active"
        source.request("DELETE", f"/Subscription/{id_}")


def test_S7_status_of_one_of_many_and_of_these(hub, hook):
    caller = hub.caller(COOPERATING, "source")
    first = active(hub, caller, hook)
    second = subscribed(caller, "https://hospital.example/hook")

    def asked(query):
        found = caller.read(f"/Subscription/$status{query}")
        assert found["type"] == "searchset"
        entries = found.get("entry", ())
        assert found["total"] == len(entries)
        assert all(e["search"]["mode"] == "match" for e in entries)
        return {
            value({"entry": [e]}, "subscription")["reference"].split("/")[-1]
            for e in entries
        }

    assert {first, second} <= asked("")
    assert asked(f"?id={first}&id={second}") == {first, second}
    assert asked(f"?id={first},{second}&status=active") == {first}
    assert asked(f"?id={first},{second}&status=error,requested") == {second}
    assert asked("?id=unknown") == set()
    body = {
        "resourceType": "Parameters",
        "parameter": [{"name": "id", "valueId": second}],
    }
    answer = caller.post("/Subscription/$status", body)
    assert answer.json()["total"] == 1
    assert value(status(caller, first), "type") == "query-status"
    for wrong in ("?status=nonsense", "?nonsense=1"):
        assert caller.get(f"/Subscription/$status{wrong}").status_code == 400
    for id_ in (first, second):
        caller.request("DELETE", f"/Subscription/{id_}")


def test_S9_events_are_counted_by_one_and_filters_are_anded(hub, source, centre, hook):
    id_ = active(hub, source, hook, FILTER, "Task?status=accepted,rejected")
    task = sent(hub).child(CENTRE)
    centre.move(task, status="accepted")
    other = sent(hub).child(CENTRE)
    centre.move(centre.move(other, status="received"), status="accepted")
    send(hub)
    assert hook.numbers() == [1, 2]
    assert [f for b in hook.of("event-notification") for f in focuses(b)] == [
        f"Task/{task['id']}",
        f"Task/{other['id']}",
    ]
    assert value(status(source, id_), "events-since-subscription-start") == "2"


def test_what_changes_neither_status_nor_business_status_is_no_event(
    hub, source, centre, hook
):
    task = sent(hub).child(CENTRE)
    active(hub, centre, hook, FILTER)
    centre.move(task, note=[{"text": "電話した"}])
    send(hub)
    assert hook.numbers() == []


def test_S9_max_count_and_the_events_of_one_transaction(hub, source, hook):
    id_ = active(hub, source, hook, count=10)
    sent(hub)
    send(hub)
    (bundle,) = hook.of("event-notification")
    assert numbers(bundle) == [1, 2]
    assert value(bundle, "events-since-subscription-start") == "2"
    with listening() as single:
        active(hub, source, single)
        sent(hub)
        send(hub)
        assert [numbers(b) for b in single.of("event-notification")] == [[1], [2]]
    assert value(status(source, id_), "events-since-subscription-start") == "4"


def test_only_who_may_see_the_case_is_notified(hub, source, hook):
    with listening() as elsewhere:
        active(hub, hub.caller(COOPERATING, "source"), elsewhere)
        active(hub, hub.caller("naze", "recipient"), elsewhere)
        active(hub, source, hook)
        sent(hub)
        send(hub)
        assert hook.numbers() == [1, 2]
        assert elsewhere.numbers() == []


def test_the_desk_learns_of_a_referral_whose_grant_opens_in_the_same_transaction(
    hub, centre, hook
):
    active(hub, centre, hook, FILTER)
    task = sent(hub).child(CENTRE)
    send(hub)
    (bundle,) = hook.of("event-notification")
    assert focuses(bundle) == [f"Task/{task['id']}"]
    assert centre.get(f"/Task/{task['id']}").status_code == 200


def test_S9_events_are_given_again_by_number_both_ends_included(hub, source, hook):
    id_ = active(hub, source, hook)
    for _ in range(3):
        sent(hub)

    def asked(query=""):
        bundle = source.read(f"/Subscription/{id_}/$events{query}")
        assert bundle["type"] == "history"
        assert value(bundle, "type") == "query-event"
        return numbers(bundle)

    assert asked() == [1, 2, 3, 4, 5, 6]
    assert asked("?eventsSinceNumber=2&eventsUntilNumber=4") == [2, 3, 4]
    assert asked("?eventsSinceNumber=6") == [6]
    assert asked("?eventsSinceNumber=7") == []
    bundle = source.read(f"/Subscription/{id_}/$events?content=empty")
    assert len(bundle["entry"]) == 1
    send(hub)
    assert focuses(source.read(f"/Subscription/{id_}/$events")) == [
        f for b in hook.of("event-notification") for f in focuses(b)
    ]
    for wrong in ("eventsSinceNumber=-1", "eventsUntilNumber=x", "content=x", "a=1"):
        assert source.get(f"/Subscription/{id_}/$events?{wrong}").status_code == 400


def test_S10_a_withdrawal_before_the_send_stops_it_and_the_number_stays(
    hub, centre, hook
):
    id_ = active(hub, centre, hook, FILTER)
    first = sent(hub)
    second = sent(hub)
    assert len(focuses(centre.read(f"/Subscription/{id_}/$events"))) == 2
    consent = first.source.read(f"/Consent/{first.consents[0]}")
    answer = first.source.put(
        f"/Consent/{consent['id']}", consent | {"status": "inactive"}
    )
    assert answer.status_code == 200, answer.text
    send(hub)
    assert first.child()["id"] not in str(hook.bundles)
    assert hook.numbers() == [2]
    assert value(hook.bundles[-1], "events-since-subscription-start") == "2"
    bundle = centre.read(f"/Subscription/{id_}/$events")
    assert focuses(bundle) == [f"Task/{second.child()['id']}"]
    assert value(bundle, "events-since-subscription-start") == "2"


def test_S10_a_disabled_client_gets_nothing_more(hub, hook):
    caller = hub.caller(HOSPITAL, "source", scope=None)
    other = hub._make(HOSPITAL, ("source",), None)
    id_ = active(hub, other, hook)
    sent(hub)
    with hub.database.transaction() as session:
        clients.disable(session, other.client_id)
    send(hub)
    assert hook.numbers() == []
    assert numbers(caller.read(f"/Subscription/{id_}/$events")) == [1, 2]


def test_S9_nothing_is_lost_while_the_endpoint_is_down(hub, source, hook):
    id_ = active(hub, source, hook, FILTER)
    hook.status = 503
    sent(hub)
    for minutes in (0, 1, 10, 60):
        send(hub, minutes=minutes)
    found = source.read(f"/Subscription/{id_}")
    assert (found["status"], found["error"]) == ("error", "http-503")
    sent(hub)
    asked = status(source, id_)
    assert value(asked, "status") == "error"
    assert value(asked, "events-since-subscription-start") == "2"
    texts = [
        one["valueCodeableConcept"]["text"]
        for one in asked["entry"][0]["resource"]["parameter"]
        if one["name"] == "error"
    ]
    assert 3 <= len(texts) <= 5
    assert all("http-503" in text for text in texts)
    hook.status, hook.got = 200, []
    answer = source.put(f"/Subscription/{id_}", found | {"status": "requested"})
    assert answer.status_code == 200
    send(hub)
    assert [value(b, "type") for b in hook.bundles] == [
        "handshake",
        "event-notification",
        "event-notification",
    ]
    assert hook.numbers() == [1, 2]
    assert source.read(f"/Subscription/{id_}")["status"] == "active"


def test_an_endpoint_that_recovers_by_itself_is_active_again(hub, source, hook):
    id_ = active(hub, source, hook, FILTER)
    hook.status = 500
    sent(hub)
    for minutes in (0, 1, 10):
        send(hub, minutes=minutes)
    assert source.read(f"/Subscription/{id_}")["status"] == "error"
    hook.status = 200
    send(hub, hours=2)
    assert source.read(f"/Subscription/{id_}")["status"] == "active"
    ids = {headers["webhook-id"] for headers, _ in hook.got[1:]}
    bodies = {body for _, body in hook.got[1:]}
    assert len(ids) == len(bodies) == 1
    assert len(hook.got) == 5


def test_Q8_410_stops_an_endpoint_until_it_is_asked_for_again(hub, source, hook):
    id_ = active(hub, source, hook, FILTER)
    hook.status = 410
    sent(hub)
    send(hub)
    send(hub, hours=90)
    assert len(hook.got) == 2
    found = source.read(f"/Subscription/{id_}")
    assert (found["status"], found["error"]) == ("error", "http-410")
    hook.status = 200
    source.put(f"/Subscription/{id_}", found | {"status": "requested"})
    send(hub)
    assert hook.numbers() == [1, 1]


def test_Q4_a_worker_that_died_while_sending_is_told_of_too(hub, source, hook):
    id_ = active(hub, source, hook, FILTER)
    sent(hub)
    with hub.database.transaction() as session:
        session.execute(
            update(outbox)
            .where(outbox.c.kind == "event-notification", outbox.c.status == "queued")
            .values(status="sending", attempts=MAX_ATTEMPTS, lease_until=0)
        )
    send(hub)
    found = source.read(f"/Subscription/{id_}")
    assert (found["status"], found["error"]) == ("error", "lease-expired")


def test_events_before_the_handshake_wait_for_it(hub, source, hook):
    id_ = subscribed(source, hook.url, FILTER)
    sent(hub)
    send(hub)
    assert [value(b, "type") for b in hook.bundles] == [
        "handshake",
        "event-notification",
    ]
    assert value(status(source, id_), "status") == "active"


def test_a_subscription_that_has_come_to_its_end_is_off(hub, source, hook):
    id_ = active(hub, source, hook, end="2099-01-01T00:00:00+09:00")
    send(hub, days=40_000)
    assert source.read(f"/Subscription/{id_}")["status"] == "off"
    sent(hub)
    send(hub)
    assert hook.numbers() == []


def test_one_that_is_off_counts_and_sends_nothing(hub, source, hook):
    id_ = active(hub, source, hook)
    found = source.read(f"/Subscription/{id_}")
    assert source.put(f"/Subscription/{id_}", found | {"status": "off"}).is_success
    sent(hub)
    send(hub)
    assert hook.numbers() == []
    assert value(status(source, id_), "events-since-subscription-start") == "0"


def test_a_test_event_is_fired_without_a_patient_or_about_a_task(hub, source, hook):
    id_ = subscribed(source, hook.url)
    assert source.post(f"/Subscription/{id_}/$fire").status_code == 409
    send(hub)
    answer = source.post(f"/Subscription/{id_}/$fire")
    assert answer.status_code == 200
    parent = sent(hub).parent()
    reference = {"reference": f"Task/{parent['id']}"}
    body = {
        "resourceType": "Parameters",
        "parameter": [{"name": "focus", "valueReference": reference}],
    }
    assert source.post(f"/Subscription/{id_}/$fire", body).status_code == 200
    send(hub)
    first, *_, last = hook.of("event-notification")
    assert focuses(first) == [f"Subscription/{id_}"]
    assert first["meta"]["tag"][0]["code"] == "HTEST"
    assert validate(first) == []
    assert focuses(last) == [f"Task/{parent['id']}"]
    assert hook.numbers() == [1, 2, 3, 4]
    reference["reference"] = "Task/unknown"
    assert source.post(f"/Subscription/{id_}/$fire", body).status_code == 422


def test_S9_concurrent_changes_share_no_number_and_leave_no_gap(
    hub, source, centre, hook
):
    id_ = active(hub, source, hook, FILTER)
    tasks = [sent(hub).child(CENTRE) for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda task: centre.move(task, status="received"), tasks))
    send(hub)
    assert hook.numbers() == list(range(1, 9))
    assert value(status(source, id_), "events-since-subscription-start") == "8"


def test_S9_of_two_transactions_the_second_counts_after_the_first_has_ended(
    hub, source, hook
):
    """Without the lock that orders writes: the row itself orders the numbers."""
    id_ = active(hub, source, hook)
    begun, may_end = threading.Event(), threading.Event()

    def first():
        with hub.database.engine.begin() as session:
            registry.count(session, id_, 2)
            begun.set()
            may_end.wait(10)
            raise RuntimeError

    def second():
        with hub.database.engine.begin() as session:
            may_end.set()
            return registry.count(session, id_, 1)

    with ThreadPoolExecutor(2) as pool:
        failing = pool.submit(first)
        assert begun.wait(10)
        if hub.database.is_sqlite:
            may_end.set()  # there the second cannot even begin
        assert pool.submit(second).result() == 1
        with pytest.raises(RuntimeError):
            failing.result()


def test_S9_a_rollback_gives_its_number_back(hub, source, hook):
    id_ = active(hub, source, hook)
    bundle_with_a_late_fault = _faulty(hub)
    assert bundle_with_a_late_fault.status_code >= 400
    sent(hub)
    send(hub)
    assert hook.numbers() == [1, 2]
    assert value(status(source, id_), "events-since-subscription-start") == "2"


def _faulty(hub):
    from tests.referrals.build import Referral

    source = hub.caller(HOSPITAL, "source")
    bundle = Referral().bundle()
    bundle["entry"].append({"request": {"method": "GET", "url": "Patient/unknown"}})
    return source.post("", bundle)


def test_one_dead_endpoint_delays_no_other(hub, source, centre, hook):
    with listening() as dead:
        active(hub, source, dead, FILTER)
        active(hub, centre, hook, FILTER)
        dead.gate.clear()
        dead.status = 500
        sent(hub)
        with hub.delivering():
            hook.arrived.clear()
            assert dead.arrived.wait(10)
            assert hook.arrived.wait(10) or hook.numbers()
            dead.gate.set()
    assert a_worker(hub)
