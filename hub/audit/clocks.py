"""When a leak of personal data must be reported: the two clocks of the 個人情報保護法.

Businesses: 法26条1項, 施行規則7条 (what), 8条 (how); a public body: 法68条1項,
施行規則43条, 44条. Health data are 要配慮個人情報: one person is enough (7条1号).
規則8条1項 asks for the first report 速やかに after knowing; the Commission's
guideline (通則編 3-5-3-3) reads that as おおむね3〜5日以内. 規則8条2項 asks for the
second within 30 days of the day of knowing, 60 where it may be 不正の目的 (7条3号).

The day of knowing is counted as the first day, and a last day that is a holiday is not
moved on: who keeps these days keeps the law's, however it is counted.
"""

from dataclasses import dataclass
from datetime import date, datetime, timedelta

from hub.fhir.dates import JST

_FIRST_FROM, _FIRST_TO = 3, 5
_SECOND, _SECOND_MALICIOUS = 30, 60

LAW = (
    "個人情報の保護に関する法律26条1項・同法施行規則8条"
    "（行政機関等は法68条1項・規則44条）"
)


@dataclass(frozen=True, slots=True)
class Clocks:
    """Days in Japan. `second` is the last day that applies: 60 days if `malicious`."""

    known: date
    first_from: date
    first_to: date
    second_usual: date
    second_malicious: date
    malicious: bool

    @property
    def second(self) -> date:
        return self.second_malicious if self.malicious else self.second_usual


def clocks(known_at: datetime, *, malicious: bool) -> Clocks:
    """The last days of both reports, from the aware moment of knowing."""
    known = known_at.astimezone(JST).date()

    def last(days: int) -> date:
        return known + timedelta(days=days - 1)

    return Clocks(
        known,
        last(_FIRST_FROM),
        last(_FIRST_TO),
        last(_SECOND),
        last(_SECOND_MALICIOUS),
        malicious,
    )
