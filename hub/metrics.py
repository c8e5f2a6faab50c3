"""Prometheus metrics: counts and ages, no label that could name a person or a case."""

from collections.abc import Iterable

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

from hub.database import Database
from hub.delivery import operate
from hub.fhir import dates

_SECOND = 1_000_000


class Metrics:
    """One registry per application, so that two hubs in one process do not mix."""

    def __init__(self, database: Database) -> None:
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        self._registry.register(_Outbox(database))

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
        with self._database.transaction(write=False) as session:
            counts, oldest = operate.counts(session), operate.oldest_queued(session)
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
