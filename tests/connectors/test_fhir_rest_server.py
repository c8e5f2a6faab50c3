"""Delivery over real HTTP to a server with a real token endpoint."""

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from connectors.fhir_rest import FhirRest
from hub.database import Database, metadata
from hub.delivery.connector import DeliveryError, Destination, Message
from hub.delivery.fetch import Fetcher
from hub.fhir.outcome import FhirError
from hub.smart import clients
from hub.smart.actors import authenticate
from hub.smart.routes import routes
from hub.smart.signing import public_jwks, signing_keys
from tests.smart.build import listening_socket, serve, settings_for

BODY = '{"resourceType":"Bundle","type":"transaction","note":"様式"}'.encode()


@pytest.fixture
def receiver(tmp_path):
    """A receiver with the hub's own authorization server in front of its base."""
    sock = listening_socket()
    base = f"http://127.0.0.1:{sock.getsockname()[1]}"
    settings = settings_for(base, tmp_path / "receiver")
    database = Database(f"sqlite:///{tmp_path}/receiver.db")
    metadata.create_all(database.engine)
    received = []

    async def transaction(request: Request) -> Response:
        try:
            actor = authenticate(database, request.headers.getlist("authorization"))
        except FhirError as error:
            return Response(status_code=error.status)
        if not actor.may("c", "ServiceRequest"):
            return Response(status_code=403)
        received.append((actor.client_id, dict(request.headers), await request.body()))
        return Response(b"{}" * 1_000_000, media_type="application/fhir+json")

    door = Route("/fhir/R4", transaction, methods=["POST"])
    with Fetcher(dev=True) as unused:
        app = Starlette(routes=[*routes(settings, database, unused), door])
        with serve(app, sock):
            yield f"{base}/fhir/R4", database, received
    database.close()


@pytest.fixture
def hub_keys(tmp_path):
    return signing_keys(settings_for("http://127.0.0.1:1", tmp_path / "hub"))


def register(database, keys):
    with database.transaction() as session:
        return clients.register(
            session, organization="tsunagi", roles=["source"], jwks=public_jwks(keys)
        ).client_id


def message(base, client_id, id="m-1"):
    return Message(id, "referral", Destination("aira", base, client_id), BODY)


def test_a_message_reaches_a_real_server_with_a_real_token(receiver, hub_keys):
    base, database, received = receiver
    client_id = register(database, hub_keys)
    with Fetcher(dev=True) as fetcher:
        connector = FhirRest(fetcher, hub_keys[0])
        connector.send(message(base, client_id))
        connector.send(message(base, client_id, "m-2"))
    assert [(client, body) for client, _, body in received] == [(client_id, BODY)] * 2
    assert [h["x-request-id"] for _, h, _ in received] == ["m-1", "m-2"]


def test_a_revoked_token_is_replaced_on_the_way(receiver, hub_keys):
    base, database, received = receiver
    client_id = register(database, hub_keys)
    with Fetcher(dev=True) as fetcher:
        connector = FhirRest(fetcher, hub_keys[0])
        connector.send(message(base, client_id))
        with database.transaction() as session:
            session.exec_driver_sql("UPDATE smart_token SET revoked_at = 1")
        connector.send(message(base, client_id, "m-2"))
    assert len(received) == 2


def test_a_hub_that_is_not_registered_delivers_nothing(receiver, hub_keys):
    base, _database, received = receiver
    with Fetcher(dev=True) as fetcher, pytest.raises(DeliveryError, match="token"):
        FhirRest(fetcher, hub_keys[0]).send(message(base, "nobody"))
    assert received == []


def test_a_receiver_that_is_down_is_worth_a_retry(hub_keys):
    sock = listening_socket()
    base = f"http://127.0.0.1:{sock.getsockname()[1]}/fhir/R4"
    sock.close()
    with Fetcher(dev=True) as fetcher, pytest.raises(DeliveryError) as error:
        FhirRest(fetcher, hub_keys[0]).send(message(base, "hub"))
    assert (error.value.reason, error.value.retry) == ("connect", True)
