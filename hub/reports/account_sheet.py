"""The account of a person's data as sentences and as a printed sheet.

Title and file name say nothing of what the programme is about. Times are Japan's.
"""

from pathlib import Path
from typing import Any

from hub.fhir.dates import JST
from hub.reports.account import Account, Disclosure, Opening
from hub.reports.characters import missing
from hub.reports.fonts import Fonts, fonts
from hub.reports.render import GETA, compiled
from hub.reports.terms import Said, Terms, when
from mappings.japanese import to_era
from mappings.print.words import era_time, printable

SHEET = "account.typ"
TITLE = "情報の提供と閲覧の記録"
WAYS = {
    "sent": Said("送られた", "was sent"),
    "perhaps-sent": Said("送られた（届いたか不明）", "was sent, perhaps not received"),
    "read": Said("閲覧した", "read"),
    "search": Said("検索の結果として表示した", "was shown in a search"),
    "report": Said("報告書を作成した", "made a report of"),
    "account": Said("見られる組織や閲覧の記録を確かめた", "asked who may see or saw"),
}
_LEAD = (
    "あなたに関する情報を、どの組織が、いつ、どのような根拠で見たか、または受け取ったかを、"
    "つなぎハブの監査記録から示すものです。"
)
_NOTES = (
    "同じ日に同じ組織が同じ方法で見たものは、1行にまとめ、回数を示しています。",
    "組織が自ら書いた記録、断られた閲覧は含みません。",
    "情報を受け取った組織が、その組織の中で誰に見せたかは、その組織にお尋ねください。",
)
_NO_GRANT = Said("監査記録の確認（個人情報の担当）", "review by a privacy officer")
_EARLIEST = "はじめ"


def why(terms: Terms, basis: str, clause: str) -> Said:
    """Basis and clause in words; who looked without a grant is a privacy officer."""
    if not basis:
        return _NO_GRANT
    one, other = terms.basis(basis), terms.clause(clause)
    return Said(f"{one.ja}／{other.ja}", f"{one.en}; {other.en}")


def opening_text(terms: Terms, one: Opening) -> Said:
    """One opening as a sentence."""
    name, classes = terms.organisation(one.organisation), terms.classes(one.classes)
    by, until = why(terms, one.basis, one.clause), _until(one)
    return Said(
        f"{name}は「{classes.ja}」を見られます。期限：{until.ja}。根拠：{by.ja}。",
        f"{name} may see: {classes.en}. Until: {until.en}. Basis: {by.en}.",
    )


def disclosure_text(terms: Terms, one: Disclosure) -> Said:
    """One line of what was seen as a sentence."""
    name, classes = terms.organisation(one.organisation), terms.classes(one.classes)
    by, way = why(terms, one.basis, one.clause), WAYS[one.way]
    day = f"{one.day.year}年{one.day.month}月{one.day.day}日"
    return Said(
        f"{day}、{name}：「{classes.ja}」を{way.ja}（{one.count}回）。根拠：{by.ja}。",
        f"{one.day.isoformat()}, {name} {way.en} ({one.count} times): {classes.en}. "
        f"Basis: {by.en}.",
    )


def account_pdf(account: Account, terms: Terms, issuer: str, sheets: Path) -> bytes:
    """The account as a tagged PDF; `sheets` is the folder of `account.typ`.

    A character that no font has is printed as 〓. Raises FhirError as render does.
    """
    kept = fonts()
    value = _with_geta(_sheet(account, terms, issuer), kept)
    moment = int(account.issued_at.timestamp())
    return compiled(sheets / SHEET, value, moment, kept)


def _sheet(account: Account, terms: Terms, issuer: str) -> dict[str, Any]:
    return {
        "title": TITLE,
        "name": printable(account.name or ""),
        "number": account.number,
        "numbers": printable("、".join(account.numbers)),
        "period": _period(account),
        "issuer": issuer,
        "issued_at": era_time(account.issued_at),
        "lead": _LEAD,
        "notes": list(_NOTES),
        "openings": [_opening(terms, one) for one in account.openings],
        "disclosures": [_disclosure(terms, one) for one in account.disclosures],
    }


def _period(account: Account) -> str:
    since = to_era(account.since) if account.since else _EARLIEST
    last = account.until or account.issued_at.astimezone(JST).date()
    return f"{since}から{to_era(last)}まで"


def _until(one: Opening) -> Said:
    return when(one.until) if one.until else Said("なし", "no end")


def _opening(terms: Terms, one: Opening) -> dict[str, str]:
    return {
        "organisation": terms.organisation(one.organisation),
        "classes": terms.classes(one.classes).ja,
        "why": _short(terms, one.basis, one.clause),
        "until": _until(one).ja,
    }


def _disclosure(terms: Terms, one: Disclosure) -> dict[str, str]:
    return {
        "day": f"{one.day.year}年\n{one.day.month}月{one.day.day}日",
        "organisation": terms.organisation(one.organisation),
        "way": WAYS[one.way].ja,
        "classes": terms.classes(one.classes).ja,
        "why": _short(terms, one.basis, one.clause),
        "count": str(one.count),
    }


def _short(terms: Terms, basis: str, clause: str) -> str:
    """As `why`, the articles of law left out: a column is narrow."""
    if not basis:
        return _NO_GRANT.ja
    return f"{terms.basis(basis).ja.partition('（')[0]}／{terms.clause(clause).ja}"


def _with_geta(value: Any, kept: Fonts) -> Any:
    """The same value with 〓 for each character that no font has."""
    if isinstance(value, dict):
        return {key: _with_geta(one, kept) for key, one in value.items()}
    if isinstance(value, list):
        return [_with_geta(one, kept) for one in value]
    lost = dict.fromkeys(missing(value, kept.regular), GETA)
    return value.translate(str.maketrans(lost))
