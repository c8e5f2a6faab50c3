"""What the authorization server says of itself: SMART 2.2 discovery and RFC 8414.

Every URL comes from settings. Only what works is listed: client_credentials, and no
issuer or jwks_uri in the SMART document, for OpenID Connect is not offered.
"""

from typing import Any

from hub.settings import Settings
from hub.smart.assertion import METHOD
from hub.smart.jwks import ALGORITHMS
from hub.smart.roles import scopes_supported


def smart_configuration(settings: Settings) -> dict[str, Any]:
    """The body of `.well-known/smart-configuration`."""
    return {
        **_shared(settings),
        "capabilities": [
            "client-confidential-asymmetric",
            "permission-v1",
            "permission-v2",
        ],
    }


def authorization_server(settings: Settings) -> dict[str, Any]:
    """The body of `.well-known/oauth-authorization-server` (RFC 8414 §2)."""
    return {"issuer": settings.base_url.rstrip("/"), **_shared(settings)}


def _shared(settings: Settings) -> dict[str, Any]:
    oauth = settings.base_url.rstrip("/") + "/oauth"
    algorithms = sorted(ALGORITHMS)
    return {
        "token_endpoint": settings.token_url,
        "token_endpoint_auth_methods_supported": [METHOD],
        "token_endpoint_auth_signing_alg_values_supported": algorithms,
        "grant_types_supported": ["client_credentials"],
        "response_types_supported": [],
        "scopes_supported": scopes_supported(),
        "introspection_endpoint": f"{oauth}/introspect",
        "introspection_endpoint_auth_methods_supported": [METHOD],
        "introspection_endpoint_auth_signing_alg_values_supported": algorithms,
        "revocation_endpoint": f"{oauth}/revoke",
        "revocation_endpoint_auth_methods_supported": [METHOD],
        "revocation_endpoint_auth_signing_alg_values_supported": algorithms,
    }
