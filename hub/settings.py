"""The hub's settings: read once from the environment, frozen, passed on."""

from pathlib import Path
from typing import Any, Self

from pydantic import Field, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

NOWHERE = "none"  # as `delivery_allowed_hosts`: nobody is delivered to
_TOKENS = 5.0  # a second: a token lives five minutes
_DATABASES = ("sqlite:///", "postgresql://", "postgres://", "postgresql+psycopg://")


class Settings(BaseSettings):
    """Every setting has the prefix TSUNAGI_; the README lists them."""

    model_config = SettingsConfigDict(env_prefix="TSUNAGI_", frozen=True)

    database_url: str = "sqlite:///var/tsunagi.db"
    base_url: str = ""
    dev: bool = False
    organization: str = "tsunagi-hub"
    profiles: Path = Path(__file__).resolve().parent.parent / "profiles"
    programmes: Path | None = None
    state: Path = Path("var")
    signing_key: Path | None = None
    drafts: bool | None = None
    worker: bool = True
    max_body_bytes: int = Field(default=5_000_000, gt=0)
    max_bundle_entries: int = Field(default=500, gt=0)
    max_depth: int = Field(default=64, gt=0)
    page_size: int = Field(default=50, gt=0)
    max_page_size: int = Field(default=1000, gt=0)
    request_seconds: float = Field(default=30.0, gt=0)
    body_seconds: float = Field(default=60.0, gt=0)
    rate_per_second: float = Field(default=0.0, ge=0)
    rate_burst: int = Field(default=200, gt=0)
    token_seconds: int = Field(default=300, gt=0, le=300)
    oidc_issuer: str = ""
    oidc_client_id: str = ""
    oidc_key: Path | None = None
    delivery_timeout: float = Field(default=20.0, gt=0)
    delivery_allowed_hosts: str = ""
    checkpoints: Path | None = None
    audit_key: Path | None = None
    content_keys: Path | None = None
    proxy_secret: Path | None = None
    token_rate_per_second: float | None = Field(default=None, ge=0)
    token_burst: int = Field(default=100, gt=0)

    @model_validator(mode="before")
    @classmethod
    def _dev_base(cls, values: dict[str, Any]) -> dict[str, Any]:
        if values.get("dev") and not values.get("base_url"):
            values["base_url"] = "http://127.0.0.1:8080"
        return values

    @field_validator("database_url")
    @classmethod
    def _database_is_known(cls, value: str) -> str:
        if not value.startswith(_DATABASES):
            raise ValueError(
                "sqlite:///ファイル か postgresql://… の形で指定してください。"
                " / use sqlite:///FILE or postgresql://…"
            )
        return value

    @model_validator(mode="after")
    def _base_is_set(self) -> Self:
        if not self.base_url:
            raise ValueError(
                "TSUNAGI_BASE_URL が必要です（例: https://hub.example.jp）。"
                "手元で試すときは --dev を付けてください。"
                " / TSUNAGI_BASE_URL is required; use --dev on your own machine."
            )
        return self

    @property
    def keeps_drafts(self) -> bool:
        """Drafts outside a case: only with `--dev` unless switched on."""
        return self.dev if self.drafts is None else self.drafts

    @property
    def token_rate(self) -> float:
        """Tokens, or refusals, a second: unlimited with `--dev` unless set."""
        if self.token_rate_per_second is not None:
            return self.token_rate_per_second
        return 0.0 if self.dev else _TOKENS

    @property
    def fhir_base(self) -> str:
        return f"{self.base_url.rstrip('/')}/fhir/R4"

    @property
    def has_login(self) -> bool:
        """Persons can log in: an OpenID provider is named."""
        return bool(self.oidc_issuer)

    @property
    def callback_url(self) -> str:
        """Where the OpenID provider sends the browser back."""
        return f"{self.base_url.rstrip('/')}/oauth/callback"

    @property
    def token_url(self) -> str:
        return f"{self.base_url.rstrip('/')}/oauth/token"
