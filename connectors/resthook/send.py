"""Send one notification to the endpoint of a Subscription."""

import time
from collections.abc import Callable

from hub.delivery.connector import DeliveryError, Message
from hub.delivery.fetch import Fetcher, FetchError, Response
from hub.delivery.schedule import retry_after
from hub.delivery.webhooks import signed

_GONE = 410
# Said now or not at all: a late one would tell nothing (Backport 1.1, channels).
_AT_ONCE = frozenset({"handshake", "heartbeat"})


class RestHook:
    """The connector for rest-hook channels. Thread-safe.

    `clock` gives seconds since 1970, for the signature's timestamp.
    """

    def __init__(
        self, fetcher: Fetcher, *, clock: Callable[[], float] = time.time
    ) -> None:
        self._fetcher = fetcher
        self._clock = clock

    def send(self, message: Message) -> None:
        """POST the notification; returning means the endpoint answered 2xx.

        The subscriber's headers go as they are; none can replace what is said here,
        for such headers are not accepted. Raises DeliveryError: every answer but 2xx
        is tried again, for a webhook's receiver is mended, not its message; 410 stops
        the endpoint.
        """
        to = message.destination
        headers = {
            **to.headers,
            "Content-Type": message.content_type,
            "X-Request-ID": message.id,
            **signed(message.id, int(self._clock()), message.body, to.secrets),
        }
        is_final = message.kind in _AT_ONCE
        try:
            response = self._fetcher.request(
                "POST",
                to.address,
                headers=headers,
                content=message.body,
                timeout=to.timeout,
                discard=True,
            )
        except FetchError as error:
            retry = error.retry and not is_final
            raise DeliveryError(error.reason, retry=retry) from error
        if not response.is_success:
            raise _refused(response, is_final=is_final)


def _refused(response: Response, *, is_final: bool) -> DeliveryError:
    is_gone = response.status == _GONE
    return DeliveryError(
        f"http-{response.status}",
        retry=not (is_final or is_gone),
        retry_after=retry_after(response.headers.get("retry-after")),
        disable=is_gone and not is_final,
    )
