"""What the outbox hands to a connector, and what a connector may answer."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol

Kind = Literal[
    "referral",
    "status",
    "report",
    "retraction",
    # To a Subscription's endpoint, named as in SubscriptionStatus.type.
    "handshake",
    "heartbeat",
    "event-notification",
]


@dataclass(frozen=True, slots=True)
class Destination:
    """Where a message goes.

    `organisation` is the id part of its Organization, `address` the receiver's
    base URL, `client_id` the hub's client id there. `auth` `none` is for trying
    out only. `scope` is what the hub asks the receiver's token endpoint for.
    For the endpoint of a Subscription: its own `headers`, the `secrets` that sign
    (Standard Webhooks) and its `timeout` in seconds.
    """

    organisation: str
    address: str
    client_id: str = ""
    auth: Literal["smart", "none"] = "smart"
    scope: str = "system/*.cus"
    headers: Mapping[str, str] = field(default_factory=dict)
    secrets: tuple[bytes, ...] = ()
    timeout: float | None = None


@dataclass(frozen=True, slots=True)
class Message:
    """One message; `id` stays the same on every retry, `body` is sent as it is."""

    id: str
    kind: Kind
    destination: Destination
    body: bytes
    content_type: str = "application/fhir+json"
    correlation_id: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)


class Connector(Protocol):
    """Carries messages to one kind of outside system."""

    def send(self, message: Message) -> None:
        """Deliver, or raise DeliveryError. Returning means: the receiver has it."""


class DeliveryError(Exception):
    """A message that was not taken.

    `retry`: try again on the schedule, else it goes to the dead letters. `reason`
    is a short code for the operator, never text of the receiver. `retry_after` is
    what the receiver asked for, in seconds. `disable`: stop sending to this
    endpoint until a person has looked.
    """

    def __init__(
        self,
        reason: str,
        *,
        retry: bool,
        retry_after: float | None = None,
        disable: bool = False,
    ) -> None:
        super().__init__(reason)
        self.reason = reason
        self.retry = retry
        self.retry_after = retry_after
        self.disable = disable
