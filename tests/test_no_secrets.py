"""Who reads the database reads no secret: every column of every table is looked at.

A hub does everything for which it needs a secret; then each secret is searched for, in
every spelling, in every value of the database. A new column whose name sounds like a
secret must be given a reason here.
"""

import base64
import json
import re
import secrets as chance
import time
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from joserfc.jwk import ECKey
from sqlalchemy import select

from hub.migrations.tables import metadata
from hub.running.parts import sealing
from hub.sealing.keys import FILE_NAME
from hub.sealing.keys import add as add_content_key
from tests.restful.build import HOSPITAL, a_caller, submit
from tests.running import running_hub
from tests.sealing.conftest import a_document
from tests.smart.build import ec_key
from tests.smart.provider import CLIENT_ID, browser, running_provider
from tests.smart.test_login import Visit, enrol, portal
from tests.subscriptions.build import CENTRE, FILTER, a_subscription, listening

# Names that sound like secrets, and why what they hold is none.
SOUNDS = re.compile(
    r"secret|token|password|key|jwk|code|digest|hash|header|proof|nonce|verifier"
    r"|challenge|state|browser|handshake|certificate|jti|credential"
)
REASONS = {
    "audit_head.hash": "of audit rows, which the reader has",
    "audit_seal.hash": "as above",
    "content_key.id": "a name of a key",
    "content_key.proof": "a known word, sealed with the key",
    "endpoint_state": "whether an endpoint is up",
    "outbox.body_hash": "of a message",
    "outbox.order_key": "case and destination",
    "outbox.token": "a number that grows with each claim",
    "resource.key": "a number",
    "resource_version.key": "a number",
    "search_*": "the index: keys are numbers, codes are searched for",
    "sealed_content.key_id": "a name of a key",
    "smart_client.certificate": "a public thumbprint",
    "smart_client.jwks": "public keys",
    "smart_client.jwks_url": "where public keys are",
    "smart_code.challenge": "S256 of a verifier that the client keeps",
    "smart_code.digest": "SHA-256 of a code of 256 bits",
    "smart_login.browser": "SHA-256 of a cookie",
    "smart_login.state": "SHA-256 of what the browser carries",
    "smart_token.code": "SHA-256 of a code",
    "smart_token.digest": "SHA-256 of a token of 256 bits",
    "smart_used_assertion.jti": "a number that was used up",
    "submission.body_hash": "of what was sent",
    "submission.key": "a name that the sender chose for its call",
    "subscription.handshake": "the id of a message",
    "subscription.headers": "sealed with a key outside the database",
}
# Tables into which the course below writes nothing, and why that is no gap.
EMPTY = {
    "directory_endpoint": "addresses from the directory, which all may read",
    "search_composite": "codes and numbers of the index",
    "search_quantity": "numbers and units of the index",
}


@pytest.fixture
def course(database_url, tmp_path):
    """(hub, secrets by name) after everything that needs a secret was done."""
    with running_provider() as provider:
        settings = {"oidc_issuer": provider.issuer, "oidc_client_id": CLIENT_ID}
        with (
            running_hub(
                database_url, tmp_path / "state", drafts=True, **settings
            ) as hub,
            listening() as hook,
        ):
            provider.hub_jwks = lambda: hub.http.get("/oauth/jwks").json()
            with sealing(hub.settings, hub.database):
                found = dict(_systems(hub, hook))
                found |= dict(_persons(hub, provider))
            add_content_key(hub.settings.state / FILE_NAME)
            found |= dict(_of_files(hub))
            yield hub, found


def _systems(hub, hook):
    caller = a_caller(hub, HOSPITAL)
    yield "access token", caller.token
    made = submit(caller)
    content = b"content " + chance.token_bytes(60)
    document = a_document(content)
    headers = {"Idempotency-Key": chance.token_hex(8)}
    assert (
        caller.post("/DocumentReference", document, headers=headers).status_code == 201
    )
    yield "content", content
    assert caller.get(f"/{made['Patient']}").status_code == 200
    header = f"Bearer {chance.token_hex(20)}"
    desk = a_caller(hub, CENTRE, "recipient")
    wanted = a_subscription(hook.url, FILTER)
    wanted["channel"]["header"] = [f"Authorization: {header}"]
    answer = desk.post("/Subscription", wanted)
    assert answer.status_code == 201, answer.text
    yield "subscriber's header", header.partition(" ")[2]
    path = f"/Subscription/{answer.json()['id']}"
    secret = desk.read(f"{path}/$secret")["parameter"][0]["valueString"]
    yield "webhook secret", base64.b64decode(secret.removeprefix("whsec_"))
    with hub.delivering():
        hook.arrived.wait(20)
        _until(lambda: desk.read(path)["status"] == "active")
    submit(caller)  # which is an event of that subscription
    yield "token of a desk", desk.token
    yield "a client's private key", ec_key().as_dict(private=True)["d"]


def _until(holds):
    ends = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < ends
        time.sleep(0.05)


def _persons(hub, provider):
    person = enrol(hub)
    provider.subject = person.subject
    visit = Visit(hub, portal(hub).client_id, http=browser())
    begun = visit.begin()
    told = parse_qs(urlsplit(begun.headers["Location"]).query)
    for name in ("state", "nonce"):
        if name in told:
            yield f"the provider's {name}", told[name][0]
    for cookie in visit.http.cookies.jar:
        yield f"cookie {cookie.name}", str(cookie.value)
    other = Visit(hub, visit.client_id, http=browser())
    code = other.code()
    yield "authorization code", code
    yield "PKCE verifier", other.verifier
    answer = other.redeem(code)
    assert answer.status_code == 200, answer.text
    yield "a person's token", answer.json()["access_token"]


def _of_files(hub):
    state = hub.settings.state
    signing = json.loads((state / "signing-key.json").read_bytes())
    yield "signing key", signing["d"]
    audit = (state / "audit-key.pem").read_text().split("-----")[2]
    yield "audit key", base64.b64decode(audit)[-32:]
    for number, key in enumerate(json.loads((state / FILE_NAME).read_bytes())["keys"]):
        yield f"content key {number}", key["k"]


def spellings(secret):
    """The bytes of a secret as text, base64, base64url and hexadecimal, and raw."""
    raw = secret if isinstance(secret, bytes) else secret.encode()
    forms = {
        raw,
        raw.hex().encode(),
        base64.b64encode(raw),
        base64.urlsafe_b64encode(raw),
    }
    if isinstance(secret, str) and re.fullmatch(r"[A-Za-z0-9_-]{40,}", secret):
        forms.add(base64.urlsafe_b64decode(secret + "=" * (-len(secret) % 4)))
    return {form.rstrip(b"=") for form in forms}


def values(hub):
    """(table.column, bytes) of everything that the database holds."""
    with hub.database.transaction(write=False) as session:
        for table in metadata.sorted_tables:
            for row in session.execute(select(table)):
                for column, value in row._mapping.items():
                    if value is not None:
                        text = (
                            value if isinstance(value, bytes) else str(value).encode()
                        )
                        yield f"{table.name}.{column}", bytes(text)


def test_AB33_no_secret_stands_in_any_column(course):
    hub, found = course
    assert len(found) >= 14
    forms = {name: spellings(secret) for name, secret in found.items()}
    seen = set()
    for place, value in values(hub):
        seen.add(place.partition(".")[0])
        for name, some in forms.items():
            assert not any(form in value for form in some), f"{name} in {place}"
        assert b"PRIVATE KEY" not in value, place
        # A signed JWT has three parts; what is sealed here has five.
        assert not re.search(rb"eyJ[\w-]+\.[\w-]+\.[\w-]+(?![\w.-])", value), place
        assert not re.search(rb'"(d|k)" ?: ?"[\w-]{40,}"', value), place
    written = {table.name for table in metadata.sorted_tables}
    assert written - seen <= set(EMPTY), "the course must write into every table"


def test_the_search_finds_what_is_there(course):
    """Else the test above could not fail: a digest, a code, a name are found."""
    hub, found = course
    from hub.smart.endpoints import digest

    token = digest(found["access token"]).encode()
    assert any(token in value for _, value in values(hub))
    httpx.get(f"{hub.settings.base_url}/livez")
    key = str(ECKey.generate_key("P-384").as_dict(private=True)["d"])
    raw = base64.urlsafe_b64decode(key + "=" * (-len(key) % 4))
    assert raw in spellings(key)


def test_every_column_that_sounds_like_a_secret_has_a_reason_to_be_none():
    for table in metadata.sorted_tables:
        for column in table.c:
            name = f"{table.name}.{column.name}"
            known = {
                name,
                table.name,
                "search_*" if name.startswith("search_") else name,
            }
            assert not SOUNDS.search(column.name) or known & REASONS.keys(), name
    tables = {table.name: table for table in metadata.sorted_tables}
    for name in REASONS.keys() - {"search_*"}:
        of, _, called = name.partition(".")
        assert of in tables, name
        assert not called or called in tables[of].c, name
    assert set(EMPTY) <= set(tables)
