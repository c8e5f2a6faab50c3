"""One token request: authlib's client over the guarded fetcher.

Authlib builds the form, signs the assertion (RFC 7523) and reads the answer; every
byte goes through the fetcher.
"""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from authlib.oauth2 import OAuth2Error
from authlib.oauth2.client import OAuth2Client
from authlib.oauth2.rfc7523 import PrivateKeyJWT
from authlib.oauth2.rfc7523.assertion import private_key_jwt_sign
from joserfc.jwk import ECKey

from connectors.fhir_rest.answers import delivery_error, require_json
from hub.delivery.connector import DeliveryError
from hub.delivery.fetch import Fetcher, FetchError, Response

_ASSERTION_SECONDS = 240  # SMART allows 300; the rest is for two clocks that differ
_METHOD = "private_key_jwt"
_UNSTATED_SECONDS = 60
_MAX_BYTES = 64 * 1024


def fetch_token(
    fetcher: Fetcher, key: ECKey, *, endpoint: str, client_id: str, scope: str
) -> tuple[str, float]:
    """A new access token and its lifetime in seconds.

    Raises DeliveryError: `token` when the receiver refuses or answers nonsense.
    """
    client = OAuth2Client(
        _Session(fetcher),
        client_id,
        key,
        token_endpoint_auth_method=_METHOD,
        scope=scope,
    )
    client.register_client_auth_method(_Assertion(endpoint, key))
    try:
        token = client.fetch_token(
            endpoint, grant_type="client_credentials", scope=scope
        )
    except (OAuth2Error, ValueError):
        # `from None`: the error holds text of the receiver, which no log may show.
        raise DeliveryError("token", retry=True) from None
    except FetchError as error:
        raise DeliveryError(error.reason, retry=error.retry) from error
    return _checked(token)


def _checked(token: Mapping[str, Any]) -> tuple[str, float]:
    value, seconds = token.get("access_token"), token.get("expires_in")
    if not isinstance(value, str) or not value.isascii() or not value.isprintable():
        raise DeliveryError("token", retry=True)
    if str(token.get("token_type", "")).lower() != "bearer":
        raise DeliveryError("token", retry=True)
    if not isinstance(seconds, int) or seconds <= 0:
        seconds = _UNSTATED_SECONDS
    return value, float(seconds)


class _Assertion(PrivateKeyJWT):  # type: ignore[misc] # authlib is untyped
    """Authlib's, but living minutes instead of an hour, and naming its key."""

    def __init__(self, endpoint: str, key: ECKey) -> None:
        super().__init__(endpoint, alg="ES384")
        self._kid = key.kid

    def sign(self, auth: Any, token_endpoint: str) -> str:
        # A fresh header and no claims: authlib writes the jti into the dict it gets.
        signed: str = private_key_jwt_sign(
            auth.client_secret,
            client_id=auth.client_id,
            token_endpoint=token_endpoint,
            alg=self.alg,
            header={"kid": self._kid, "typ": "JWT"},
            expires_in=_ASSERTION_SECONDS,
        )
        return signed


class _Session:
    """What authlib's OAuth2Client calls a session: one POST through the fetcher."""

    def __init__(self, fetcher: Fetcher) -> None:
        self._fetcher = fetcher

    def post(
        self,
        url: str,
        *,
        data: Mapping[str, str],
        headers: Mapping[str, str],
        auth: Any,
    ) -> "_Answer":
        url, headers, body = auth.prepare("POST", url, headers, urlencode(data))
        response = self._fetcher.request(
            "POST",
            url,
            headers=headers,
            content=body.encode("ascii"),
            max_bytes=_MAX_BYTES,
        )
        if not response.is_success:
            raise delivery_error(response, "token")
        return _Answer(response)


class _Answer:
    """A successful answer as authlib reads it."""

    def __init__(self, response: Response) -> None:
        self.status_code = response.status
        self._response = response

    def json(self) -> dict[str, Any]:
        return require_json(self._response, "token")
