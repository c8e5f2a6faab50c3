"""What a receiver's answer means for the message (security.md §5). Pure."""

from typing import Any

from hub.delivery.connector import DeliveryError
from hub.delivery.fetch import Response
from hub.delivery.schedule import retry_after
from hub.fhir.json import decode_value
from hub.fhir.outcome import FhirError

_GONE = 410
# The message itself is what is wrong: sending the same bytes again cannot help.
# Not among them, for someone can mend it meanwhile: 401, 403 and 404 (registration,
# address), 409 (the same Idempotency-Key is still in flight there).
_PERMANENT = frozenset({400, 402, 405, 406, 411, 412, 413, 414, 415, 422, 428, 501})


def delivery_error(response: Response, reason: str = "") -> DeliveryError:
    """The error for an answer that is not 2xx; its body is never repeated.

    A redirect is a failure: it is not followed, and tried again on the schedule.
    """
    status = response.status
    return DeliveryError(
        reason or f"http-{status}",
        retry=status != _GONE and (bool(reason) or status not in _PERMANENT),
        retry_after=retry_after(response.headers.get("retry-after")),
        disable=status == _GONE and not reason,
    )


def require_json(response: Response, reason: str) -> dict[str, Any]:
    """The JSON object of an answer. Raises DeliveryError(reason) for anything else."""
    try:
        value = decode_value(response.content, max_depth=16)
    except FhirError:
        raise DeliveryError(reason, retry=True) from None
    if not isinstance(value, dict):
        raise DeliveryError(reason, retry=True)
    return value
