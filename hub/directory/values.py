"""What the directory answers with: frozen values, whether seeded or stored."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Literal

# Organization kinds (code system organization-kind): code → Japanese display.
KINDS: Mapping[str, str] = {
    "emergency-hospital": "救急告示医療機関",
    "cooperating-hospital": "協力医療機関",
    "psychiatric-hospital": "精神科医療機関",
    "other-hospital": "その他の医療機関",
    "health-centre": "保健所",
    "municipality": "市区町村",
    "prefecture": "都道府県",
    "counselling-provider": "SNS等相談事業者",
    "npo": "NPO",
    "hub": "ハブ",
}
HOSPITALS = frozenset(
    {
        "emergency-hospital",
        "cooperating-hospital",
        "psychiatric-hospital",
        "other-hospital",
    }
)

SIGNERS = frozenset({"governor", "mayor"})


@dataclass(frozen=True, slots=True)
class Organisation:
    """An Organization by its code (= Organization.id).

    `municipality` is JIS X 0402 (5 digits); `programmes` are programme ids;
    `wording_version` is the version of the consent wording it is registered with.
    """

    code: str
    name: str
    kind: str
    municipality: str | None = None
    programmes: tuple[str, ...] = ()
    wording_version: str | None = None
    telephone: str | None = None
    active: bool = True

    @property
    def reference(self) -> str:
        return f"Organization/{self.code}"


@dataclass(frozen=True, slots=True)
class AgreementTerms:
    """The whole agreement (LL-01 to LL-03); `area` is 5 digits, or 2 (prefecture)."""

    id: str
    provider: str
    partner: str
    level: Literal["municipality", "prefecture"]
    area: str
    desk: str
    section: str | None = None
    contact: str | None = None
    telephone: str | None = None
    signer_role: str | None = None
    exception: str | None = None
    active: bool = False
    valid_from: date | None = None
    valid_to: date | None = None
    version: str = ""


@dataclass(frozen=True, slots=True)
class Address:
    """Where an organisation's system listens: an Endpoint resource.

    `connection_type` is a code of endpoint-connection-type, `hl7-fhir-rest` for a
    FHIR base URL in `address`; `payload_types` are codes of the resource's
    payloadType.
    """

    id: str
    organisation: str
    address: str
    connection_type: str
    active: bool = True
    payload_types: tuple[str, ...] = ()
