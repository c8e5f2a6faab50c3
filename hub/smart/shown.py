"""Clients and persons as they are shown, in the words of RFC 7591. No secrets in it."""

from typing import Any

from hub.fhir.dates import from_micros, instant
from hub.smart.clients import Client
from hub.smart.persons import Person


def shown(client: Client) -> dict[str, Any]:
    """A client as the API and `tsunagi client list --json` show it."""
    keys = {"jwks": client.jwks} if client.jwks else {"jwks_uri": client.jwks_url}
    return {
        "client_id": client.client_id,
        "client_name": client.name,
        "organization": client.organisation,
        "roles": sorted(client.roles),
        "scope": client.scopes,
        "default_scope": client.default_scope,
        "grant_types": list(client.grant_types),
        "redirect_uris": list(client.redirect_uris),
        "token_endpoint_auth_method": "private_key_jwt",
        **keys,
        "high_assurance": client.high_assurance,
        "certificate": client.certificate,
        "introspects": client.introspects,
        "enabled": client.enabled,
        "created_at": instant(from_micros(client.created_at)),
    }


def shown_person(person: Person) -> dict[str, Any]:
    """A person as the API and `tsunagi person list --json` show it."""
    return {
        "id": person.id,
        "organization": person.organisation,
        "practitioner": person.practitioner,
        "issuer": person.issuer,
        "subject": person.subject,
        "enabled": person.enabled,
        "created_at": instant(from_micros(person.created_at)),
    }
