"""A client of the hub over HTTP, as a hospital's or a centre's system would be.

Nothing here is special to the demonstration: discovery, a token by private_key_jwt
(SMART 2.2), then the RESTful API with If-Match.
"""

import secrets
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from joserfc import jwt
from joserfc.jwk import ECKey, RSAKey

from hub.delivery.fetch import Fetcher, Response
from hub.fhir.json import Resource, decode_value, encode
from hub.fhir.outcome import FhirError

_JSON = "application/fhir+json"
_PATCH = "application/json-patch+json"
_ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_ASSERTION_SECONDS = 240
_MARGIN_SECONDS = 30
_MAX_BYTES = 20_000_000


class RefusedError(Exception):
    """The hub answered with an error. `outcome` is its JSON, when it was JSON."""

    def __init__(self, response: Response) -> None:
        super().__init__(f"HTTP {response.status}")
        self.status = response.status
        self.outcome = _json(response)

    @property
    def ids(self) -> list[str]:
        """The hub's stable ids of what was wrong, such as HUB-CONSENT-001."""
        issues = self.outcome.get("issue", ())
        codings = [c for i in issues for c in i.get("details", {}).get("coding", ())]
        return [str(coding.get("code")) for coding in codings]

    @property
    def texts(self) -> list[str]:
        """The sentences, in the hub's first language."""
        issues = self.outcome.get("issue", ())
        return [str(i.get("details", {}).get("text", "")) for i in issues]


class HubClient:
    """One registered client. `base_url` is the hub's FHIR base, `private_jwk` its key.

    Paths are relative to the base. Each method raises RefusedError for an answer that
    is not 2xx, and FetchError when there is none.
    """

    def __init__(
        self,
        base_url: str,
        client_id: str,
        private_jwk: Mapping[str, Any],
        *,
        fetcher: Fetcher | None = None,
        scope: str = "",
    ) -> None:
        self.base_url = base_url.rstrip("/")
        self.client_id = client_id
        self._key = _key(private_jwk)
        self._fetcher = fetcher or Fetcher(dev=True)
        self._scope = scope
        self._token = ""
        self._until = 0.0

    def get(self, path: str) -> Resource:
        """One resource, for example `Task/abc`."""
        return _json(self.send("GET", path))

    def search(self, resource_type: str, **parameters: str) -> list[Resource]:
        """The resources of every page. `part_of` is the parameter `part-of`; a leading
        underscore stays (`_lastUpdated`).
        """
        query = {
            name[0] + name[1:].replace("_", "-"): value
            for name, value in parameters.items()
        }
        url: str | None = f"{resource_type}?{urlencode(query)}"
        found: list[Resource] = []
        while url:
            page = self.get(url)
            found += [e["resource"] for e in page.get("entry", ()) if "resource" in e]
            links = {link["relation"]: link["url"] for link in page.get("link", ())}
            url = links.get("next")
        return found

    def post(
        self, path: str, resource: Resource, headers: Mapping[str, str] | None = None
    ) -> Resource:
        """Create, an operation, or (path empty) a transaction."""
        return _json(self.send("POST", path, encode(resource), headers=headers))

    def put(self, resource: Resource) -> Resource:
        """Update with If-Match: the version that `resource` was read with."""
        path = f"{resource['resourceType']}/{resource['id']}"
        headers = if_match(resource)
        return _json(self.send("PUT", path, encode(resource), headers=headers))

    def patch(self, resource: Resource, *operations: Mapping[str, Any]) -> Resource:
        """JSON Patch with If-Match of the version that was read."""
        path = f"{resource['resourceType']}/{resource['id']}"
        body = encode(list(operations))
        sent = self.send("PATCH", path, body, _PATCH, if_match(resource))
        return _json(sent)

    def intake(self, mapping: str, sheet: bytes) -> list[Resource]:
        """Send a CSV or Excel sheet; one answer a row."""
        root = self.base_url.removesuffix("/fhir/R4")
        headers = {
            "Accept": "application/json",
            "Authorization": f"Bearer {self.token()}",
            "Content-Type": "application/octet-stream",
        }
        url = f"{root}/intake/{mapping}"
        answer = self._answered("POST", url, headers, sheet)
        return list(decode_value(answer.content))

    def send(
        self,
        method: str,
        path: str,
        content: bytes = b"",
        content_type: str = _JSON,
        headers: Mapping[str, str] | None = None,
    ) -> Response:
        """One request with a token. `path` may be a whole URL under the base."""
        url = path if path.startswith(self.base_url) else f"{self.base_url}/{path}"
        own = {"Accept": _JSON, "Authorization": f"Bearer {self.token()}"}
        if content:
            own["Content-Type"] = content_type
        return self._answered(
            method, url.rstrip("/"), {**own, **(headers or {})}, content
        )

    def token(self) -> str:
        """A live access token; a new one is asked for shortly before its end."""
        if time.monotonic() >= self._until:
            endpoint = self._endpoint()
            form = {
                "grant_type": "client_credentials",
                "client_assertion_type": _ASSERTION,
                "client_assertion": self._assertion(endpoint),
            }
            if self._scope:
                form["scope"] = self._scope
            headers = {"Content-Type": "application/x-www-form-urlencoded"}
            body = urlencode(form).encode("ascii")
            answer = _json(self._answered("POST", endpoint, headers, body))
            self._token = answer["access_token"]
            lifetime = int(answer.get("expires_in", 0))
            self._until = time.monotonic() + lifetime - _MARGIN_SECONDS
        return self._token

    def _endpoint(self) -> str:
        url = f"{self.base_url}/.well-known/smart-configuration"
        found = _json(self._answered("GET", url, {"Accept": "application/json"}, b""))
        return str(found["token_endpoint"])

    def _assertion(self, endpoint: str) -> str:
        now = int(time.time())
        algorithm = "ES384" if isinstance(self._key, ECKey) else "RS384"
        header = {"alg": algorithm, "typ": "JWT", "kid": self._key.kid}
        claims = {
            "iss": self.client_id,
            "sub": self.client_id,
            "aud": endpoint,
            "iat": now,
            "exp": now + _ASSERTION_SECONDS,
            "jti": secrets.token_urlsafe(24),
        }
        return jwt.encode(header, claims, self._key, algorithms=[algorithm])

    def _answered(
        self, method: str, url: str, headers: Mapping[str, str], content: bytes
    ) -> Response:
        response = self._fetcher.request(
            method, url, headers=headers, content=content, max_bytes=_MAX_BYTES
        )
        if not response.is_success:
            raise RefusedError(response)
        return response


def if_match(resource: Resource) -> dict[str, str]:
    """The If-Match header for the version that a resource was read with."""
    return {"If-Match": f'W/"{resource["meta"]["versionId"]}"'}


def generate_key() -> tuple[dict[str, Any], dict[str, Any]]:
    """A new P-384 key: the private JWK, and the public JWKS to register."""
    made = ECKey.generate_key("P-384", {"use": "sig", "alg": "ES384"})
    named = ECKey.import_key({**made.as_dict(private=True), "kid": made.thumbprint()})
    return named.as_dict(private=True), {"keys": [named.as_dict(private=False)]}


def _key(jwk: Mapping[str, Any]) -> ECKey | RSAKey:
    kind = ECKey if jwk.get("kty") == "EC" else RSAKey
    return kind.import_key(dict(jwk))


def _json(response: Response) -> dict[str, Any]:
    try:
        value = decode_value(response.content)
    except FhirError:
        return {}
    return value if isinstance(value, dict) else {}
