"""What the referral machine knows besides the database: data loaded once."""

from collections.abc import Mapping
from dataclasses import dataclass

from hub.actor import Actor
from hub.fhir.json import Resource
from hub.packages import Packages
from hub.programmes.programme import Programme
from hub.programmes.published import plan_definition


@dataclass(frozen=True, slots=True)
class Knowledge:
    """Profiles, programmes, the hub's own Organization code and FHIR base URL."""

    packages: Packages
    programmes: Mapping[str, Programme]
    organisation: str
    base: str

    def published(self) -> list[Resource]:
        """All that the hub itself publishes, with ids: artefacts and programmes."""
        plans = [
            plan_definition(programme, self.packages)
            for _, programme in sorted(self.programmes.items())
        ]
        return [*self.packages.published(), *plans]

    def hub_actor(self, cause: Actor) -> Actor:
        """The hub acting because of a client's request: same request, own name."""
        return Actor(
            client_id=self.organisation,
            organisation=self.organisation,
            roles=frozenset({"hub"}),
            request_id=cause.request_id,
            correlation_id=cause.correlation_id,
        )
