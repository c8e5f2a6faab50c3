"""`section-by-topic`: the queue of a section, never a person (NG-08, YN-10)."""

from hub.routing.facts import Facts
from hub.routing.outcome import Decision, Step
from hub.routing.rule import Rule, Section


def section_by_topic(rule: Rule, facts: Facts) -> Decision:
    trace: list[Step] = []
    for number, section in enumerate(rule.sections, start=1):
        desk = facts.desks.get(section.desk)
        fits = _fits(section, facts)
        used = fits and desk is not None
        trace.append(
            Step(
                "section-by-topic",
                f"振り分け表{number}行目：" + ("該当" if used else "該当せず"),
                f"section line {number}: " + ("fits" if used else "does not fit"),
                row=f"{section.desk}#{number}",
                version=rule.version or None,
            )
        )
        if fits and desk is not None:
            return Decision(initial=desk, trace=tuple(trace))
    trace.append(
        Step(
            "section-by-topic",
            "該当する係がありません。人が選びます",
            "no section fits: a person chooses",
            version=rule.version or None,
        )
    )
    return Decision(missing=("section",), trace=tuple(trace))


def _fits(section: Section, facts: Facts) -> bool:
    return (
        (section.topic is None or section.topic in facts.topics)
        and (section.field is None or section.field == facts.field)
        and (section.child_focus is None or section.child_focus is facts.child_focus)
    )
