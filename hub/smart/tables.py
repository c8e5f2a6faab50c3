"""What the authorization server keeps: clients, persons, tokens, codes, logins.

Moments are microseconds since 1970 UTC (`hub.fhir.dates.micros`).
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Table,
    Text,
    UniqueConstraint,
    false,
)

from hub.database import metadata

client = Table(
    "smart_client",
    metadata,
    Column("client_id", Text, primary_key=True),
    Column("organisation", Text, nullable=False, index=True),
    Column("name", Text, nullable=False),
    Column("roles", Text, nullable=False),  # words separated by one space
    Column("scopes", Text, nullable=False),  # SMART v2 words
    Column("default_scope", Text),
    Column("algorithms", Text, nullable=False),  # words: RS384, ES384
    Column("jwks", Text),  # JSON; exactly one of jwks and jwks_url is set
    Column("jwks_url", Text),
    Column("introspects", Boolean, nullable=False),
    Column("enabled", Boolean, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    # Words: client_credentials, authorization_code.
    Column("grant_types", Text, nullable=False, server_default="client_credentials"),
    # URLs separated by one space, which no URL holds.
    Column("redirect_uris", Text, nullable=False, server_default=""),
    Column("high_assurance", Boolean, nullable=False, server_default=false()),
    Column("certificate", Text),  # x5t#S256 of the certificate it must show
)

# Who may log in: somebody of an organisation, known to the OpenID provider.
person = Table(
    "smart_person",
    metadata,
    Column("id", Text, primary_key=True),
    Column("organisation", Text, nullable=False),
    Column("practitioner", Text, nullable=False),  # Practitioner(Role)/<id>
    Column("issuer", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("enabled", Boolean, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    # One may work for two organisations; within one there is one account.
    UniqueConstraint("issuer", "subject", "organisation", name="smart_person_subject"),
)

# A login that has gone to the provider and not come back yet.
login = Table(
    "smart_login",
    metadata,
    # SHA-256 of `state` and of the browser's cookie: who reads the database can
    # neither finish a login nor learn its nonce or PKCE verifier.
    Column("state", Text, primary_key=True),
    Column("browser", Text, nullable=False),
    Column("request", Text, nullable=False),  # JSON: the client's own parameters
    Column("expires_at", BigInteger, nullable=False, index=True),
)

code = Table(
    "smart_code",
    metadata,
    Column("digest", Text, primary_key=True),  # SHA-256 in hexadecimal
    Column("client_id", ForeignKey("smart_client.client_id"), nullable=False),
    Column("person", ForeignKey("smart_person.id"), nullable=False),
    Column("redirect_uri", Text, nullable=False),
    Column("scope", Text, nullable=False),
    Column("challenge", Text, nullable=False),  # S256
    Column("expires_at", BigInteger, nullable=False, index=True),
    Column("used_at", BigInteger),
    Column("revoked_at", BigInteger),  # it was used twice
)

token = Table(
    "smart_token",
    metadata,
    # SHA-256 in hexadecimal: who reads the database cannot use what is in it.
    Column("digest", Text, primary_key=True),
    Column("client_id", ForeignKey("smart_client.client_id"), nullable=False),
    Column("scope", Text, nullable=False),
    Column("issued_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Column("revoked_at", BigInteger),
    # For whom, and by which code, when a person logged in. No foreign keys: SQLite
    # would have to copy the table to add them.
    Column("person", Text),
    Column("code", Text, index=True),
    Index("smart_token_expires_at", "expires_at"),
)

used_assertion = Table(
    "smart_used_assertion",
    metadata,
    # The primary key is what refuses a replay, also one in parallel.
    Column("client_id", ForeignKey("smart_client.client_id"), primary_key=True),
    Column("jti", Text, primary_key=True),
    Column("expires_at", BigInteger, nullable=False),
    Index("smart_used_assertion_expires_at", "expires_at"),
)
