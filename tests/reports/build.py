"""Reports of invented people, and the parts of the repository that print them."""

from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from hub.reports import Centre, Contact, Hospital, Month, MonthlyReport, Row

SHEETS = Path(__file__).resolve().parents[2] / "profiles/programmes/kagoshima/print"
ISSUED = datetime(2026, 5, 1, 0, 5, tzinfo=UTC)
APRIL = Month(2026, 4)
NAMES = (
    "試験　花子",
    "髙橋 﨑太郎",
    "𠮷野 葛\U000e0100雄",
    "辻\U000e0100 渚",
    "渡邉 齋",
)
CENTRE = Centre(
    "aira",
    "姶良保健所",
    frozenset({"aira"}),
    Contact("健康企画課", "見本 一子", "000-0000-0000", "hokenjo@example.jp"),
)
HOSPITAL = Hospital("4619999917", "みなと見本病院", "emergency-hospital", "救急科")


def a_row(place: int = 0, **over: Any) -> Row:
    made = {
        "name": NAMES[place % len(NAMES)],
        "received_on": date(2026, 4, 3 + place % 20),
        "birth_date": date(1985, 5, 12),
        "sex": ("female", "male", "unknown")[place % 3],
        "background": "健康問題（精神疾患）、勤務問題",
        "support": "4月4日 連絡中\n4月12日 支援中（面接済）",
        "plan": "主治医と連携し、月1回の訪問を続ける。",
        "correlation": f"case-{place}",
        "patient": f"p{place}",
    }
    return Row(**{**made, **over})


def a_report(rows: int | tuple[Row, ...] = 3, **over: Any) -> MonthlyReport:
    if isinstance(rows, int):
        rows = tuple(a_row(place) for place in range(rows))
    made = {
        "centre": CENTRE,
        "hospital": HOSPITAL,
        "month": APRIL,
        "rows": rows,
        "issued_at": ISSUED,
    }
    return MonthlyReport(**{**made, **over})
