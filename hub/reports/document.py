"""A monthly report as a FHIR document: Composition first, the PDF inside.

The same report gives the same bytes: ids are made from its number. Nothing of a
title or a file name says what the programme is about (portal.md §4). Source: R4
Documents; fields as in the forms' list (CarePlan, ClinicalImpression).
"""

import hashlib
from base64 import b64encode
from html import escape
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from hub.fhir import dates
from hub.fhir.canonical import CASE_ID, ORGANIZATION_ID, ROOT, code_system
from hub.fhir.json import Resource
from hub.reports.monthly import MonthlyReport, Row
from mappings.japanese import to_era
from mappings.print.words import era_month, gender_word, printable

TITLE = "連絡票"
REPORT_ID = f"{ROOT}/sid/report"

_FORM = code_system("form")
_XHTML = "http://www.w3.org/1999/xhtml"
_ACTIVITY = {
    "active": "in-progress",
    "on-hold": "on-hold",
    "completed": "completed",
    "revoked": "stopped",
}
_PARTS = (
    ("background", "背景・要因"),
    ("support", "支援内容"),
    ("plan", "今後の支援計画"),
)


def document(report: MonthlyReport, pdf: bytes) -> Resource:
    """The document Bundle: Composition, two Organizations, the PDF, then per person
    Patient, CarePlan and, where given, ClinicalImpression.

    Sections are the cover (recipient, month, count, PDF) and, when there are rows, the
    table with one section a person. 支援内容 is the CarePlan's activity, 今後の支援計画
    its description, 背景・要因 the ClinicalImpression's summary; the CarePlan names the
    hospital's own referral by its case number.
    """
    made = _Document(report)
    file = made.file(pdf)
    people = [made.person(place, row) for place, row in enumerate(report.rows)]
    resources = [
        made.composition([found[0]["id"] for found in people]),
        made.organization(report.centre.id, report.centre.name),
        made.organization(report.hospital.id, report.hospital.name),
        file,
        *(resource for found in people for resource in found),
    ]
    return {
        "resourceType": "Bundle",
        "id": made.id("bundle"),
        "identifier": {"system": REPORT_ID, "value": report.number},
        "type": "document",
        "timestamp": dates.instant(report.issued_at),
        "entry": [
            {"fullUrl": f"urn:uuid:{resource['id']}", "resource": resource}
            for resource in resources
        ],
    }


class _Document:
    """Makes the resources of one report; ids depend on the report's number alone."""

    def __init__(self, report: MonthlyReport) -> None:
        self.report = report

    def id(self, *path: object) -> str:
        name = "/".join(map(str, (REPORT_ID, self.report.number, *path)))
        return str(uuid5(NAMESPACE_URL, name))

    def to(self, *path: object) -> dict[str, str]:
        return {"reference": f"urn:uuid:{self.id(*path)}"}

    def composition(self, people: list[str]) -> Resource:
        report = self.report
        centre = self.to("Organization", report.centre.id)
        return {
            "resourceType": "Composition",
            "id": self.id("Composition"),
            "language": "ja",
            "text": _narrative([f"{TITLE}　{_month(report)}分"]),
            "identifier": {"system": REPORT_ID, "value": report.number},
            "status": "final",
            "type": _form(report.forms[0], TITLE),
            "date": dates.instant(report.issued_at),
            "author": [{**centre, "display": report.centre.name}],
            "title": TITLE,
            "custodian": centre,
            "event": [
                {
                    "period": {
                        "start": report.month.first.isoformat(),
                        "end": report.month.last.isoformat(),
                    }
                }
            ],
            "section": [self._cover(), self._table()] if people else [self._cover()],
        }

    def _cover(self) -> dict[str, Any]:
        report = self.report
        count = f"対象者数：{report.count}人"
        lines = [
            f"{report.hospital.name}　管理者　様",
            f"情報提供年月：{_month(report)}分",
            count if report.rows else f"{count}（該当なし）",
        ]
        return {
            "title": TITLE,
            "code": _form(report.forms[0], TITLE),
            "text": _narrative(lines),
            "entry": [
                self.to("Organization", report.hospital.id),
                self.to("DocumentReference"),
            ],
        }

    def _table(self) -> dict[str, Any]:
        return {
            "title": "支援状況",
            "code": _form(self.report.forms[1], "支援状況"),
            "section": [self._line(n, row) for n, row in enumerate(self.report.rows)],
        }

    def _line(self, place: int, row: Row) -> dict[str, Any]:
        entries = [self.to("Patient", place), self.to("CarePlan", place)]
        if row.background:
            entries.append(self.to("ClinicalImpression", place))
        return {
            "title": str(place + 1),
            "text": _narrative(_lines(row)),
            "entry": entries,
        }

    def organization(self, id: str, name: str) -> Resource:
        return {
            "resourceType": "Organization",
            "id": self.id("Organization", id),
            "identifier": [{"system": ORGANIZATION_ID, "value": id}],
            "name": name,
        }

    def file(self, pdf: bytes) -> Resource:
        """The PDF; `hash` is its SHA-1, as FHIR defines Attachment.hash."""
        report = self.report
        digest = hashlib.sha1(pdf, usedforsecurity=False).digest()
        return {
            "resourceType": "DocumentReference",
            "id": self.id("DocumentReference"),
            "identifier": [{"system": REPORT_ID, "value": report.number}],
            "status": "current",
            "docStatus": "final",
            "type": _form(report.forms[0], TITLE),
            "date": dates.instant(report.issued_at),
            "author": [self.to("Organization", report.centre.id)],
            "content": [
                {
                    "attachment": {
                        "contentType": "application/pdf",
                        "language": "ja",
                        "data": b64encode(pdf).decode("ascii"),
                        "size": len(pdf),
                        "hash": b64encode(digest).decode("ascii"),
                        "title": report.file_name,
                        "creation": dates.instant(report.issued_at),
                    }
                }
            ],
        }

    def person(self, place: int, row: Row) -> list[Resource]:
        found = [self._patient(place, row), self._plan(place, row)]
        if row.background:
            found.append(self._impression(place, row))
        return found

    def _patient(self, place: int, row: Row) -> Resource:
        patient: Resource = {
            "resourceType": "Patient",
            "id": self.id("Patient", place),
            "name": [{"text": row.name}],
        }
        if row.sex:
            patient["gender"] = row.sex
        if row.birth_date:
            patient["birthDate"] = row.birth_date.isoformat()
        return patient

    def _plan(self, place: int, row: Row) -> Resource:
        plan: Resource = {
            "resourceType": "CarePlan",
            "id": self.id("CarePlan", place),
            "status": row.plan_status,
            "intent": "plan",
            "subject": self.to("Patient", place),
            "author": self.to("Organization", self.report.centre.id),
        }
        if row.correlation:
            plan["identifier"] = [{"system": CASE_ID, "value": row.correlation}]
        if row.plan:
            plan["description"] = row.plan
        if row.received_on:
            plan["period"] = {"start": row.received_on.isoformat()}
        if row.support:
            plan["activity"] = [
                {
                    "detail": {
                        "status": _ACTIVITY[row.plan_status],
                        "description": row.support,
                    }
                }
            ]
        return plan

    def _impression(self, place: int, row: Row) -> Resource:
        return {
            "resourceType": "ClinicalImpression",
            "id": self.id("ClinicalImpression", place),
            "status": "completed",
            "subject": self.to("Patient", place),
            "summary": row.background,
        }


def _form(code: str, text: str) -> dict[str, Any]:
    return {
        "coding": [{"system": _FORM, "code": code, "display": text}],
        "text": text,
    }


def _month(report: MonthlyReport) -> str:
    return era_month(report.month.year, report.month.month)


def _lines(row: Row) -> list[str]:
    birth = to_era(row.birth_date) if row.birth_date else row.birth_text
    lines = [
        f"氏名：{row.name}",
        f"生年月日：{birth}",
        f"性別：{gender_word(row.sex)}",
    ]
    if row.received_on:
        lines.insert(0, f"連絡受理日：{to_era(row.received_on)}")
    for key, label in _PARTS:
        value = getattr(row, key)
        lines.extend([f"{label}：{value}"] if value else [])
    return lines


def _narrative(lines: list[str]) -> dict[str, str]:
    shown = "".join(
        f"<p>{escape(printable(line), quote=False).replace(chr(10), '<br/>')}</p>"
        for line in lines
    )
    return {"status": "generated", "div": f'<div xmlns="{_XHTML}">{shown}</div>'}
