"""AB35: a new endpoint that forgets who asks does not start, or is found out."""

import pytest
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from hub import app
from hub.app import OPEN, create_app, require_policy
from hub.restful.routes import routes
from hub.settings import Settings
from tests.restful.build import HOSPITAL, a_caller


def test_AB35_a_route_without_a_policy_stops_the_start(monkeypatch, database, tmp_path):
    settings = Settings(dev=True, state=tmp_path, database_url=str(database.engine.url))
    assert create_app(settings, database)
    stray = Route("/fhir/R4/$all", lambda _request: PlainTextResponse("everything"))
    plain = routes
    monkeypatch.setattr(app, "fhir_routes", lambda hub: [*plain(hub), stray])
    with pytest.raises(LookupError, match=r"\$all"):
        create_app(settings, database)


_TYPES = ("type", "within")


@pytest.mark.parametrize("path", ["/livez/all", "/docs/../x", "/oauthx", "/metrics2"])
def test_AB35_beside_an_open_path_nothing_is_open(path):
    stray = Route(path, lambda _request: PlainTextResponse("x"))
    with pytest.raises(LookupError):
        require_policy([stray])


def test_AB35_RS7_every_route_that_is_not_open_is_401_without_a_token(hub):
    """Walked over the routes of the running application, not over a list of ours."""
    tried = 0
    for path, ways in hub.http.get("/openapi.json").json()["paths"].items():
        if any(path == o or (o[-1] == "/" and path.startswith(o)) for o in OPEN):
            continue
        filled = path
        for name in ("type", "id", "version", "within", "mapping"):
            filled = filled.replace(f"{{{name}}}", "Patient" if name in _TYPES else "x")
        filled = filled.replace("{", "").replace("}", "")
        for method in set(ways) & {"get", "post", "put", "patch", "delete"}:
            answer = hub.http.request(method.upper(), filled, content=b"{}")
            assert answer.status_code == 401, (method, path, answer.status_code)
            tried += 1
    assert tried > 50
    assert a_caller(hub, HOSPITAL).get("/Patient").status_code == 200
