"""Names of the Subscriptions R5 Backport guide 1.1.0 (R4), as they are on the wire."""

_GUIDE = "http://hl7.org/fhir/uv/subscriptions-backport"
_STRUCTURE = f"{_GUIDE}/StructureDefinition"

FILTER_CRITERIA = f"{_STRUCTURE}/backport-filter-criteria"
PAYLOAD_CONTENT = f"{_STRUCTURE}/backport-payload-content"
HEARTBEAT_PERIOD = f"{_STRUCTURE}/backport-heartbeat-period"
TIMEOUT = f"{_STRUCTURE}/backport-timeout"
MAX_COUNT = f"{_STRUCTURE}/backport-max-count"

SUBSCRIPTION = f"{_STRUCTURE}/backport-subscription"
STATUS = f"{_STRUCTURE}/backport-subscription-status-r4"
NOTIFICATION = f"{_STRUCTURE}/backport-subscription-notification-r4"
TOPIC_CANONICAL = f"{_STRUCTURE}/capabilitystatement-subscriptiontopic-canonical"
SERVER = f"{_GUIDE}/CapabilityStatement/backport-subscription-server-r4"
STATUS_OPERATION = f"{_GUIDE}/OperationDefinition/backport-subscription-status"
EVENTS_OPERATION = f"{_GUIDE}/OperationDefinition/backport-subscription-events"
