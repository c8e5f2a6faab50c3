"""Many clients at one resource: `python -m tests.bench.races` (rest.md §4, K2, K3).

Each race is one round played by all clients at once, over every hub process there is.
It raises AssertionError when the outcome is not that of some order one after another.
The tests play a few rounds of each, `make races` a thousand.
"""

import copy
import itertools
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import httpx
import typer

from hub.database import Database
from hub.restful.served import SERVED
from hub.smart import clients
from tests.bench.people import HOSPITAL
from tests.bench.server import running
from tests.smart.build import ASSERTION_TYPE, assertion, ec_key, public

_SYSTEM = "urn:x-race"
_RENEW = 200.0  # seconds; a token lives for 300
_PATIENCE = 30  # tries of an append until it counts as starved


@dataclass
class Hubs:
    """The addresses of the hubs on one database, and one client of theirs."""

    bases: Sequence[str]
    client_id: str
    scopes: str
    players: int
    http: list[httpx.Client] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)
    _renewed: float = -_RENEW
    _token: str = ""

    def call(self, player: int, method: str, path: str, **kwargs: Any) -> Any:
        """A request of one player; it takes its turns among the hubs by its number."""
        headers = {
            "Authorization": f"Bearer {self._token}",
            "Content-Type": "application/fhir+json",
            **kwargs.pop("headers", {}),
        }
        answer = self.http[player].request(
            method, f"/fhir/R4{path}", headers=headers, **kwargs
        )
        self.statuses[answer.status_code] += 1
        assert answer.status_code < 500, answer.text
        return answer

    def together(self, act: Callable[[int], Any]) -> list[Any]:
        """What each player got when all began at the same moment."""
        self._renew()
        line = threading.Barrier(self.players)

        def play(player: int) -> Any:
            line.wait()
            return act(player)

        return list(self._pool.map(play, range(self.players)))

    @contextmanager
    def open(self) -> Iterator["Hubs"]:
        with ExitStack() as stack:
            self._pool = stack.enter_context(ThreadPoolExecutor(self.players))
            for _, base in zip(range(self.players), itertools.cycle(self.bases)):
                made = httpx.Client(base_url=base, timeout=60)
                self.http.append(stack.enter_context(made))
            yield self

    def _renew(self) -> None:
        if time.monotonic() - self._renewed < _RENEW:
            return
        url = f"{self.bases[0]}/oauth/token"
        form = {
            "grant_type": "client_credentials",
            "client_assertion_type": ASSERTION_TYPE,
            "client_assertion": assertion(self.client_id, ec_key(), url, None),
            "scope": self.scopes,
        }
        answer = self.http[0].post(url, data=form)
        assert answer.status_code == 200, answer.text
        self._token, self._renewed = answer.json()["access_token"], time.monotonic()


def conditional_create(hubs: Hubs) -> None:
    """F4: all create the same: one does, the others are told which."""
    patient, query = _a_patient()
    answers = hubs.together(
        lambda n: hubs.call(
            n, "POST", "/Patient", json=patient, headers={"If-None-Exist": query}
        )
    )
    _require(answers, {201: 1, 200: hubs.players - 1})
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert _found(hubs, query) == 1


def conditional_update(hubs: Hubs) -> None:
    """F6: all update by the same query: one creates, no version is left out."""
    patient, query = _a_patient()
    answers = hubs.together(
        lambda n: hubs.call(n, "PUT", f"/Patient?{query}", json=patient)
    )
    _require(answers, {201: 1, 200: hubs.players - 1})
    versions = sorted(int(a.json()["meta"]["versionId"]) for a in answers)
    assert versions == list(range(1, hubs.players + 1))
    assert _found(hubs, query) == 1


def compare_and_set(hubs: Hubs) -> None:
    """K2: all change the version they read: one does, the others are told."""
    made = _made(hubs)
    header = {"If-Match": f'W/"{made["meta"]["versionId"]}"'}
    answers = hubs.together(
        lambda n: hubs.call(
            n, "PUT", f"/Patient/{made['id']}", json=made, headers=header
        )
    )
    _require(answers, {200: 1, 412: hubs.players - 1})
    assert _read(hubs, made)["meta"]["versionId"] == "2"


def append(hubs: Hubs) -> None:
    """K3: each appends its own to one list, until it is told that it did."""
    made = _made(hubs)

    def act(player: int) -> None:
        for _ in range(_PATIENCE * hubs.players):
            found = hubs.call(player, "GET", f"/Patient/{made['id']}")
            body = found.json()
            body.setdefault("telecom", []).append(
                {"system": "phone", "value": str(player)}
            )
            header = {"If-Match": found.headers["ETag"]}
            path = f"/Patient/{made['id']}"
            answer = hubs.call(player, "PUT", path, json=body, headers=header)
            if answer.status_code == 200:
                return
            assert answer.status_code == 412
        raise AssertionError("starved")

    hubs.together(act)
    after = _read(hubs, made)
    values = sorted(int(one["value"]) for one in after["telecom"])
    assert values == list(range(hubs.players))
    assert after["meta"]["versionId"] == str(hubs.players + 1)


def transaction(hubs: Hubs) -> None:
    """F11: transactions with the same conditional entry; every third one fails later.

    What a failed one would have created is not there, whoever came first.
    """
    patient, query = _a_patient()
    stale = _made(hubs)

    def act(player: int) -> Any:
        full_url = f"urn:uuid:{uuid.uuid4()}"
        entries = [
            _entry(patient, full_url, ifNoneExist=query),
            _entry(_an_observation(full_url, query)),
        ]
        if player % 3 == 0:
            entries.append(_update(stale, 'W/"7"'))
        bundle = {"resourceType": "Bundle", "type": "transaction", "entry": entries}
        return hubs.call(player, "POST", "", json=bundle)

    answers = hubs.together(act)
    failing = len(range(0, hubs.players, 3))
    _require(answers, {412: failing, 200: hubs.players - failing})
    assert _found(hubs, query) == 1
    told = hubs.call(0, "GET", f"/Observation?{query}&_summary=count").json()
    assert told["total"] == hubs.players - failing


def delete_or_update(hubs: Hubs) -> None:
    """Half delete and half update what they read: one of all does."""
    made = _made(hubs)
    path, header = f"/Patient/{made['id']}", {"If-Match": 'W/"1"'}

    def act(player: int) -> Any:
        if player % 2:
            return hubs.call(player, "DELETE", path, headers=header)
        return hubs.call(player, "PUT", path, json=made, headers=header)

    answers = hubs.together(act)
    updated = [a.status_code for a in answers[::2]].count(200)
    now = hubs.call(0, "GET", path)
    if updated:
        deleted = [a.status_code for a in answers[1::2]]
        assert updated == 1
        assert set(deleted) == {412}
        assert now.json()["meta"]["versionId"] == "2"
        return
    # Deleting what is deleted is a success; what is deleted is not there to update.
    assert {a.status_code for a in answers[1::2]} == {204}
    assert {a.status_code for a in answers[::2]} <= {404, 405, 410, 412}
    assert now.status_code == 410


RACES = (
    conditional_create,
    conditional_update,
    compare_and_set,
    append,
    transaction,
    delete_or_update,
)


@contextmanager
def hubs_on(url: str, folder: Path, processes: int, players: int) -> Iterator[Hubs]:
    """So many hub processes on one database, and a client that may do everything."""
    scopes = " ".join(f"system/{name}.cruds" for name in SERVED)
    with ExitStack() as stack:
        servers = [stack.enter_context(running(url, folder)) for _ in range(processes)]
        database = Database(url)
        with database.transaction() as session:
            made = clients.register(
                session,
                organization=HOSPITAL,
                roles={"source"},
                scopes=scopes,
                jwks=public(ec_key()),
            )
        database.close()
        bases = [server.settings.base_url for server in servers]
        hubs = Hubs(bases, made.client_id, scopes, players)
        yield stack.enter_context(hubs.open())


def _a_patient() -> tuple[dict[str, Any], str]:
    """A patient nobody has stored yet, and the query that finds it."""
    number = str(uuid.uuid4())
    patient = {
        "resourceType": "Patient",
        "identifier": [{"system": _SYSTEM, "value": number}],
        "name": [{"text": "架空 太郎"}],
    }
    return patient, f"identifier={_SYSTEM}|{number}"


def _an_observation(patient: str, query: str) -> dict[str, Any]:
    return {
        "resourceType": "Observation",
        "identifier": [{"system": _SYSTEM, "value": query.rpartition("|")[2]}],
        "status": "final",
        "code": {"text": "架空"},
        "subject": {"reference": patient},
    }


def _entry(
    resource: dict[str, Any], full_url: str | None = None, **request: str
) -> dict[str, Any]:
    return {
        "fullUrl": full_url or f"urn:uuid:{uuid.uuid4()}",
        "resource": copy.deepcopy(resource),
        "request": {"method": "POST", "url": resource["resourceType"], **request},
    }


def _update(resource: dict[str, Any], if_match: str) -> dict[str, Any]:
    url = f"{resource['resourceType']}/{resource['id']}"
    request = {"method": "PUT", "url": url, "ifMatch": if_match}
    return {"resource": resource, "request": request}


def _made(hubs: Hubs) -> dict[str, Any]:
    hubs._renew()
    answer = hubs.call(0, "POST", "/Patient", json=_a_patient()[0])
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


def _read(hubs: Hubs, resource: dict[str, Any]) -> dict[str, Any]:
    answer = hubs.call(0, "GET", f"/{resource['resourceType']}/{resource['id']}")
    return dict(answer.json())


def _found(hubs: Hubs, query: str) -> int:
    answer = hubs.call(0, "GET", f"/Patient?{query}&_summary=count")
    return int(answer.json()["total"])


def _require(answers: list[Any], expected: dict[int, int]) -> None:
    assert Counter(a.status_code for a in answers) == expected


def races(
    *,
    rounds: Annotated[int, typer.Option(help="of each race")] = 1000,
    clients: Annotated[int, typer.Option(help="at once")] = 20,
    processes: Annotated[int, typer.Option(help="hubs on one database")] = 2,
    only: Annotated[str, typer.Option(help="sqlite | postgresql")] = "",
    race: Annotated[str, typer.Option(help="one of them")] = "",
) -> None:
    """Play every race on each database there is; ends at the first wrong outcome."""
    from tests.bench.__main__ import _urls

    for url in _urls(only):
        with (
            url as found,
            TemporaryDirectory() as folder,
            hubs_on(found, Path(folder), processes, clients) as hubs,
        ):
            for play in RACES:
                if race in ("", play.__name__):
                    _play(found.partition(":")[0], hubs, play, rounds)


def _play(name: str, hubs: Hubs, play: Callable[[Hubs], None], rounds: int) -> None:
    hubs.statuses.clear()
    began = time.monotonic()
    for _ in range(rounds):
        play(hubs)
    took = time.monotonic() - began
    told = ", ".join(f"{n} x {status}" for status, n in sorted(hubs.statuses.items()))
    typer.echo(
        f"{name:12} {len(hubs.bases)} processes  {play.__name__:20}"
        f" {rounds} rounds of {hubs.players} clients in {took:.0f} s: {told}"
    )


if __name__ == "__main__":
    typer.run(races)
