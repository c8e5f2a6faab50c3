"""RS8: what a scope opens, for every type and interaction, generated in full.

The oracle is security.md §2.2 written down once more: a table of letters and a reader
of scope words that knows nothing of `hub.smart`. For each type and interaction a token
with exactly the letters needed is let through, and one with every letter but a needed
one is refused, whatever else it may do elsewhere. Let through means: not refused by
scope; that it then works is for D13.
"""

import base64
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from hub.restful.served import SERVED
from hub.smart import clients
from hub.store.parameters import compartments
from tests.restful.build import HOSPITAL
from tests.restful.least import least
from tests.running import Caller, RunningHub
from tests.smart.build import ASSERTION_TYPE, assertion, ec_key, public

ALL = "cruds"
V1 = {"read": "rs", "write": "cud", "*": "cruds"}
NEVER_BY_STAR = {"AuditEvent"}

# §2.2, "Letters": what each interaction needs. Conditional forms also need s.
NEEDS = {
    "read": "r",
    "head": "r",
    "vread": "r",
    "history-instance": "r",
    "history-type": "s",
    "history-system": "s",
    "search": "s",
    "search-post": "s",
    "search-compartment": "s",
    "search-compartment-all": "s",
    "search-system": "s",
    "search-system-post": "s",
    "create": "c",
    "conditional-create": "cs",
    "update": "u",
    # Nothing matches, so it creates, under an id that the server gives: c as well.
    "conditional-update": "cus",
    "json-patch": "u",
    "path-patch": "u",
    "conditional-patch": "us",
    "delete": "d",
    "conditional-delete": "ds",
}
# Without a type of their own: any type that may be searched lets them through.
ANY_TYPE = {
    "history-system": {n for n in SERVED if "history-type" in SERVED[n]},
    "search-compartment-all": {*compartments()["Patient"]} & {*SERVED},
}
IN_COMPARTMENT = ANY_TYPE["search-compartment-all"]
# The FHIR interactions a type must have for a way to exist (else 405, D13).
MADE_OF = {
    "head": ["read"],
    "search": ["search-type"],
    "search-post": ["search-type"],
    "search-compartment": ["search-type"],
    "search-compartment-all": ["search-type"],
    "search-system": ["search-type"],
    "search-system-post": ["search-type"],
    "history-system": ["history-type"],
    "json-patch": ["patch"],
    "path-patch": ["patch"],
    **{
        f"conditional-{name}": [name, "search-type"]
        for name in ("create", "update", "patch", "delete")
    },
}

FORM = {"Content-Type": "application/x-www-form-urlencoded"}
JSON_PATCH = {"Content-Type": "application/json-patch+json"}
FHIR = {"Content-Type": "application/fhir+json"}
OPERATIONS: list[dict[str, Any]] = [{"op": "test", "path": "/id", "value": "x"}]
PARAMETERS = {
    "resourceType": "Parameters",
    "parameter": [
        {
            "name": "operation",
            "part": [
                {"name": "type", "valueCode": "delete"},
                {"name": "path", "valueString": "Resource.language"},
            ],
        }
    ],
}


def letters(scope: str, kind: str) -> set[str]:
    """What a scope text allows for a type, read from the words of §2.2."""
    found: set[str] = set()
    for word in scope.split():
        place, rights = word.rsplit(".", 1) if word[-1] != "*" else (word[:-2], "*")
        of = place.partition("/")[2]
        if of == kind or (of == "*" and kind not in NEVER_BY_STAR):
            found |= {*V1.get(rights, rights)}
    return found


def is_allowed(way: str, scope: str, kind: str) -> bool:
    if way in ANY_TYPE:
        return any({*NEEDS[way]} <= letters(scope, one) for one in ANY_TYPE[way])
    return {*NEEDS[way]} <= letters(scope, kind)


def ways(kind: str) -> list[str]:
    """The ways to ask for a type that exist on this server."""
    return [
        way
        for way in NEEDS
        if {*MADE_OF.get(way, [way])} <= {*SERVED[kind]}
        and not (way.startswith("search-compartment") and kind not in IN_COMPARTMENT)
        # The log is no part of the store: it has its own read and search.
        and not (kind == "AuditEvent" and ("system" in way or "compartment" in way))
    ]


def request(way: str, kind: str) -> tuple[str, str, bytes, dict[str, str]]:
    """Method, path, body and headers of a way, on what does not exist."""
    body = json.dumps(least(kind)).encode()
    one = json.dumps(least(kind, id="x")).encode()
    patch, path = json.dumps(OPERATIONS).encode(), json.dumps(PARAMETERS).encode()
    # An update may bring x into being; nothing ever matches the condition.
    where, by = f"/{kind}/x", f"/{kind}?_id=none"
    return {
        "read": ("GET", where, b"", FHIR),
        "head": ("HEAD", where, b"", FHIR),
        "vread": ("GET", f"{where}/_history/1", b"", FHIR),
        "history-instance": ("GET", f"{where}/_history", b"", FHIR),
        "history-type": ("GET", f"/{kind}/_history", b"", FHIR),
        "history-system": ("GET", "/_history?_count=1", b"", FHIR),
        "search": ("GET", f"/{kind}?_count=0", b"", FHIR),
        "search-post": ("POST", f"/{kind}/_search", b"_count=0", FORM),
        "search-compartment": ("GET", f"/Patient/x/{kind}?_count=0", b"", FHIR),
        "search-compartment-all": ("GET", "/Patient/x/*?_count=0", b"", FHIR),
        "search-system": ("GET", f"/?_type={kind}&_count=0", b"", FHIR),
        "search-system-post": (
            "POST",
            "/_search",
            f"_type={kind}&_count=0".encode(),
            FORM,
        ),
        "create": ("POST", f"/{kind}", body, FHIR),
        "conditional-create": (
            "POST",
            f"/{kind}",
            body,
            {**FHIR, "If-None-Exist": "_id=none"},
        ),
        "update": ("PUT", where, one, FHIR),
        "conditional-update": ("PUT", by, body, FHIR),
        "json-patch": ("PATCH", where, patch, JSON_PATCH),
        "path-patch": ("PATCH", where, path, FHIR),
        "conditional-patch": ("PATCH", by, patch, JSON_PATCH),
        "delete": ("DELETE", where, b"", FHIR),
        "conditional-delete": ("DELETE", by, b"", FHIR),
    }[way]


NO_ENTRY = {"head", "search-post", "search-system-post"}
# An entry is a request of a type or of an instance, or the history of everything.
NO_ENTRY |= {"search-compartment", "search-compartment-all", "search-system"}


def entry(way: str, kind: str) -> dict[str, Any]:
    """The same request as an entry of a Bundle."""
    method, path, body, headers = request(way, kind)
    asked: dict[str, Any] = {"method": method, "url": path.removeprefix("/")}
    if condition := headers.get("If-None-Exist"):
        asked["ifNoneExist"] = condition
    if not body:
        return {"request": asked}
    if headers is JSON_PATCH:
        data = base64.b64encode(body).decode()
        binary = {"resourceType": "Binary", "contentType": headers["Content-Type"]}
        return {"resource": {**binary, "data": data}, "request": asked}
    return {"resource": json.loads(body), "request": asked}


@dataclass
class Tokens:
    """Tokens of one client that is registered for everything, by their scope."""

    hub: RunningHub
    client_id: str
    known: dict[str, Caller]

    def of(self, scope: str) -> Caller:
        if scope not in self.known:
            self.known[scope] = self._issue(scope)
        return self.known[scope]

    def _issue(self, scope: str) -> Caller:
        form = {
            "grant_type": "client_credentials",
            "client_assertion_type": ASSERTION_TYPE,
            "client_assertion": assertion(
                self.client_id, ec_key(), self.hub.settings.token_url
            ),
            "scope": scope,
        }
        answer = self.hub.http.post("/oauth/token", data=form)
        assert answer.status_code == 200, answer.text
        body = answer.json()
        assert {*body["scope"].split()} == {*scope.split()}
        return Caller(self.hub.http, self.client_id, HOSPITAL, body["access_token"])


@pytest.fixture(scope="module")
def tokens(drafting: RunningHub) -> Tokens:
    with drafting.database.transaction() as session:
        made = clients.register(
            session,
            organization=HOSPITAL,
            roles={"source", "privacy"},  # the log asks for the role too
            scopes="system/*.cruds system/AuditEvent.cruds",
            jwks=public(ec_key()),
        )
    return Tokens(drafting, made.client_id, {})


# Who writes a Subscription must be able to read what it tells of.
BESIDE = {"Subscription": " system/Task.r"}


def v2(kind: str, some: str) -> str:
    word = f"system/{kind}.{''.join(one for one in ALL if one in some)}"
    return word + BESIDE.get(kind, "")


def scopes_for(way: str, kind: str) -> Iterator[str]:
    """Exactly what is needed; then all but one needed letter, and another type."""
    yield v2(kind, NEEDS[way])
    other = "Location" if kind != "Location" else "Endpoint"
    elsewhere = "crud" if way in ANY_TYPE else ALL
    for missing in NEEDS[way]:
        yield f"{v2(kind, ALL.replace(missing, ''))} {v2(other, elsewhere)}"


def is_refused(answer: Any) -> bool:
    """By scope, with its challenge."""
    challenge = str(answer.headers.get("WWW-Authenticate", ""))
    by_scope: bool = 'error="insufficient_scope"' in challenge
    assert by_scope is (answer.status_code == 403), answer.text
    return bool(by_scope)


@pytest.mark.parametrize("kind", sorted(SERVED))
def test_RS8_AB18_a_way_is_open_with_its_letters_and_shut_without_one(
    tokens: Tokens, kind: str
) -> None:
    for way in ways(kind):
        method, path, body, headers = request(way, kind)
        for scope in scopes_for(way, kind):
            caller = tokens.of(scope)
            answer = caller.request(method, path, content=body, headers=headers)
            expected = is_allowed(way, scope, kind)
            assert is_refused(answer) is not expected, (way, scope, answer.text)
            assert answer.status_code != 405 or way == "update", (way, answer.text)


# Both notations, the letters that go together, and all types at once.
WORDS = ["read", "cud", "*", "cs", "us", "ds"]


@pytest.mark.parametrize("kind", sorted(SERVED))
def test_RS8_entries_of_a_bundle_are_judged_one_by_one(
    tokens: Tokens, kind: str
) -> None:
    there = [way for way in ways(kind) if way not in NO_ENTRY]
    bundle = {
        "resourceType": "Bundle",
        "type": "batch",
        "entry": [entry(way, kind) for way in there],
    }
    scopes = [f"system/{kind}.{word}{BESIDE.get(kind, '')}" for word in WORDS]
    if kind not in NEVER_BY_STAR:
        scopes += ["system/*.read", f"system/*.cud{BESIDE.get(kind, '')}"]
    else:
        scopes += ["system/*.* system/AuditEvent.u"]
    for scope in scopes:
        answer = tokens.of(scope).post("", bundle)
        assert answer.status_code == 200, answer.text
        for way, one in zip(there, answer.json()["entry"], strict=True):
            codes = [
                issue["details"]["coding"][0]["code"]
                for issue in one["response"].get("outcome", {}).get("issue", ())
            ]
            refused = "HUB-AUTH-003" in codes
            assert refused is one["response"]["status"].startswith("403")
            assert refused is not is_allowed(way, scope, kind), (way, scope, one)


@pytest.mark.parametrize("kind", sorted(SERVED))
def test_RS8_one_entry_without_its_letter_refuses_the_transaction(
    tokens: Tokens, kind: str
) -> None:
    for way in ways(kind):
        if way in NO_ENTRY or way in ANY_TYPE:
            continue
        bundle = {
            "resourceType": "Bundle",
            "type": "transaction",
            "entry": [entry(way, kind)],
        }
        missing = NEEDS[way][-1]
        scope = v2(kind, ALL.replace(missing, ""))
        answer = tokens.of(scope).post("", bundle)
        assert is_refused(answer), (way, answer.text)


def test_RS8_the_log_is_never_read_by_all_types(tokens: Tokens) -> None:
    caller = tokens.of("system/*.*")
    for path in ("/AuditEvent", "/AuditEvent/x"):
        assert is_refused(caller.get(path))
