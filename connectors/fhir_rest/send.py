"""Send one message to a receiver's FHIR base."""

from joserfc.jwk import ECKey

from connectors.fhir_rest.answers import delivery_error
from connectors.fhir_rest.tokens import Tokens
from hub.delivery.connector import DeliveryError, Destination, Message
from hub.delivery.fetch import Fetcher, FetchError, Response
from hub.fhir.json import decode
from hub.fhir.outcome import FhirError

_UNAUTHORIZED = 401
_TO_THE_BASE = frozenset({"transaction", "batch"})


class FhirRest:
    """The connector for FHIR servers. Thread-safe; keeps tokens in memory.

    `key` is the hub's private P-384 key, whose public half receivers know from the
    hub's `/oauth/jwks`. `dev` allows receivers without OAuth (`auth="none"`).
    """

    def __init__(self, fetcher: Fetcher, key: ECKey, *, dev: bool = False) -> None:
        self._fetcher = fetcher
        self._tokens = Tokens(fetcher, key)
        self._dev = dev

    def send(self, message: Message) -> None:
        """POST the message; returning means the receiver answered 2xx.

        Raises DeliveryError. A 401 gets one fresh token and one more try.
        """
        url = _url(message)
        if message.destination.auth == "none":
            self._require_dev()
            response = self._post(url, message, None)
        else:
            response = self._post_with_token(url, message, message.destination)
        if not response.is_success:
            raise delivery_error(response)

    def _post_with_token(
        self, url: str, message: Message, destination: Destination
    ) -> Response:
        token = self._tokens.find(destination)
        response = self._post(url, message, token)
        if response.status != _UNAUTHORIZED:
            return response
        return self._post(url, message, self._tokens.find(destination, stale=token))

    def _post(self, url: str, message: Message, token: str | None) -> Response:
        own = {
            "Content-Type": message.content_type,
            "Accept": "application/fhir+json",
            "Prefer": "return=minimal",
            # The same on every retry: the receiver can tell a repetition by it.
            "X-Request-ID": message.id,
            "Idempotency-Key": message.id,
        }
        if message.correlation_id:
            own["X-Correlation-ID"] = message.correlation_id
        if token is not None:
            own["Authorization"] = f"Bearer {token}"
        taken = {name.lower() for name in own}
        extra = {k: v for k, v in message.headers.items() if k.lower() not in taken}
        try:
            # Only the status counts: a long answer to a message that was taken must
            # not look like a failure.
            return self._fetcher.request(
                "POST",
                url,
                headers={**extra, **own},
                content=message.body,
                discard=True,
            )
        except FetchError as error:
            raise DeliveryError(error.reason, retry=error.retry) from error

    def _require_dev(self) -> None:
        if not self._dev:
            raise DeliveryError("no-authentication", retry=False)


def _url(message: Message) -> str:
    """Transactions go to the base, everything else to the endpoint of its type."""
    base = message.destination.address.rstrip("/")
    try:
        resource = decode(message.body)
    except FhirError:
        raise DeliveryError("body", retry=False) from None
    resource_type = resource["resourceType"]
    if resource_type == "Bundle" and resource.get("type") in _TO_THE_BASE:
        return base
    if not (resource_type.isascii() and resource_type.isalpha()):
        raise DeliveryError("body", retry=False)
    return f"{base}/{resource_type}"
