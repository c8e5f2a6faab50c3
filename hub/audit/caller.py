"""From where the request came that is being answered (BALP: agent.network).

Set once where a request enters. Every row that the request leaves names it, however
deep below it is written; handing it through each signature on the way would make all
of them speak of the network.
"""

from contextvars import ContextVar
from ipaddress import ip_address
from typing import NamedTuple


class Caller(NamedTuple):
    """The address of the connection (IP, "" when unknown) and the request's id."""

    address: str = ""
    request_id: str = ""


_NOBODY = Caller()
_CALLER: ContextVar[Caller] = ContextVar("caller")


def enter(host: str | None, request_id: str = "") -> None:
    """Say who is connected, for the rest of this request's task.

    `host` is what the server says of the connection; what is no IP address may have
    been made up by a client and is left out.
    """
    _CALLER.set(Caller(_address(host), request_id))


def caller() -> Caller:
    """Who is connected; empty outside a request (the worker, the command line)."""
    return _CALLER.get(_NOBODY)


def _address(host: str | None) -> str:
    try:
        return str(ip_address(host or ""))
    except ValueError:
        return ""
