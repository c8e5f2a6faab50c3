"""What meets outside bytes, as functions from bytes: a target may refuse, never fail.

Each target reads any bytes and raises nothing but the refusal that its callers answer
with. What must hold beyond that is asserted. The corpus lies in `corpus/<target>/`.
"""

import tempfile
from base64 import urlsafe_b64encode
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from authlib.oauth2.rfc6749.errors import OAuth2Error

from hub.app import make_hub
from hub.database import Database
from hub.fhir import search_values
from hub.fhir.json import Resource, decode, decode_value, encode
from hub.fhir.outcome import FhirError
from hub.fhir.search import parse, types_touched
from hub.restful.call import pairs
from hub.restful.hub import Hub
from hub.restful.patching import patched
from hub.restful.path_operation import operations_of
from hub.restful.served import SERVED, searchable
from hub.settings import Settings
from hub.smart import scopes
from hub.smart.assertion import METHOD, ClientAssertion, _peek
from hub.smart.clients import Client
from hub.store.parameters import declared
from tests.smart.build import ec_key, public

CORPUS = Path(__file__).parent / "corpus"
Target = Callable[[bytes], None]

_REGISTERED = "system/Patient.rs system/Task.cruds system/*.r user/Task.u"
_BASE = "https://hub.example/fhir/R4"
_PATIENT = (
    b'{"resourceType":"Patient","id":"p","active":true,"name":[{"family":"a","given":'
    b'["b","c"]}],"extension":[{"url":"https://e.example","valueDecimal":1.50}],'
    b'"birthDate":"1990-01-01","contact":[{"name":{"text":"d"}}]}'
)
_DATES: tuple[Callable[[str], object], ...] = (
    search_values.date_range,
    search_values.parse_date,
    search_values.parse_number,
    search_values.parse_quantity,
    search_values.parse_token,
    search_values.parse_of_type,
)


def search(data: bytes) -> None:
    """A query string, as it stands after `?`; the first byte chooses the type."""
    types = ["", *sorted(SERVED)]
    kind, raw = types[data[0] % len(types)] if data else "", data[1:]
    for lenient in (False, True):
        try:
            found = parse(
                kind, pairs(raw), declared(), base_url=_BASE, lenient=lenient,
                every=() if kind else tuple(searchable()),
            )  # fmt: skip
        except FhirError as error:
            _require_refusal(error)
        else:
            types_touched(found)


def scope(data: bytes) -> None:
    """A scope: what is granted is never wider than what is registered."""
    text = data.decode("utf-8", "surrogateescape")
    if not scopes.is_well_formed(text):
        return
    granted = scopes.grant(text, _REGISTERED)
    allowed = scopes.parse(_REGISTERED)
    for one in scopes.effective(granted, _REGISTERED):
        for letter in one.letters:
            for kind in _meant(one.resource_type):
                assert scopes.covers(allowed, letter, kind)
    again = scopes.parse(scopes.grant(granted, _REGISTERED))
    for kind in SERVED:
        for letter in "cruds":
            assert scopes.covers(again, letter, kind) == scopes.covers(
                scopes.parse(granted), letter, kind
            )


def assertion(data: bytes) -> None:
    """A client assertion: header and claims of the sender's choice, then the whole."""
    head, _, rest = data.partition(b"\x00")
    made = b".".join(urlsafe_b64encode(p).rstrip(b"=") for p in (head, rest, b"x" * 96))
    for raw in (data, made):
        text = raw.decode("latin-1")
        for act in (_peek, _authenticated):
            try:
                found = act(text)
            except OAuth2Error:
                continue
            # Nobody here can sign; a text that is none names no client.
            assert act is _peek or found is None


def date(data: bytes) -> None:
    """A date, number, quantity or token of a search."""
    text = data.decode("utf-8", "replace")
    for read in _DATES:
        try:
            found = read(text)
        except ValueError:
            continue  # what the reader of searches turns into a refusal
        else:
            if isinstance(found, tuple) and read is search_values.date_range:
                low, high = found
                assert low <= high


def json_patch(data: bytes) -> None:
    """The body of a JSON Patch."""
    try:
        after = patched(_hub(), decode(_PATIENT), decode_value(data))
    except FhirError as error:
        _require_refusal(error)
    else:
        _require_kept(after)


def fhirpath_patch(data: bytes) -> None:
    """A FHIRPath Patch: operation, path, name and value, a line each."""
    lines = data.decode("utf-8", "replace").split("\n")
    parts: list[dict[str, Any]] = []
    for name, text in zip(
        ("type", "path", "name", "value", "index"), lines, strict=False
    ):
        key = "valueInteger" if name == "index" and text.isdigit() else "valueString"
        key = "valueCode" if name == "type" else key
        value: Any = int(text[:9]) if key == "valueInteger" else text
        parts.append({"name": name, key: value})
    parameters: Resource = {
        "resourceType": "Parameters",
        "parameter": [{"name": "operation", "part": parts}],
    }
    try:
        after = patched(_hub(), decode(_PATIENT), operations_of(parameters))
    except FhirError as error:
        _require_refusal(error)
    else:
        _require_kept(after)


def json(data: bytes) -> None:
    """A body: what is read is written and read again as the same."""
    try:
        found = decode(data)
    except FhirError as error:
        _require_refusal(error)
    else:
        assert decode(encode(found)) == found


TARGETS: dict[str, Target] = {
    "search": search,
    "scope": scope,
    "assertion": assertion,
    "date": date,
    "json_patch": json_patch,
    "fhirpath_patch": fhirpath_patch,
    "json": json,
}


def _require_refusal(error: FhirError) -> None:
    assert 400 <= error.status < 500, error


def _meant(resource_type: str) -> list[str]:
    # `*` never includes the audit log.
    return (
        [*(SERVED.keys() - {"AuditEvent"})] if resource_type == "*" else [resource_type]
    )


def _require_kept(after: Resource) -> None:
    assert (after["resourceType"], after["id"]) == ("Patient", "p")
    assert decode(encode(after)) == after


class _Form:
    """A token request as authlib hands it over."""

    client: Client | None = None

    def __init__(self, text: str) -> None:
        self.form = {
            "client_assertion_type": ClientAssertion.CLIENT_ASSERTION_TYPE,
            "client_assertion": text,
        }


def _authenticated(text: str) -> Client | None:
    return _checker()(lambda _named: _client(), _Form(text))


class _Keys:
    """The keys of one client by value."""

    def find(self, client: Client, kid: str, algorithm: str) -> Any:
        from hub.smart import jwks

        return jwks.choose(client.jwks, kid, algorithm)


@cache
def _checker() -> ClientAssertion:
    return ClientAssertion(f"{_BASE}/token", _Keys(), lambda *_: True)  # type: ignore[arg-type]


@cache
def _client() -> Client:
    from hub.smart import clients

    database = _hub().database
    with database.transaction() as session:
        return clients.register(
            session, organization="o", roles={"source"}, jwks=public(ec_key())
        )


@cache
def _hub() -> Hub:
    """A hub's parts over an empty database; nothing is served."""
    from hub.migrations import upgrade

    folder = Path(tempfile.mkdtemp())
    url = f"sqlite:///{folder}/hub.db"
    database = Database(url)
    upgrade(database)
    return make_hub(Settings(dev=True, state=folder, database_url=url), database)


assert METHOD  # the one way to authenticate; a second would need a target of its own
