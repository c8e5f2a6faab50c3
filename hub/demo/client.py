"""A small client of the hub, as a hospital's or a centre's system would have one."""

import json
import time
import uuid
from typing import Any
from urllib.parse import urlencode

from joserfc import jwt
from joserfc.jwk import ECKey

from hub.delivery.fetch import Fetcher, Response
from hub.fhir.json import decode, decode_value, encode

Resource = dict[str, Any]
_ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_FHIR = "application/fhir+json"


class HubClient:
    """SMART Backend Services (private_key_jwt, ES384), then FHIR over HTTP."""

    def __init__(
        self, base_url: str, client_id: str, private_jwk: dict[str, Any], scope: str
    ) -> None:
        self._base, self._client_id, self._scope = base_url, client_id, scope
        self._key = ECKey.import_key(private_jwk)
        self._http = Fetcher(dev=True)
        self._token, self._until = "", 0.0

    def read(self, path: str) -> Resource:
        """GET one resource."""
        return self._good(self._send("GET", f"/fhir/R4/{path}"))

    def search(self, resource_type: str, **criteria: str) -> list[Resource]:
        """Every match, page after page."""
        url = f"{self._base}/fhir/R4/{resource_type}?{urlencode(criteria)}"
        found: list[Resource] = []
        while url:
            bundle = self._good(self._send("GET", url.removeprefix(self._base)))
            found += [entry["resource"] for entry in bundle.get("entry", ())]
            links = {one["relation"]: one["url"] for one in bundle["link"]}
            url = links.get("next", "")
        return found

    def intake(self, mapping: str, sheet: bytes) -> list[Resource]:
        """Send a sheet; one answer a row."""
        answer = self._send(
            "POST", f"/intake/{mapping}", sheet, "application/octet-stream"
        )
        return list(decode_value(answer.content))

    def put_task(self, task: Resource) -> Response:
        """PUT a Task under the version it was read with."""
        version = task["meta"]["versionId"]
        return self._send(
            "PUT", f"/fhir/R4/Task/{task['id']}", encode(task), if_match=version
        )

    def decode(self, answer: Response) -> Resource:
        """The resource of an answer."""
        return decode(answer.content)

    def refusal(self, answer: Response) -> str:
        """What an OperationOutcome says, in a line."""
        issues = decode(answer.content).get("issue", ())
        said = [
            f"{one['details']['coding'][0]['code']} {one.get('expression', '')}"
            for one in issues
        ]
        return f"{answer.status} {'; '.join(said)}"

    def _good(self, answer: Response) -> Resource:
        if not answer.is_success:
            raise RuntimeError(self.refusal(answer))
        return decode(answer.content)

    def _send(
        self,
        method: str,
        path: str,
        content: bytes = b"",
        content_type: str = _FHIR,
        if_match: str = "",
    ) -> Response:
        headers = {
            "Authorization": f"Bearer {self._bearer()}",
            "Content-Type": content_type,
            "Accept": "application/json, application/fhir+json",
        }
        if if_match:
            headers["If-Match"] = f'W/"{if_match}"'
        url = f"{self._base}{path}"
        return self._http.request(method, url, headers=headers, content=content)

    def _bearer(self) -> str:
        if time.monotonic() < self._until:
            return self._token
        url = f"{self._base}/.well-known/smart-configuration"
        endpoint = json.loads(self._http.request("GET", url).content)["token_endpoint"]
        form = {
            "grant_type": "client_credentials",
            "client_assertion_type": _ASSERTION,
            "client_assertion": self._assertion(endpoint),
            "scope": self._scope,
        }
        answer = self._http.request(
            "POST",
            endpoint,
            headers={"Content-Type": "application/x-www-form-urlencoded"},
            content=urlencode(form).encode(),
        )
        if not answer.is_success:
            raise RuntimeError(f"no token: {answer.status}")
        told = json.loads(answer.content)
        self._token = str(told["access_token"])
        self._until = time.monotonic() + told["expires_in"] - 10
        return self._token

    def _assertion(self, audience: str) -> str:
        now = int(time.time())
        claims = {
            "iss": self._client_id,
            "sub": self._client_id,
            "aud": audience,
            "exp": now + 60,
            "iat": now,
            "jti": str(uuid.uuid4()),
        }
        header = {"alg": "ES384", "kid": self._key.kid, "typ": "JWT"}
        return jwt.encode(header, claims, self._key, algorithms=["ES384"])
