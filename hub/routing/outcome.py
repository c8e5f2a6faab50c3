"""What `decide` answers: a Decision and, step by step, why."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from hub.routing.facts import Desk

Priority = Literal["routine", "urgent", "asap", "stat"]

# What a decision without a desk asks for: code → Japanese, English.
MISSING: Mapping[str, tuple[str, str]] = {
    "municipality": (
        "住所（市区町村）",
        "the address (municipality)",
    ),
    "agreement": (
        "お住まいの自治体または都道府県との有効な協定",
        "an active agreement with the municipality or prefecture of residence",
    ),
    "source-municipality": (
        "送り手の所在市区町村（ディレクトリ）",
        "the sender's municipality (directory)",
    ),
    "source-jurisdiction": (
        "送り手の所在地を管轄する窓口（管轄表）",
        "the desk with jurisdiction over the sender (jurisdiction table)",
    ),
    "residence-jurisdiction": (
        "住所地を管轄する窓口（管轄表）",
        "the desk with jurisdiction over the residence (jurisdiction table)",
    ),
    "human-choice": ("人による窓口の選択", "a person's choice of the desk"),
    "section": ("相談の分野または種類", "the field or topic of the consultation"),
    "district": ("地区", "the district"),
    "next-layer": ("次の段階の窓口", "a desk of the next layer"),
    "source": ("送り手の組織（ディレクトリ）", "the sender (directory)"),
}


@dataclass(frozen=True, slots=True)
class Step:
    """One line of the trace, in Japanese (`ja`) and English (`en`).

    `rule` names the part of the rule that spoke, `row` the table row it read with
    its `version` and `confidence` (A named by a source, B inferred, C unconfirmed).
    """

    rule: str
    ja: str
    en: str
    row: str | None = None
    version: str | None = None
    confidence: str | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    """Where the referral goes first and where it is to be passed on to.

    `initial` receives it; None together with `advise` means that the source only
    advises (KG-12), None with `missing` names what to ask for. `onward` is the desk
    of residence the case is proposed to be passed on to; None when that is the same
    desk or there is none. Its transfer is an act of the desk that holds the case;
    `unconfirmed` names those of "initial" and "onward" that rest on a row of
    confidence C alone, which a person confirms first (D-21). `candidates` are
    municipality codes an undecided address may mean.
    """

    initial: Desk | None = None
    onward: Desk | None = None
    business_status: Literal["address-unknown"] | None = None
    advise: bool = False
    missing: tuple[str, ...] = ()
    candidates: tuple[str, ...] = ()
    unconfirmed: tuple[Literal["initial", "onward"], ...] = ()
    trace: tuple[Step, ...] = ()
    priority: Priority | None = None

    @property
    def missing_words(self) -> tuple[str, str]:
        """What is missing, in Japanese and English."""
        words = [MISSING.get(code, (code, code)) for code in self.missing]
        return "、".join(ja for ja, _ in words), ", ".join(en for _, en in words)

    @property
    def needs_confirmation(self) -> bool:
        """True when the onward desk rests on an unconfirmed row: shown, never moved."""
        return "onward" in self.unconfirmed
