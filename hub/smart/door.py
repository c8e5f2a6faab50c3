"""How often tokens may be asked for, without a way to lock anybody out (T20, AB19).

Counted are tokens given, for the client that proved who it is, and refusals, for an
address together with the name that was claimed there. So who claims a client's name
from elsewhere uses up nothing of that client's, and a hospital's systems that share one
address do not share a count. Many more refusals, of whatever names, stop an address:
verifying is what costs time. An address of this very machine is a proxy that does not
say for whom it speaks (hub/proxied.py); no refusals are counted there, for they would
stop everybody.
"""

from collections.abc import Callable
from math import ceil

import orjson
from joserfc.util import urlsafe_b64decode

from hub.allowance import Allowance
from hub.delivery.addresses import is_loopback_host
from hub.settings import Settings
from hub.smart.server import Answer

_REFUSED = (400, 401)
_LONGEST = 128  # characters of a client id
_NAMES = 10  # times as many refusals of an address as of one name there


class Door:
    """Stands before the endpoints that authenticate clients. Thread-safe."""

    def __init__(self, settings: Settings) -> None:
        rate, burst = settings.token_rate, settings.token_burst
        self._given = Allowance(rate, burst)
        self._refused = Allowance(rate, burst)
        self._address = Allowance(rate * _NAMES, burst * _NAMES)

    def handled(
        self,
        address: str,
        form: dict[str, str],
        handle: Callable[[dict[str, str]], Answer],
    ) -> Answer:
        """What `handle` answers, or 429 with Retry-After."""
        name = claimed(form)
        if wait := self._left(address, name):
            return _slow_down(wait)
        answer = handle(form)
        if answer.status not in _REFUSED:
            self._given.wait(name)
        elif not is_loopback_host(address):
            self._refused.wait((address, name))
            self._address.wait(address)
        return answer

    def _left(self, address: str, name: str) -> float:
        return max(
            self._given.left(name),
            self._refused.left((address, name)),
            self._address.left(address),
        )


def claimed(form: dict[str, str]) -> str:
    """Whom an assertion names, unverified; "" when it names nobody."""
    try:
        part = form.get("client_assertion", "").split(".")[1]
        name = orjson.loads(urlsafe_b64decode(part.encode()))["sub"]
    except (IndexError, KeyError, TypeError, ValueError):
        return ""
    return name[:_LONGEST] if isinstance(name, str) else ""


def _slow_down(wait: float) -> Answer:
    body = {"error": "temporarily_unavailable"}
    headers = (
        ("Cache-Control", "no-store"),
        ("Pragma", "no-cache"),
        ("Retry-After", str(max(1, ceil(wait)))),
    )
    return Answer(429, orjson.dumps(body), headers)
