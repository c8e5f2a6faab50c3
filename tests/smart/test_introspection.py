"""Introspection and revocation: checks I1 to I7 and R1 to R5."""

import time

import time_machine

from hub.smart import clients
from tests.smart.build import ec_key

INACTIVE = b'{"active":false}'


def test_I1_I7_a_live_token_is_described(hub):
    client = hub.register()
    moment = time.time()
    answer = hub.introspect(client.client_id, hub.issue(client.client_id))
    body = answer.json()
    assert body["active"] is True
    assert body["client_id"] == client.client_id
    assert body["scope"] == "system/Task.rs"
    assert abs(body["exp"] - moment - 300) <= 2
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["pragma"] == "no-cache"


def test_I5_without_a_launch_context_none_is_told(hub):
    """Scopes of a launch are dropped, so no token has a patient or an encounter."""
    client = hub.register()
    token = hub.issue(client.client_id, "launch/patient launch system/Task.rs")
    body = hub.introspect(client.client_id, token).json()
    told = {"active", "scope", "client_id", "token_type", "exp", "iat"}
    assert body.keys() == told


def test_I2_an_unknown_token_is_inactive_and_nothing_more(hub):
    client = hub.register()
    for token in ("unknown", "x" * 43, "' OR 1=1", "\u0000", "é"):
        assert hub.introspect(client.client_id, token).content == INACTIVE


def test_I3_a_token_of_another_is_inactive(hub):
    client, other = hub.register(), hub.register()
    token = hub.issue(client.client_id)
    assert hub.introspect(other.client_id, token).content == INACTIVE


def test_I3_an_expired_token_is_inactive(hub):
    client = hub.register()
    with time_machine.travel(time.time() - 301):
        token = hub.issue(client.client_id)
        assert hub.introspect(client.client_id, token).json()["active"]
    assert hub.introspect(client.client_id, token).content == INACTIVE


def test_I4_introspection_needs_a_client(hub):
    token = hub.issue(hub.register().client_id)
    for headers in ({}, {"Authorization": f"Bearer {token}"}):
        form = {"token": token}
        answer = hub.http.post("/oauth/introspect", data=form, headers=headers)
        assert answer.status_code == 401
        assert answer.json()["error"] == "invalid_client"


def test_I4_a_registered_resource_server_sees_the_tokens_of_others(hub):
    server = hub.register(roles={"directory"}, introspects=True)
    client = hub.register()
    token = hub.issue(client.client_id)
    body = hub.introspect(server.client_id, token).json()
    assert body["client_id"] == client.client_id


def test_a_missing_token_parameter_is_an_invalid_request(hub):
    client = hub.register()
    for ask in (hub.introspect, hub.revoke):
        answer = ask(client.client_id, "")
        assert answer.status_code == 400
        assert answer.json()["error"] == "invalid_request"


def test_I3_R1_a_revoked_token_stops_at_once(hub):
    client = hub.register()
    token = hub.issue(client.client_id)
    assert hub.whoami(f"Bearer {token}").status_code == 200
    assert hub.revoke(client.client_id, token).status_code == 200
    assert hub.whoami(f"Bearer {token}").status_code == 401
    assert hub.introspect(client.client_id, token).content == INACTIVE


def test_R2_R3_an_unknown_and_a_foreign_token_are_answered_alike(hub):
    client, other = hub.register(), hub.register()
    token = hub.issue(client.client_id)
    foreign = hub.revoke(other.client_id, token)
    unknown = hub.revoke(other.client_id, "unknown")
    assert foreign.status_code == unknown.status_code == 200
    assert foreign.content == unknown.content
    assert hub.whoami(f"Bearer {token}").status_code == 200


def test_R4_a_wrong_hint_does_not_matter(hub):
    client = hub.register()
    for hint in ("refresh_token", "nonsense"):
        token = hub.issue(client.client_id)
        answer = hub.revoke(client.client_id, token, token_type_hint=hint)
        assert answer.status_code == 200
        assert hub.whoami(f"Bearer {token}").status_code == 401


def test_R5_disabling_a_client_stops_its_live_tokens(hub):
    server = hub.register(introspects=True)
    client = hub.register()
    token = hub.issue(client.client_id)
    with hub.database.transaction() as session:
        assert not clients.disable(session, client.client_id).enabled
    assert hub.whoami(f"Bearer {token}").status_code == 401
    assert hub.introspect(server.client_id, token).content == INACTIVE


def test_revocation_needs_a_client(hub):
    client = hub.register()
    token = hub.issue(client.client_id)
    form = hub.form(client.client_id, ec_key("stranger")) | {"token": token}
    assert hub.http.post("/oauth/revoke", data=form).status_code == 401
    assert hub.whoami(f"Bearer {token}").status_code == 200
