"""Which subscriptions a transaction concerns: asked once, last before its commit.

Judged is the outcome: what a Task was before the transaction and is after it, and who
may see it with the grants that were opened and closed meanwhile.
"""

from datetime import datetime

from hub.actor import Actor
from hub.database import Session, at_end
from hub.disclosure.grants import visible_to
from hub.fhir.json import Resource
from hub.store import resources as store
from hub.store.visibility import hub_sees_all
from hub.subscriptions import events, registry
from hub.subscriptions.filters import holds

# Task id -> the version this transaction made first, and when.
_Changed = dict[str, tuple[int, datetime]]


def notice(session: Session, task_id: str, version: int, at: datetime) -> None:
    """A Task was created (version 1) or changed: matched at the end."""
    at_end(session, match).setdefault(task_id, (version, at))


def match(session: Session, changed: _Changed) -> None:
    """Make the events of all that was noticed."""
    at = max(moment for _, moment in changed.values())
    subscribed = registry.live(session, at)
    if not subscribed:
        return
    told = [
        (task, version == 1)
        for id, (version, _) in changed.items()
        if (task := _told(session, id, version)) is not None
    ]
    seen = _Seen(session, at)
    for one in subscribed:
        fitting = [
            (f"Task/{task['id']}", is_new)
            for task, is_new in told
            if holds(one.filters, task) and seen(one.organisation, task["id"])
        ]
        if fitting:
            new = [focus for focus, is_new in fitting if is_new]
            events.happen(session, one, [focus for focus, _ in fitting], at, new)


class _Seen:
    """Whether an organisation may see a Task now; asked of the grants once each."""

    def __init__(self, session: Session, at: datetime) -> None:
        self._session = session
        self._at = at
        self._known: dict[tuple[str, str], bool] = {}

    def __call__(self, organisation: str, task_id: str) -> bool:
        key = (organisation, task_id)
        if key not in self._known:
            visible = visible_to(Actor("", organisation), self._at)
            found = store.read(self._session, "Task", task_id, visible)
            self._known[key] = found is not None
        return self._known[key]


def _told(session: Session, id: str, version: int) -> Resource | None:
    """The Task as it now is, if its change is an event of the topic."""
    stored = store.read(session, "Task", id, hub_sees_all)
    if stored is None or stored.deleted:
        return None
    after = stored.resource()
    if version == 1:
        return after
    former = store.vread(session, "Task", id, version - 1, hub_sees_all)
    if former is not None and not former.deleted:
        before = former.resource()
        if _state(before) == _state(after):
            return None
    return after


def _state(task: Resource) -> tuple[object, frozenset[tuple[object, object]]]:
    codings = (task.get("businessStatus") or {}).get("coding", ())
    return task["status"], frozenset((c.get("system"), c.get("code")) for c in codings)
