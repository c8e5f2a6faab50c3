"""支援内容: what a centre did, from the versions of its Task. Pure."""

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import date

from hub.fhir.canonical import BUSINESS_STATUS, TASK_INPUT
from hub.fhir.json import Resource
from hub.reports.when import day

# Outputs that are told to the hospital; the others are between desks and the hub.
_TOLD = ("work-done", "contact-log", "outcome")
_DATES = ("contact-date", "appointment-date", "visit-date")
# Waiting, opening and questions are not support.
_NOT_SUPPORT = ("requested", "received")
_PASSED_ON = "transferred"
_PLAN = re.compile(
    r"\s*(?:今後の支援計画|今後の計画|支援計画)\s*[:：]\s*(.+)", re.DOTALL
)


def support_lines(versions: Sequence[Resource], words: Mapping[str, str]) -> list[str]:
    """One line a step, `4月12日 面接済`, then notes and results, each once.

    `versions` are those of one Task, oldest first; `words` the programme's lifecycle
    words. A step's day is the date recorded with it, else when it was made. Notes of
    the source, questions to it and plans (`plan_in`) are left out.
    """
    steps = _steps(versions, words)
    return list(dict.fromkeys([*steps, *_notes(versions), *_results(versions[-1])]))


def plan_in(text: str) -> str:
    """The plan in a note that begins `今後の支援計画：`; empty when it is not one."""
    match = _PLAN.fullmatch(text)
    return match[1].strip() if match else ""


def word_of(task: Resource, words: Mapping[str, str]) -> str:
    """The word of a Task's state; the code when the programme has none."""
    status, business = task["status"], business_status(task)
    keys = (f"{status}/{business}", f"*/{business}", status)
    return next((words[key] for key in keys if key in words), business or status)


def business_status(task: Resource) -> str:
    """The code of businessStatus without `overdue-…`; empty when there is none."""
    for coding in (task.get("businessStatus") or {}).get("coding", ()):
        code = str(coding.get("code", ""))
        ours = coding.get("system", BUSINESS_STATUS) == BUSINESS_STATUS
        if code and ours and not code.startswith("overdue-"):
            return code
    return ""


def _steps(versions: Sequence[Resource], words: Mapping[str, str]) -> Iterator[str]:
    before = ""
    for number, version in enumerate(versions):
        state = f"{version['status']}/{business_status(version)}"
        if state != before and not _is_passed_over(versions, number):
            earlier = versions[number - 1] if number else {}
            on = _recorded(version, earlier) or day(version.get("lastModified"))
            shown = f"{on.month}月{on.day}日 " if on else ""
            yield f"{shown}{word_of(version, words)}{_onward(version)}"
        before = state


def _is_passed_over(versions: Sequence[Resource], number: int) -> bool:
    """Acceptance has a column of its own; as a step it only says that none followed."""
    status = versions[number]["status"]
    waits = status == "accepted" and versions[-1]["status"] != "accepted"
    return waits or status in _NOT_SUPPORT


def _onward(version: Resource) -> str:
    """To whom a case was passed on: its name in brackets, empty for other steps."""
    if business_status(version) != _PASSED_ON:
        return ""
    desks = [
        (output.get("valueReference") or {}).get("display", "")
        for output in version.get("output", ())
        if output_code(output) == "proposed-desk"
    ]
    return f"（{desks[-1]}）" if desks and desks[-1] else ""


def _recorded(version: Resource, before: Resource) -> date | None:
    """The date among the outputs that came with this version."""
    known = before.get("output", ())
    for output in version.get("output", ()):
        if output not in known and output_code(output) in _DATES:
            return day(output.get("valueDate") or output.get("valueDateTime"))
    return None


def _notes(versions: Sequence[Resource]) -> Iterator[str]:
    requester = (versions[-1].get("requester") or {}).get("reference")
    seen: list[Resource] = []
    for version in versions:
        for note in version.get("note", ()):
            if note in seen:
                continue
            seen.append(note)
            author = (note.get("authorReference") or {}).get("reference")
            asked = business_status(version) == "awaiting-information"
            text = str(note.get("text", "")).strip()
            if text and not asked and author != requester and not plan_in(text):
                yield text


def _results(task: Resource) -> Iterator[str]:
    for output in task.get("output", ()):
        if output_code(output) in _TOLD:
            concept = output.get("valueCodeableConcept") or {}
            shown = [concept.get("text"), output.get("valueString")]
            shown += [coding.get("display") for coding in concept.get("coding", ())]
            text = next((s for s in shown if s), "")
            if text:
                yield str(text).strip()


def output_code(output: Resource) -> str:
    """The hub's own code of a Task.output's type; empty when it has none."""
    codings = (output.get("type") or {}).get("coding", ())
    return next(
        (str(c.get("code", "")) for c in codings if c.get("system") == TASK_INPUT), ""
    )
