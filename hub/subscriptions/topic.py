"""Topics one can subscribe to: SubscriptionTopic files of `profiles/`.

R4 has no SubscriptionTopic; the files have its R5 shape, and the CapabilityStatement
names their canonicals (Backport 1.1, topic discovery).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from hub.fhir.json import Resource


@dataclass(frozen=True, slots=True)
class Topic:
    """`resource` is the type its events are about; `filters` may narrow them."""

    url: str
    version: str
    resource: str
    filters: frozenset[str]

    def is_named(self, canonical: str) -> bool:
        """True for the url with or without this version."""
        return canonical in (self.url, f"{self.url}|{self.version}")


def topics(artefacts: Iterable[Resource]) -> Mapping[str, Topic]:
    """The topics among artefacts, by url."""
    found = [_topic(a) for a in artefacts if a["resourceType"] == "SubscriptionTopic"]
    return {topic.url: topic for topic in found}


def _topic(artefact: Resource) -> Topic:
    return Topic(
        url=artefact["url"],
        version=artefact["version"],
        resource=artefact["resourceTrigger"][0]["resource"].rpartition("/")[2],
        filters=frozenset(one["filterParameter"] for one in artefact["canFilterBy"]),
    )
