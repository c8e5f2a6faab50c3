"""What the authorization server says of itself: SMART 2.2 discovery and RFC 8414.

Every URL comes from settings. Only what works is listed: authorization_code where
persons can log in, and no issuer or jwks_uri in the SMART document, for the hub gives
no id_token.
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
            *(("launch-standalone", "permission-user") if settings.has_login else ()),
        ],
    }


def authorization_server(settings: Settings) -> dict[str, Any]:
    """The body of `.well-known/oauth-authorization-server` (RFC 8414 §2)."""
    return {"issuer": settings.base_url.rstrip("/"), **_shared(settings)}


def _shared(settings: Settings) -> dict[str, Any]:
    oauth = settings.base_url.rstrip("/") + "/oauth"
    algorithms = sorted(ALGORITHMS)
    return {
        **(_login(oauth) if settings.has_login else _no_login()),
        "token_endpoint": settings.token_url,
        # SMART 2.2: a must in every document, `S256` and nothing else.
        "code_challenge_methods_supported": ["S256"],
        "token_endpoint_auth_methods_supported": [METHOD],
        "token_endpoint_auth_signing_alg_values_supported": algorithms,
        "introspection_endpoint": f"{oauth}/introspect",
        "introspection_endpoint_auth_methods_supported": [METHOD],
        "introspection_endpoint_auth_signing_alg_values_supported": algorithms,
        "revocation_endpoint": f"{oauth}/revoke",
        "revocation_endpoint_auth_methods_supported": [METHOD],
        "revocation_endpoint_auth_signing_alg_values_supported": algorithms,
        **_bound(settings),
    }


def _bound(settings: Settings) -> dict[str, Any]:
    """RFC 8705 §3.3: only behind a proxy does the hub learn of certificates."""
    if settings.proxy_secret is None:
        return {}
    return {"tls_client_certificate_bound_access_tokens": True}


def _login(oauth: str) -> dict[str, Any]:
    return {
        "authorization_endpoint": f"{oauth}/authorize",
        "authorization_response_iss_parameter_supported": True,
        "grant_types_supported": ["authorization_code", "client_credentials"],
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "scopes_supported": scopes_supported("system", "user"),
    }


def _no_login() -> dict[str, Any]:
    return {
        "grant_types_supported": ["client_credentials"],
        "response_types_supported": [],
        "scopes_supported": scopes_supported(),
    }
