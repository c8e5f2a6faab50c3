"""Two hubs with the same data of one organisation; the fuller one holds others' too.

What is hidden is written by real clients over HTTP, before, between and after what is
shared, and goes on changing while the questions are asked.
"""

import random
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import httpx
from sqlalchemy import select

from hub.disclosure.classes import PUBLIC_TYPES
from hub.restful.served import SERVED
from hub.smart import clients
from hub.store.tables import resource
from tests.oracles.fixed import Fixed, fixed
from tests.referrals.build import FAR, NEAR, PHONE_CALL, business, reason
from tests.restful.build import a_referral
from tests.restful.least import least
from tests.running import Caller, RunningHub, running_hub
from tests.smart.build import ASSERTION_TYPE, assertion, ec_key, public
from tests.subscriptions.build import a_subscription

HOSPITAL, OTHER, THIRD = "4619999917", "4619999925", "4619999933"
CENTRE, NEXT = "kagoshima-shi", "aira"
SID = "https://hospital.example/sid"
NAMES = ("高崎 花子", "髙﨑 太郎", "架空 一郎", "見本 たかこ", "O'Neil 100%_x\\")
RECORDS = (
    *("Encounter", "Condition", "Observation", "RiskAssessment", "CarePlan"),
    *("CareTeam", "List", "Binary", "DocumentReference", "ClinicalImpression"),
)
ALL = " ".join(f"system/{name}.cruds" for name in SERVED)
BASE = "http://127.0.0.1:9"


@dataclass
class World:
    """One hub; `ids` are the references written by each name of an act."""

    hub: RunningHub
    callers: dict[str, Caller] = field(default_factory=dict)
    ids: dict[str, dict[str, str]] = field(default_factory=dict)

    def caller(self, organisation: str, role: str, scopes: str | None = ALL) -> Caller:
        key = f"{organisation}-{role}-{'preset' if scopes is None else 'all'}"
        if key not in self.callers:
            self.callers[key] = _enrolled(self.hub, key, organisation, role, scopes)
        return self.callers[key]

    def stored(self) -> set[tuple[str, str]]:
        """(type, id) of all that is not public, asked of the database itself."""
        with self.hub.database.transaction(write=False) as session:
            rows = session.execute(
                select(resource.c.type, resource.c.id).where(
                    resource.c.type.not_in(PUBLIC_TYPES)
                )
            )
            return {(row.type, row.id) for row in rows}

    def submit(
        self, name: str, source: str, address: str, over: dict[str, Any]
    ) -> None:
        """Send a referral and remember its parts under `name`."""
        bundle = a_referral()
        person = bundle["entry"][0]["resource"]
        person |= over
        person["address"] = [{"use": "home", "text": address}]
        bundle["entry"][-1]["resource"]["input"] = [PHONE_CALL]
        answer = self.caller(source, "source").post("", bundle)
        assert answer.status_code == 200, answer.text
        self.ids[name] = {
            location.split("/")[0]: "/".join(location.split("/")[:2])
            for one in answer.json()["entry"]
            if (location := one["response"].get("location"))
        }

    def child(self, name: str, desk: str) -> dict[str, Any]:
        """The desk's Task of a referral, as the desk reads it."""
        parent = self.ids[name]["Task"]
        tasks = self.caller(desk, "recipient").search(f"/Task?part-of={parent}")
        return tasks[-1]


@dataclass
class Twins:
    """`plain` holds what is shared alone; `asker` names who asks."""

    plain: World
    fuller: World
    clock: Fixed
    random: random.Random
    asker: str
    steps: int = 0
    alike: bool = False  # nothing is hidden: both are told everything
    hidden: list[tuple[str, str]] = field(default_factory=list)
    shared: list[tuple[str, str]] = field(default_factory=list)

    def both(self, act: Callable[[World], object]) -> None:
        """One act in both worlds, with the same ids at the same moment."""
        self.steps += 1
        self.clock.tick()
        for world in (self.plain, self.fuller):
            self.clock.step(f"shared-{self.steps}")
            act(world)

    def aside(self, act: Callable[[World], object]) -> None:
        """One act that only the fuller world knows of."""
        self.steps += 1
        for world in (self.plain, self.fuller) if self.alike else (self.fuller,):
            self.clock.step(f"hidden-{self.steps}")
            act(world)

    def ask(
        self, method: str, path: str, headers: dict[str, str], body: bytes
    ) -> tuple[httpx.Response, httpx.Response]:
        """The same request to both, and both answers."""
        self.steps += 1
        self.clock.tick()
        got = []
        for world in (self.plain, self.fuller):
            self.clock.step(f"asked-{self.steps}")
            asked = {"X-Request-Id": f"r{self.steps}", **headers}
            caller = asking(world, self.asker)
            got.append(caller.request(method, path, headers=asked, content=body))
        return got[0], got[1]

    def look(self) -> None:
        """Learn from the databases what is shared and what is hidden."""
        shared = self.plain.stored()
        self.shared = sorted(shared)
        self.hidden = sorted(self.fuller.stored() - shared)


ASKERS = ("source", "desk", "preset source", "preset desk", "former")


def asking(world: World, asker: str) -> Caller:
    """The client that asks."""
    scopes = None if asker.startswith("preset") else ALL
    if asker.endswith("source"):
        return world.caller(HOSPITAL, "source", scopes)
    return world.caller(CENTRE, "recipient", scopes)


@contextmanager
def twins(
    urls: Sequence[str], folder: Path, seed: int, *, alike: bool = False
) -> Iterator[Twins]:
    """Two hubs over migrated, empty databases, filled by the seed.

    With `alike` both know everything, and only the databases differ.
    """
    with ExitStack() as stack:
        clock = stack.enter_context(fixed())
        worlds = []
        for number, url in enumerate(urls):
            clock.step("start")
            running = running_hub(
                url,
                folder / f"state{number}",
                base_url=BASE,
                drafts=True,
                signing_key=folder / "signing-key.json",
            )
            worlds.append(World(stack.enter_context(running)))
        asker, plain, fuller = ASKERS[seed % len(ASKERS)], *worlds
        made = Twins(plain, fuller, clock, random.Random(seed), asker, alike=alike)
        for world in worlds:
            # All who act in both worlds, before one of them is met in one world alone.
            clock.step("callers")
            asking(world, made.asker)
            world.caller(HOSPITAL, "source")
            world.caller(CENTRE, "recipient")
            if alike:
                for source in (OTHER, THIRD):
                    world.caller(source, "source")
                world.caller(NEXT, "recipient")
        fill(made)
        yield made


def fill(made: Twins) -> None:
    """What both know, and between it what only the fuller world knows."""
    for number in range(3):
        disturb(made, 2)
        over = a_person(made.random, f"own{number}")
        address = FAR if number == 2 else NEAR
        made.both(partial(_sent, name=f"own{number}", address=address, over=over))
    made.both(_accepted)
    made.both(lambda w: _write(w, CENTRE, "recipient", "own0", "Communication"))
    if made.asker.endswith("source"):
        made.both(lambda w: _draft(w, HOSPITAL, "own0"))
        # In its own case what the centre writes down is closed to the sender.
        for kind in made.random.sample(RECORDS, 3):
            made.aside(partial(_recorded, name="own0", kind=kind))
    else:
        for kind in ("Observation", "Encounter", "CarePlan"):
            made.both(partial(_recorded, name="own0", kind=kind))
    if made.asker == "former":
        made.both(_passed_on)
        for kind in made.random.sample(RECORDS, 3):
            made.aside(partial(_passed_record, kind=kind))
    disturb(made, 6)
    made.look()


def disturb(made: Twins, times: int) -> None:
    """Others do something that the asker must not notice."""
    for _ in range(times):
        made.aside(made.random.choice(_disturbances(made)))


def a_person(random: random.Random, value: str) -> dict[str, Any]:
    """Elements of a Patient; names and days meet those of others."""
    name = random.choice(NAMES)
    return {
        "name": [{"text": name, "family": name}],
        "identifier": [{"system": SID, "value": value}],
        "birthDate": random.choice(("1990-05-01", "1990-05-02", "2001-12-31")),
        "gender": random.choice(("female", "male", "unknown")),
    }


def _disturbances(made: Twins) -> list[Callable[[World], None]]:
    pick, number = made.random.choice, made.steps
    source, person = pick((OTHER, THIRD)), a_person(made.random, f"theirs{made.steps}")
    others = [name for name in made.fuller.ids if name.startswith("theirs")]
    name, kind = f"theirs{number}", pick(RECORDS)
    found: list[Callable[[World], None]] = [
        lambda w: _sent_by_another(w, name, OTHER, person),
        lambda w: _draft(w, source, name, person),
        lambda w: _subscribed(w, source),
    ]
    if others:
        other = pick(others)
        found += [
            lambda w: _write(w, NEXT, "recipient", other, kind),
            lambda w: _renamed(w, other, person),
            lambda w: _taken(w, other),
            lambda w: _withdrawn(w, other),
        ]
    if made.asker.endswith("source") and "own0" in made.fuller.ids:
        # In the asker's own case: the centre's record is closed to it.
        found += 2 * [lambda w: _write(w, CENTRE, "recipient", "own0", kind)]
    if made.asker.endswith("desk") and "own0" in made.fuller.ids:
        found.append(lambda w: _draft(w, HOSPITAL, "own0", person))
    if made.asker == "former" and "passed" in made.fuller.ids:
        found += 2 * [lambda w: _write(w, NEXT, "recipient", "own2", kind)]
    return found


def _sent(w: World, name: str, address: str, over: dict[str, Any]) -> None:
    w.submit(name, HOSPITAL, address, over)


def _recorded(w: World, name: str, kind: str) -> None:
    _write(w, CENTRE, "recipient", name, kind)


def _passed_record(w: World, kind: str) -> None:
    _write(w, NEXT, "recipient", "own2", kind)


def _sent_by_another(w: World, name: str, source: str, person: dict[str, Any]) -> None:
    w.submit(name, source, FAR, person)
    child = w.child(name, NEXT)
    assert child["owner"]["reference"] == f"HealthcareService/{NEXT}"


def _write(w: World, organisation: str, role: str, name: str, kind: str) -> None:
    patient = {"reference": w.ids[name]["Patient"]}
    about: dict[str, Any] = {"subject": patient}
    if kind == "Binary":
        about = {"securityContext": patient}
    elif kind == "Observation":
        about["valueQuantity"] = {"value": 5.4, "system": SID, "code": "c1"}
    answer = w.caller(organisation, role).post(f"/{kind}", least(kind, **about))
    # After a withdrawal nobody writes any more.
    assert answer.status_code in (201, 404, 422), answer.text


def _draft(
    w: World, organisation: str, name: str, person: dict[str, Any] | None = None
) -> None:
    caller = w.caller(organisation, "source")
    made = caller.post("/Patient", least("Patient", **(person or {"gender": "male"})))
    assert made.status_code == 201, made.text
    about = {"subject": {"reference": f"Patient/{made.json()['id']}"}}
    answer = caller.post("/Observation", least("Observation", **about))
    assert answer.status_code == 201, answer.text
    path = f"/Observation/{answer.json()['id']}"
    if len(name) % 2:
        assert caller.request("DELETE", path).status_code == 204


def _subscribed(w: World, organisation: str) -> None:
    body = a_subscription("http://127.0.0.1:9/hook")
    answer = w.caller(organisation, "source").post("/Subscription", body)
    assert answer.status_code == 201, answer.text


def _renamed(w: World, name: str, person: dict[str, Any]) -> None:
    path = f"/{w.ids[name]['Patient']}"
    caller = w.caller(OTHER, "source")
    seen = caller.get(path)
    if seen.status_code == 200:
        changed = caller.put(path, {**seen.json(), "name": person["name"]})
        assert changed.status_code == 200, changed.text


def _taken(w: World, name: str) -> None:
    desk = w.caller(NEXT, "recipient")
    for task in desk.search(f"/Task?part-of={w.ids[name]['Task']}"):
        desk.change(task, status="accepted")


def _withdrawn(w: World, name: str) -> None:
    desk, path = w.caller(NEXT, "recipient"), f"/{w.ids[name]['Consent']}"
    seen = desk.get(path)
    if seen.status_code == 200 and len(name) % 3 == 0:
        answer = desk.put(path, {**seen.json(), "status": "inactive"})
        assert answer.status_code == 200, answer.text


def _accepted(w: World) -> None:
    desk = w.caller(CENTRE, "recipient")
    desk.move(w.child("own0", CENTRE), status="received")


def _passed_on(w: World) -> None:
    desk = w.caller(CENTRE, "recipient")
    desk.move(
        w.child("own2", CENTRE),
        status="rejected",
        businessStatus=business("transferred"),
        statusReason=reason("lives-elsewhere"),
    )
    w.ids["passed"] = w.ids["own2"]


def _enrolled(
    hub: RunningHub, name: str, organisation: str, role: str, scopes: str | None
) -> Caller:
    with hub.database.transaction() as session:
        made = clients.register(
            session,
            organization=organisation,
            roles={role},
            scopes=scopes,
            jwks=public(ec_key()),
            client_id=name.replace(" ", "-"),
        )
    form = {
        "grant_type": "client_credentials",
        "client_assertion_type": ASSERTION_TYPE,
        "client_assertion": assertion(
            made.client_id, ec_key(), hub.settings.token_url, None
        ),
        "scope": made.scopes,
    }
    answer = hub.http.post("/oauth/token", data=form)
    assert answer.status_code == 200, answer.text
    token = answer.json()["access_token"]
    return Caller(hub.http, made.client_id, organisation, token)


def copied(template: Path, folder: Path) -> list[str]:
    """Two SQLite databases made from a migrated one."""
    urls = []
    for number in (0, 1):
        path = folder / f"world{number}.db"
        shutil.copyfile(template, path)
        urls.append(f"sqlite:///{path}")
    return urls
