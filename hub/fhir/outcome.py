"""What can be wrong, and how it is said: Issue, FhirError, OperationOutcome.

The catalogue `issues/*.toml` beside this file is the one table from a stable id to
its FHIR issue code, its HTTP status and its sentences. Ids are never reused.
"""

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Literal

from hub.fhir.canonical import ISSUE_IDS, TRANSLATION

Severity = Literal["fatal", "error", "warning", "information"]


@dataclass(frozen=True, slots=True)
class Kind:
    """One row of the catalogue: `status` is HTTP, sentences may hold {fields}.

    `word` is the kind of a validation finding in the words Japanese vendors know:
    構造・多重度・データ型・制約・プロファイル・コード系・識別子.
    """

    id: str
    code: str
    status: int
    ja: str
    en: str
    fix: str = ""
    word: str = ""


@dataclass(frozen=True, slots=True)
class Issue:
    """One finding.

    `expression` is a FHIRPath such as `Bundle.entry[2].resource.status`; `row`
    (1 = first record after the header) and `column` (the header) locate a cell
    of a sheet. `text` is Japanese, `english` its translation; neither repeats
    what was received.
    """

    id: str
    text: str
    english: str
    expression: str | None = None
    severity: Severity = "error"
    row: int | None = None
    column: str | None = None

    @property
    def kind(self) -> Kind:
        return catalogue()[self.id]


class FhirError(Exception):
    """A refusal: one or more issues; the HTTP status is that of the gravest first."""

    def __init__(self, *issues: Issue) -> None:
        super().__init__(", ".join(i.id for i in issues))
        self.issues: tuple[Issue, ...] = issues

    @property
    def status(self) -> int:
        return next(
            (i.kind.status for i in self.issues if i.severity in ("fatal", "error")),
            self.issues[0].kind.status,
        )


@cache
def catalogue() -> dict[str, Kind]:
    """Every issue the hub can report, by id."""
    areas = files("hub.fhir").joinpath("issues").iterdir()
    return {
        id_: Kind(id=id_, **row)
        for area in areas
        if area.name.endswith(".toml")
        for id_, row in tomllib.loads(area.read_text("utf-8")).items()
    }


def issue(
    id_: str,
    expression: str | None = None,
    *,
    severity: Severity = "error",
    row: int | None = None,
    column: str | None = None,
    **fields: object,
) -> Issue:
    """Make an Issue from the catalogue; `fields` fill its sentences.

    Fields are names, numbers and codes of ours (a type, a header, a limit),
    never a value that was received.
    """
    kind = catalogue()[id_]
    word = f"【{kind.word}】" if kind.word else ""
    return Issue(
        id=id_,
        text=word + kind.ja.format(**fields),
        english=kind.en.format(**fields),
        expression=expression,
        severity=severity,
        row=row,
        column=column,
    )


def errors(issues: Sequence[Issue]) -> list[Issue]:
    """Those issues that refuse (fatal or error), in order."""
    return [i for i in issues if i.severity in ("fatal", "error")]


def require_none(issues: Sequence[Issue]) -> None:
    """Raise FhirError with all issues when any of them refuses."""
    if errors(issues):
        raise FhirError(*issues)


def operation_outcome(issues: Sequence[Issue]) -> dict[str, Any]:
    """Render issues as an OperationOutcome: Japanese text, English translation."""
    return {"resourceType": "OperationOutcome", "issue": [_render(i) for i in issues]}


def _render(found: Issue) -> dict[str, Any]:
    rendered: dict[str, Any] = {
        "severity": found.severity,
        "code": found.kind.code,
        "details": {
            "coding": [{"system": ISSUE_IDS, "code": found.id}],
            "text": found.text,
            "_text": {
                "extension": [
                    {
                        "url": TRANSLATION,
                        "extension": [
                            {"url": "lang", "valueCode": "en"},
                            {"url": "content", "valueString": found.english},
                        ],
                    }
                ]
            },
        },
    }
    if found.row is not None:
        column = f", column {found.column}" if found.column else ""
        rendered["diagnostics"] = f"row {found.row}{column}"
    if found.expression:
        rendered["expression"] = [found.expression]
    return rendered


def code_system() -> dict[str, Any]:
    """The ids of the catalogue as a CodeSystem: what `details.coding` is coded in."""
    concepts = [
        {
            "code": kind.id,
            "display": kind.ja,
            "designation": [{"language": "en", "value": kind.en}],
        }
        for _, kind in sorted(catalogue().items())
    ]
    return {
        "resourceType": "CodeSystem",
        "id": "issue",
        "language": "ja",
        "url": ISSUE_IDS,
        "version": "1.0.0",
        "name": "Issue",
        "title": "指摘の番号 / Ids of issues",
        "status": "active",
        "experimental": False,
        "caseSensitive": True,
        "content": "complete",
        "count": len(concepts),
        "concept": concepts,
    }
