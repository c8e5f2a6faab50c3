"""Who asks: the one value that every layer below the routes is handed."""

from dataclasses import dataclass
from typing import Literal

Letter = Literal["c", "r", "u", "d", "s"]

# What `*` never includes: the log, and who may use the hub at all.
NAMED_ONLY = frozenset({"AuditEvent", "SmartClient", "SmartPerson"})


@dataclass(frozen=True, slots=True)
class Scope:
    """One SMART scope: `letters` of `cruds` on `resource_type` (`*` = any)."""

    context: Literal["system", "user"]
    resource_type: str
    letters: frozenset[str]


@dataclass(frozen=True, slots=True)
class Actor:
    """A client acting for one Organization, and maybe for a person of it.

    `client_id` names the OAuth client; `organisation` is the id part of its
    Organization (`Organization/<id>`); `roles` are presets given at
    registration: source, recipient, directory, privacy, admin, hub. `person` is the
    Practitioner or PractitionerRole (`PractitionerRole/<id>`) who logged in, "" for a
    system: it is told in the log and never widens what the organisation may see.
    `sees_cases` is False while the hub cannot know which consents still stand: no
    grant counts then.
    """

    client_id: str
    organisation: str
    scopes: frozenset[Scope] = frozenset()
    roles: frozenset[str] = frozenset()
    request_id: str = ""
    correlation_id: str = ""
    person: str = ""
    sees_cases: bool = True

    @property
    def reference(self) -> str:
        return f"Organization/{self.organisation}"

    @property
    def is_hub(self) -> bool:
        return "hub" in self.roles

    def may(self, letter: Letter, resource_type: str) -> bool:
        """True when some scope allows this letter on this type (SMART 2.2).

        `*` never includes what is in NAMED_ONLY.
        """
        is_named_only = resource_type in NAMED_ONLY
        return any(
            letter in scope.letters
            and (
                scope.resource_type == resource_type
                or (scope.resource_type == "*" and not is_named_only)
            )
            for scope in self.scopes
        )
