"""Who saw what of whom in a period, for the reports that the law asks for after a leak.

JSON, CSV and a printed sheet of the same findings. Titles and file names are neutral,
persons stand by number: who must be told is looked up in the hub, not carried about.
"""

from dataclasses import dataclass, replace
from datetime import date, datetime
from pathlib import Path
from typing import Any

from hub.audit import Criteria, table
from hub.audit.clocks import LAW, Clocks, clocks
from hub.audit.seen import Line, Seen, Way, Who
from hub.database import Session
from hub.directory.ask import StoredDirectory
from hub.disclosure import cases
from hub.fhir.dates import from_micros, instant
from hub.reports.fonts import fonts
from hub.reports.render import compiled
from mappings.japanese import to_era
from mappings.print.words import era_time, printable

TITLE = "個人データの閲覧・提供の状況"
SHEET = "access.typ"
WAYS: dict[Way, str] = {
    "read": "閲覧",
    "search": "検索結果に表示",
    "write": "記録・更新",
    "sent": "送付",
    "perhaps-sent": "送付（到達は不明）",
    "other": "一括処理・操作",
    "log": "監査記録の書き出し",
}
_BREAK = 32  # characters of a client id in a row; the hub's own are that long
_HEADER = (
    "patient",
    "case_numbers",
    "organisation",
    "organisation_name",
    "client",
    "way",
    "resource_types",
    "count",
    "first",
    "last",
)


@dataclass(frozen=True, slots=True)
class Report:
    """The findings and what they are of.

    `since` and `until` are aware or None for an open end; `cases` are the case numbers
    of each Patient id, `names` those of organisations by code; `limits` says in words
    to whom or what the question was narrowed.
    """

    seen: Seen
    clocks: Clocks
    since: datetime | None
    until: datetime
    issued_at: datetime
    issuer: str
    limits: str
    cases: dict[str, list[str]]
    names: dict[str, str]


def report(
    session: Session, seen: Seen, asked: Criteria, at: datetime, hub: str
) -> Report:
    """The findings with the numbers of cases and the names of organisations.

    `at` is the moment of gathering; the clocks are those of knowing at that moment
    until `with_clocks` says another.
    """
    directory = StoredDirectory(session)
    known = {one.code: one.name for one in directory.organisations()}
    numbers = cases.correlations_of(session, seen.persons)
    until = at if asked.until is None else min(at, from_micros(asked.until))
    return Report(
        seen=seen,
        clocks=clocks(at, malicious=False),
        since=None if asked.since is None else from_micros(asked.since),
        until=until,
        issued_at=at,
        issuer=known.get(hub, hub),
        limits=_limits(asked, known),
        cases=numbers,
        names=known,
    )


def with_clocks(report: Report, found: Clocks) -> Report:
    """The same findings under other deadlines."""
    return replace(report, clocks=found)


def _limits(asked: Criteria, names: dict[str, str]) -> str:
    """To what the question was narrowed, in words."""
    told = [
        *(f"患者ID {one.partition('/')[2]}" for one in asked.patient),
        *(f"組織 {names.get(one, one)}" for one in asked.organisation),
        *(f"システム {one}" for one in asked.client),
    ]
    return "、".join(told) or "すべての組織・システム・本人"


def to_json(report: Report) -> dict[str, Any]:
    """The findings as plain values; moments are instants, days are dates."""
    return {
        "title": TITLE,
        "issued_at": instant(report.issued_at),
        "since": instant(report.since) if report.since else None,
        "until": instant(report.until),
        "limits": report.limits,
        "persons": len(report.seen.persons),
        "events": report.seen.events,
        "clocks": _clocks_json(report.clocks),
        "accesses": [
            dict(zip(_HEADER, _cells(report, *one), strict=True))
            for one in _lines(report)
        ],
        "refused_attempts": [
            {
                "organisation": who.organisation,
                "organisation_name": _name(report, who),
                "client": who.client,
                "count": line.count,
                "first": _moment(line.first),
                "last": _moment(line.last),
            }
            for who, line in sorted(report.seen.attempts.items())
        ],
    }


def to_csv(report: Report) -> str:
    """One row for each person, organisation, client and way; safe for spreadsheets."""
    rows = [
        table.line([str(cell) for cell in _cells(report, *one)])
        for one in _lines(report)
    ]
    return "".join(["\ufeff", table.line(_HEADER), *rows])


def to_pdf(report: Report, sheets: Path) -> bytes:
    """The sheet `access.typ` of the folder `sheets`; FhirError as of render."""
    moment = int(report.issued_at.timestamp())
    return compiled(sheets / SHEET, _sheet(report), moment, fonts())


def _lines(report: Report) -> list[tuple[str, Who, Way, Line]]:
    return [
        (patient, who, way, line)
        for patient, person in sorted(report.seen.persons.items())
        for (who, way), line in sorted(person.items(), key=lambda one: one[0])
    ]


def _cells(report: Report, patient: str, who: Who, way: Way, line: Line) -> list[Any]:
    return [
        patient,
        " ".join(report.cases.get(patient, ())),
        who.organisation,
        _name(report, who),
        who.client,
        way,
        " ".join(sorted(line.types)),
        line.count,
        _moment(line.first),
        _moment(line.last),
    ]


def _name(report: Report, who: Who) -> str:
    return report.names.get(who.organisation, who.organisation)


def _moment(value: int) -> str:
    return instant(from_micros(value))


def _clocks_json(clocks: Clocks) -> dict[str, Any]:
    return {
        "law": LAW,
        "known": clocks.known.isoformat(),
        "first_report": [clocks.first_from.isoformat(), clocks.first_to.isoformat()],
        "second_report": clocks.second.isoformat(),
        "second_report_usual": clocks.second_usual.isoformat(),
        "second_report_if_malicious": clocks.second_malicious.isoformat(),
        "malicious": clocks.malicious,
    }


def _sheet(report: Report) -> dict[str, Any]:
    """The JSON that the sheet reads: every value is text."""
    return {
        "title": TITLE,
        "issuer": printable(report.issuer),
        "issued_at": era_time(report.issued_at),
        "period": _period(report),
        "limits": printable(report.limits),
        "persons": str(len(report.seen.persons)),
        "events": str(report.seen.events),
        "law": LAW,
        "clocks": _clocks_printed(report.clocks),
        "people": [_person(report, patient) for patient in sorted(report.seen.persons)],
        "attempts": [
            {
                "organisation": printable(_name(report, who)),
                "client": _client(who, "（認証前）"),
                "count": str(line.count),
                "span": _span(line),
            }
            for who, line in sorted(report.seen.attempts.items())
        ],
    }


def _period(report: Report) -> str:
    since = era_time(report.since) if report.since else "記録のはじめ"
    return f"{since} から {era_time(report.until)} まで"


def _clocks_printed(clocks: Clocks) -> list[dict[str, str]]:
    used = "不正の目的のおそれがある場合"
    return [
        {"what": "事態を知った日", "day": to_era(clocks.known), "why": "1日目と数える"},
        {
            "what": "速報",
            "day": f"{_day(clocks.first_from)}〜{_day(clocks.first_to)}",
            "why": "速やかに。おおむね3〜5日以内"
            "（規則8条1項、ガイドライン通則編3-5-3-3）",
        },
        {
            "what": "確報" + ("" if clocks.malicious else "（この期限）"),
            "day": _day(clocks.second_usual),
            "why": "30日以内（規則8条2項）",
        },
        {
            "what": "確報" + ("（この期限）" if clocks.malicious else ""),
            "day": _day(clocks.second_malicious),
            "why": f"{used}、60日以内（規則8条2項、7条3号）",
        },
    ]


def _day(day: date) -> str:
    return f"{to_era(day)}（{'月火水木金土日'[day.weekday()]}）"


def _person(report: Report, patient: str) -> dict[str, Any]:
    lines = sorted(report.seen.persons[patient].items(), key=lambda one: one[0])
    return {
        "numbers": printable("、".join(report.cases.get(patient, ()))) or "―",
        "patient": printable(patient),
        "lines": [
            {
                "organisation": printable(_name(report, who)),
                "client": _client(who, "―"),
                "way": WAYS[way],
                "types": printable("、".join(sorted(line.types))) or "―",
                "count": str(line.count),
                "span": _span(line),
            }
            for (who, way), line in lines
        ],
    }


def _span(line: Line) -> str:
    first, last = (era_time(from_micros(one)) for one in (line.first, line.last))
    return first if first == last else f"{first}〜\n{last}"


def _client(who: Who, none: str) -> str:
    """A client id that may be broken: the operator may have chosen a long one."""
    text = printable(who.client or none)
    parts = (text[at : at + _BREAK] for at in range(0, len(text), _BREAK))
    return "\u200b".join(parts)
