"""The hub's own key: a file outside the database, and settings safe to start with."""

import json

import pytest

from hub.database import Database
from hub.delivery.fetch import Fetcher
from hub.fhir.outcome import FhirError
from hub.settings import Settings
from hub.smart.routes import require_safe, routes
from hub.smart.signing import FILE_NAME, public_jwks, signing_keys
from tests.smart.build import ec_key


def settings(tmp_path, **over):
    return Settings(**{"base_url": "https://hub.example", "state": tmp_path, **over})


def test_with_dev_a_key_is_made_once_and_only_its_owner_reads_it(tmp_path):
    chosen = settings(tmp_path / "new", dev=True)
    (first,) = signing_keys(chosen)
    (again,) = signing_keys(chosen)
    assert first.as_dict(private=True) == again.as_dict(private=True)
    path = tmp_path / "new" / FILE_NAME
    assert path.stat().st_mode & 0o777 == 0o600
    assert [p.name for p in path.parent.iterdir()] == [FILE_NAME]


def test_without_dev_a_missing_key_stops_the_start(tmp_path):
    with pytest.raises(FhirError, match="HUB-AUTH-022"):
        signing_keys(settings(tmp_path))
    assert list(tmp_path.iterdir()) == []


def write(tmp_path, value, mode=0o600):
    path = tmp_path / "key.json"
    path.write_text(value if isinstance(value, str) else json.dumps(value))
    path.chmod(mode)
    return settings(tmp_path, signing_key=path)


@pytest.mark.parametrize(
    "value",
    [
        "",
        "[]",
        "{}",
        {"keys": []},
        {"keys": "x"},
        ec_key().as_dict(private=False),
        ec_key("p256", "P-256").as_dict(private=True),
        {"kty": "oct", "k": "c2VjcmV0"},
    ],
)
def test_a_file_without_a_private_p384_key_is_refused(tmp_path, value):
    with pytest.raises(FhirError, match="HUB-AUTH-023"):
        signing_keys(write(tmp_path, value))


def test_a_file_that_others_can_read_is_refused(tmp_path):
    with pytest.raises(FhirError, match="HUB-AUTH-024"):
        signing_keys(write(tmp_path, ec_key().as_dict(private=True), 0o644))


def test_during_a_rotation_the_first_key_signs_and_all_are_published(tmp_path):
    pair = [ec_key(kid).as_dict(private=True) for kid in ("new", "old")]
    keys = signing_keys(write(tmp_path, {"keys": pair}))
    assert [key.kid for key in keys] == ["new", "old"]
    published = public_jwks(keys)["keys"]
    assert [key["kid"] for key in published] == ["new", "old"]
    assert all("d" not in key for key in published)


def test_a_key_without_a_name_gets_its_thumbprint(tmp_path):
    nameless = {k: v for k, v in ec_key().as_dict(private=True).items() if k != "kid"}
    (key,) = signing_keys(write(tmp_path, nameless))
    assert key.kid == ec_key().thumbprint()


@pytest.mark.parametrize(
    "base",
    [
        "http://hub.example",
        "http://127.0.0.1.example",
        "ftp://hub.example",
        "hub.example",
        "https://user:pw@hub.example",
        "https://hub.example?x=1",
    ],
)
def test_an_insecure_base_url_stops_the_start(tmp_path, base):
    # The settings refuse it already; this is the second line of defence.
    unchecked = Settings.model_construct(base_url=base, dev=False, state=tmp_path)
    with pytest.raises(FhirError, match="HUB-AUTH-026"):
        require_safe(unchecked)


def test_authlibs_escape_hatch_stops_the_start(tmp_path, monkeypatch):
    monkeypatch.setenv("AUTHLIB_INSECURE_TRANSPORT", "1")
    database = Database(f"sqlite:///{tmp_path}/hub.db")
    with Fetcher() as fetcher, pytest.raises(FhirError, match="HUB-AUTH-025"):
        routes(settings(tmp_path, dev=True), database, fetcher)
