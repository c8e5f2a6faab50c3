"""Prometheus metrics: counts and ages, no label that could name a person or a case."""

from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from hub.database import Database
from hub.delivery import operate
from hub.fhir import dates

_SECOND = 1_000_000
_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)


class Requests:
    """How many requests of a route template there were, and how long they took."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._count = Counter(
            "tsunagi_requests",
            "Requests by method, route template and status",
            ("method", "route", "status"),
            registry=registry,
        )
        self._seconds = Histogram(
            "tsunagi_request_seconds",
            "Time from the first byte of a request to its answer",
            ("method", "route"),
            buckets=_BUCKETS,
            registry=registry,
        )

    def note(self, method: str, route: str, status: int, seconds: float) -> None:
        """One request; `route` is a template of ours such as `/fhir/R4/{type}`."""
        self._count.labels(method, route, str(status)).inc()
        self._seconds.labels(method, route).observe(seconds)


class Metrics:
    """One registry per application, so that two hubs in one process do not mix."""

    def __init__(self, database: Database) -> None:
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        self._registry.register(_Outbox(database))
        self._registry.register(_Pool(database))
        self.requests = Requests(self._registry)

    def render(self) -> bytes:
        """The text format."""
        return generate_latest(self._registry)


class _Outbox(Collector):
    """Asked at each scrape: messages by status, and the age of the oldest queued."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def describe(self) -> Iterable[Metric]:
        return ()

    def collect(self) -> Iterable[Metric]:
        try:
            with self._database.glance() as session:
                counts, oldest = operate.counts(session), operate.oldest_queued(session)
        except (DBAPIError, PoolTimeoutError):
            # The requests are worth knowing just then.
            yield _is_up(0)
            return
        yield _is_up(1)
        messages = GaugeMetricFamily(
            "tsunagi_outbox_messages", "Messages by status", labels=("status",)
        )
        for status, count in counts.items():
            messages.add_metric((status,), count)
        yield messages
        age = (dates.micros(dates.now()) - oldest) / _SECOND if oldest else 0.0
        yield GaugeMetricFamily(
            "tsunagi_outbox_oldest_seconds",
            "Age of the oldest message waiting to be sent",
            value=max(0.0, age),
        )


def _is_up(value: int) -> Metric:
    return GaugeMetricFamily(
        "tsunagi_database_up", "1 when the database answers", value=value
    )


class _Pool(Collector):
    """Connections of this process: used and idle; at the limit requests wait."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def describe(self) -> Iterable[Metric]:
        return ()

    def collect(self) -> Iterable[Metric]:
        pool = self._database.engine.pool
        connections = GaugeMetricFamily(
            "tsunagi_database_connections", "Connections by state", labels=("state",)
        )
        for state in ("used", "idle"):
            count = getattr(pool, {"used": "checkedout", "idle": "checkedin"}[state])
            connections.add_metric((state,), count())
        yield connections
