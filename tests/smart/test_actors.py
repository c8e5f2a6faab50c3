"""From the header to the Actor: checks RS1, RS2, RS4 to RS6."""

import pytest
from sqlalchemy import update

from hub.fhir.outcome import FhirError, issue
from hub.smart.actors import authenticate, challenge
from hub.smart.tables import client as client_table


def test_RS1_without_a_header_the_answer_names_bearer(hub):
    answer = hub.whoami()
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    assert answer.json()["ids"] == ["HUB-AUTH-001"]


@pytest.mark.parametrize("value", ["Basic YTpi", "Bearer", "", "Token abc"])
def test_RS1_another_scheme_is_no_token(hub, value):
    answer = hub.whoami(value)
    assert answer.status_code == 401
    assert answer.json()["ids"] == ["HUB-AUTH-001"]


@pytest.mark.parametrize(
    "value", ["garbage", "a b", "a, Bearer b", "é", "x" * 600, "..", "' OR 1=1"]
)
def test_RS2_garbage_is_an_invalid_token(hub, value):
    answer = hub.whoami(f"Bearer {value}".encode())
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == 'Bearer error="invalid_token"'
    assert answer.json()["ids"] == ["HUB-AUTH-002"]


def test_RS4_a_token_in_the_query_or_form_is_ignored(hub):
    token = hub.issue(hub.register().client_id)
    answer = hub.whoami(params={"access_token": token})
    assert answer.status_code == 401
    assert answer.json()["ids"] == ["HUB-AUTH-001"]


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
def test_RS5_the_scheme_has_no_case(hub, scheme):
    token = hub.issue(hub.register().client_id)
    assert hub.whoami(f"{scheme} {token}").status_code == 200


def test_RS6_two_authorization_headers_are_refused(hub):
    token = hub.issue(hub.register().client_id)
    answer = hub.whoami(f"Bearer {token}", f"Bearer {token}")
    assert answer.status_code == 400
    assert answer.json()["ids"] == ["HUB-AUTH-004"]


def test_the_actor_carries_roles_scopes_and_ids(hub):
    client = hub.register(roles={"source", "privacy"})
    token = hub.issue(client.client_id, "system/Task.read system/AuditEvent.rs")
    with hub.database.transaction(write=False) as session:
        actor = authenticate(session, [f"Bearer {token}"], "request", "case")
    assert actor.reference == "Organization/4619999917"
    assert actor.roles == {"source", "privacy"}
    assert (actor.request_id, actor.correlation_id) == ("request", "case")
    assert actor.may("r", "Task")
    assert actor.may("s", "AuditEvent")
    assert not actor.may("u", "Task")
    assert not actor.may("r", "Patient")


def test_a_token_never_outlives_the_scopes_of_its_client(hub):
    client = hub.register()
    token = hub.issue(client.client_id, "system/Task.rs system/Patient.rs")
    with hub.database.transaction() as session:
        session.execute(
            update(client_table)
            .where(client_table.c.client_id == client.client_id)
            .values(scopes="system/Task.r")
        )
    actor = authenticate(hub.database, [f"Bearer {token}"])
    assert actor.may("r", "Task")
    assert not actor.may("s", "Task")
    assert not actor.may("r", "Patient")


def test_a_refused_scope_is_said_in_the_challenge():
    error = FhirError(issue("HUB-AUTH-003", scope="system/Task.u"))
    assert challenge(error) == 'Bearer error="insufficient_scope"'
    assert challenge(FhirError(issue("HUB-REST-001"))) is None
