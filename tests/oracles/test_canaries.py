"""Canaries (security.md §9.2, AB20): no string of one organisation turns up elsewhere.

One long run of everything that the hub does - requests of all, refusals, failures, 500s,
deliveries, the command line, monthly reports - and then every sink is searched.
"""

import contextlib
import io
import json
import logging
import shutil
import sys
import tempfile
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest
import structlog

from hub.fhir.dates import today
from hub.logs import set_up
from hub.restful import history, read, search
from hub.restful.served import CASE_TYPES, SERVED, searchable
from tests.cli.processes import run
from tests.conftest import BACKENDS, _admin, _url
from tests.mappings.build import DATA
from tests.oracles.canaries import Aviary, birds, files, tokens
from tests.referrals.build import COOPERATING, HOSPITAL, PHONE_CALL
from tests.referrals.receiver import Receiver, a_worker, deliver_all, receiving
from tests.restful.build import a_caller, a_referral
from tests.restful.least import bound, least
from tests.running import Caller, RunningHub, running_hub
from tests.subscriptions.build import a_subscription, listening, send

CENTRE, NEXT = "kagoshima-shi", "aira"
PAIRS = ((HOSPITAL, CENTRE), (COOPERATING, NEXT))
MONTH = f"{today():%Y-%m}"
ALL = " ".join(f"system/{name}.cruds" for name in SERVED)


@dataclass
class Sink:
    """Where something was written, and who may read it."""

    name: str
    readers: tuple[str, ...]
    content: bytes


@dataclass
class Run:
    aviary: Aviary
    sinks: list[Sink] = field(default_factory=list)
    issued: list[str] = field(default_factory=list)
    refusals: list[Sink] = field(default_factory=list)
    statuses: set[int] = field(default_factory=set)
    stored: set[str] = field(default_factory=set)

    def keep(self, name: str, readers: tuple[str, ...], content: bytes) -> None:
        self.sinks.append(Sink(name, readers, content))

    def answered(self, caller: Caller, path: str, answer: httpx.Response) -> None:
        raw = answer.content + str(dict(answer.headers)).encode()
        self.statuses.add(answer.status_code)
        self.keep(f"{caller.organisation} {path}", (caller.organisation,), raw)
        if answer.status_code >= 400:
            self.refusals.append(Sink(path, (), raw))


@pytest.fixture(scope="module", params=BACKENDS)
def url(request, tmp_path_factory) -> Iterator[str]:
    if request.param == "sqlite":
        path = tmp_path_factory.mktemp("canaries") / "hub.db"
        shutil.copyfile(request.getfixturevalue("sqlite_template"), path)
        yield f"sqlite:///{path}"
        return
    template = request.getfixturevalue("postgres_template")
    name = f"tsunagi_test_{uuid.uuid4().hex[:12]}"
    _admin(f"CREATE DATABASE {name} TEMPLATE {template}")
    yield _url(name)
    _admin(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(scope="module")
def ran(url: str, tmp_path_factory) -> Run:
    """The whole run; nothing is judged here."""
    folder, log = tmp_path_factory.mktemp("run"), io.StringIO()
    made = Run(Aviary())
    with pytest.MonkeyPatch.context() as patch, _listening_to(log):
        temporary = folder / "tmp"
        temporary.mkdir()
        patch.setenv("TMPDIR", str(temporary))
        patch.setattr(tempfile, "tempdir", str(temporary))
        with running_hub(url, folder / "state", drafts=True) as hub:
            callers = _callers(hub)
            made.issued = [one.token for one in callers.values()]
            _write(made, hub, callers)
            _deliver(made, hub, callers)
            _ask(made, callers)
            made.stored = set(made.aviary.owners)
            _refuse(made, callers)
            _break(made, callers)
            _command(made, url, folder)
            for path in ("/metrics", "/readyz", "/openapi.json", "/fhir/R4/metadata"):
                made.keep(path, (), hub.http.get(path).content)
    for kept in files(temporary, folder / "state"):
        made.keep(f"file {kept.name}", (), kept.read_bytes())
        made.keep("file name", (), kept.name.encode())
    made.keep("log", (), log.getvalue().encode())
    return made


def test_AB20_nobody_sees_a_string_that_is_anothers(ran: Run):
    assert {200, 400, 404, 422, 500} <= ran.statuses
    leaks = {
        sink.name: strange
        for sink in ran.sinks
        if (strange := ran.aviary.strange(sink.content, *sink.readers))
    }
    assert leaks == {}


def test_AB20_the_owners_do_see_their_own(ran: Run):
    """Else the search of the sinks would prove nothing."""
    seen = {bird for sink in ran.sinks for bird in birds(sink.content)}
    assert len(ran.stored) > 30
    assert ran.stored <= seen
    for pair in PAIRS:
        for reader in pair:
            own = {
                b for s in ran.sinks if s.readers == (reader,) for b in birds(s.content)
            }
            assert own, reader


def test_no_refusal_repeats_what_was_sent(ran: Run):
    """security.md §1.9: where and which rule, never the value."""
    assert len(ran.refusals) > 20
    repeated = {s.name: b for s in ran.refusals if (b := birds(s.content))}
    assert repeated == {}


def test_AB20_no_token_is_in_any_sink(ran: Run):
    found = {
        sink.name: held
        for sink in ran.sinks
        if "oauth" not in sink.name and (held := tokens(sink.content, ran.issued))
    }
    assert found == {}


def test_AB20_the_log_tells_of_failures_without_a_value(ran: Run):
    (log,) = (sink for sink in ran.sinks if sink.name == "log")
    text = log.content.decode()
    assert "internal error" in text
    assert "sqlalchemy" in text, "the SQL echo was on"
    assert birds(text) == set()
    assert "_search?" not in text
    assert "?name=" not in text


@contextlib.contextmanager
def _listening_to(log: io.StringIO) -> Iterator[None]:
    """Every logger at its most talkative, SQL echo included."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    engine = logging.getLogger("sqlalchemy.engine")
    with contextlib.redirect_stderr(log):
        set_up(dev=False)
        engine.setLevel(logging.DEBUG)
        root.setLevel(logging.DEBUG)
        try:
            yield
        finally:
            root.handlers[:] = handlers
            root.setLevel(level)
            engine.setLevel(logging.NOTSET)
            structlog.reset_defaults()
    assert sys.stderr is not log


def _callers(hub: RunningHub) -> dict[str, Caller]:
    return {
        one: a_caller(hub, one, role)
        for pair in PAIRS
        for one, role in zip(pair, ("source", "recipient"), strict=True)
    }


def _write(made: Run, hub: RunningHub, callers: dict[str, Caller]) -> None:
    """Referrals, drafts, records, reports back: all of it full of canaries."""
    for source, centre in PAIRS:
        bird = made.aviary.bird(source, centre)
        bundle = made.aviary.seeded(a_referral(name=f"架空 {bird}"), source, centre)
        for one in bundle["entry"]:
            resource = one["resource"]
            if resource["resourceType"] == "Patient":
                known = {"system": "https://h.example/sid"}
                known["value"] = made.aviary.bird(source, centre)
                resource["identifier"] = [known]
            if resource["resourceType"] == "Task":
                resource["input"] = [PHONE_CALL]
                resource["description"] = made.aviary.bird(source, centre)
            if resource["resourceType"] == "ServiceRequest":
                resource["note"] = [{"text": made.aviary.bird(source, centre)}]
        answer = callers[source].post("", bundle)
        made.answered(callers[source], "POST referral", answer)
        assert answer.status_code == 200, answer.text
        patient = next(
            "/".join(one["response"]["location"].split("/")[:2])
            for one in answer.json()["entry"]
            if one["response"]["location"].startswith("Patient/")
        )
        _record(made, hub, callers[centre], patient)
        own = made.aviary.seeded(least("Patient", name=[{"text": "下書き"}]), source)
        made.answered(callers[source], "draft", callers[source].post("/Patient", own))


def _record(made: Run, hub: RunningHub, centre: Caller, patient: str) -> None:
    """What a centre writes of a person: for itself alone, but the report back."""
    kinds = ("Encounter", "Condition", "Observation", "CarePlan", "DocumentReference")
    for kind in kinds:
        new = least(kind, **bound(kind, patient, hub.settings.fhir_base))
        if kind in ("Condition", "Observation"):
            new["note"] = [{"text": "記録"}]
        told = made.aviary.seeded(new, centre.organisation)
        made.answered(centre, kind, centre.post(f"/{kind}", told))
    raw = made.aviary.bird(centre.organisation).encode()
    headers = {"Content-Type": "text/plain", "X-Security-Context": patient}
    answer = centre.request("POST", "/Binary", content=raw, headers=headers)
    made.answered(centre, "Binary", answer)
    assert answer.status_code == 201, answer.text


def _deliver(made: Run, hub: RunningHub, callers: dict[str, Caller]) -> None:
    """Messages to systems and notifications to endpoints, taken and not taken."""
    with receiving(hub, CENTRE, NEXT) as receiver, listening() as hook:
        for organisation in (CENTRE, NEXT):
            body = a_subscription(
                hook.url, f"Task?owner=HealthcareService/{organisation}"
            )
            answer = callers[organisation].post("/Subscription", body)
            assert answer.status_code == 201, answer.text
        send(hub)
        receiver.status = 500
        for source, centre in PAIRS:
            bundle = made.aviary.seeded(a_referral(), source, centre)
            bundle["entry"][-1]["resource"]["input"] = [PHONE_CALL]
            answer = callers[source].post("", bundle)
            assert answer.status_code == 200, answer.text
        deliver_all(a_worker(hub, receiver))
        hook.status = 500
        send(hub)
        hook.status = receiver.status = 200
        for _ in range(2):
            send(hub, days=1)
            deliver_all(a_worker(hub, receiver))
        _capture(made, receiver)
        for headers, raw in hook.got:
            # Ids alone: whoever listens there, no string of anybody's arrives.
            made.keep("notification", (), raw + str(headers).encode())
    assert hook.got


def _capture(made: Run, receiver: Receiver) -> None:
    for organisation, bodies in receiver.bodies.items():
        for body in bodies:
            made.keep(f"delivered to {organisation}", (organisation,), body)


def _ask(made: Run, callers: dict[str, Caller]) -> None:
    """Everybody asks for everything, also by the ids of others."""
    ids: set[tuple[str, str]] = set()
    for caller in callers.values():
        for kind in sorted(
            searchable().keys() & (CASE_TYPES.keys() | {"Subscription"})
        ):
            path = f"/{kind}?_include=*&_revinclude=*&_count=200"
            answer = caller.get(path)
            made.answered(caller, path, answer)
            found = answer.json().get("entry", ()) if answer.status_code == 200 else ()
            ids |= {(e["resource"]["resourceType"], e["resource"]["id"]) for e in found}
        for path in ("/_history?_count=500", "/?_type=Patient,Task&_count=200"):
            made.answered(caller, path, caller.get(path))
    for caller in callers.values():
        for kind, id_ in sorted(ids):
            if kind not in CASE_TYPES:
                continue
            for tail in ("", "/_history"):
                path = f"/{kind}/{id_}{tail}"
                made.answered(caller, path, caller.get(path))
            if kind == "Patient":
                path = f"/Patient/{id_}/*?_count=200"
                made.answered(caller, path, caller.get(path))
            if kind == "EpisodeOfCare":
                path = f"/EpisodeOfCare/{id_}/$explain-access"
                made.answered(caller, path, caller.get(path))


def _refuse(made: Run, callers: dict[str, Caller]) -> None:
    """Wrong input of every kind, a canary of its own in each."""
    caller = callers[HOSPITAL]

    def bird() -> str:
        return made.aviary.bird(HOSPITAL)

    form = {"Content-Type": "application/x-www-form-urlencoded"}
    patch = {"Content-Type": "application/json-patch+json"}
    for method, path, body, headers in (
        ("GET", f"/Patient?nonsense={bird()}", b"", {}),
        ("GET", f"/Patient?birthdate={bird()}", b"", {}),
        ("GET", f"/Patient?{bird()}=x", b"", {}),
        ("GET", f"/Patient?_sort={bird()}", b"", {}),
        ("GET", f"/Patient?_include={bird()}:x", b"", {}),
        ("GET", f"/Patient?_has:{bird()}:x:y=1", b"", {}),
        ("GET", f"/Patient?_page={bird()}", b"", {}),
        ("GET", f"/Patient?gender:{bird()}=x", b"", {}),
        ("GET", f"/Patient?_count={bird()}", b"", {}),
        ("GET", f"/Patient?gender:in={bird()}", b"", {}),
        ("GET", f"/{bird().title()}/x", b"", {}),
        ("GET", f"/Patient/{bird()}", b"", {}),
        ("GET", f"/Patient/x/_history/{bird()}", b"", {}),
        ("GET", "/Patient/x", b"", {"Accept": bird()}),
        ("POST", "/Patient/_search", f"birthdate={bird()}".encode(), form),
        ("POST", "/Patient", f'{{"resourceType":"Patient","{bird()}":1}}'.encode(), {}),
        ("POST", "/Patient", f'{{"resourceType":"{bird()}"}}'.encode(), {}),
        ("POST", "/Patient", f"{{{bird()}".encode(), {}),
        (
            "POST",
            "/Patient",
            json.dumps(least("Patient", gender=bird(), birthDate=bird())).encode(),
            {},
        ),
        (
            "POST",
            "/Observation",
            json.dumps(
                least("Observation", subject={"reference": f"Patient/{bird()}"})
            ).encode(),
            {},
        ),
        ("POST", "/Patient", b"{}", {"If-None-Exist": f"birthdate={bird()}"}),
        ("POST", "/Patient", b"{}", {"Content-Type": bird()}),
        ("POST", "/Patient", b"{}", {"X-Provenance": f'{{"{bird()}":1}}'}),
        ("PUT", "/Patient/x", b'{"resourceType":"Patient"}', {"If-Match": bird()}),
        (
            "PATCH",
            "/Patient?gender=male",
            json.dumps([{"op": bird(), "path": f"/{bird()}"}]).encode(),
            patch,
        ),
        (
            "POST",
            "",
            json.dumps(
                {
                    "resourceType": "Bundle",
                    "type": "transaction",
                    "entry": [{"request": {"method": "GET", "url": f"{bird()}?x"}}],
                }
            ).encode(),
            {},
        ),
        ("POST", "/intake/yoshiki1", f"{bird()},x\n{bird()},y\n".encode(), {}),
        ("POST", f"/intake/{bird()}", b"a,b\n1,2\n", {}),
        (
            "POST",
            "/Subscription",
            json.dumps(a_subscription(f"ftp://{bird()}/x", bird())).encode(),
            {},
        ),
    ):
        answer = caller.request(method, path, content=body, headers=headers)
        made.statuses.add(answer.status_code)
        raw = answer.content + str(dict(answer.headers)).encode()
        assert answer.status_code >= 400, (path, answer.text)
        made.refusals.append(Sink(f"{method} {path}", (), raw))


def _break(made: Run, callers: dict[str, Caller]) -> None:
    """What nobody foresaw, with a value in its message: 500, and nothing more."""
    caller = callers[HOSPITAL]

    def broken(*_args: object, **_kwargs: object) -> None:
        raise RuntimeError(f"boom {made.aviary.bird(HOSPITAL)}")

    with pytest.MonkeyPatch.context() as breaking:
        breaking.setattr(search, "search_store", broken)
        breaking.setattr(read, "read_and_record", broken)
        breaking.setattr(history, "require_visible", broken)
        for path in ("/Patient?gender=male", "/Patient/x", "/Patient/x/_history"):
            answer = caller.get(path)
            assert answer.status_code == 500
            made.answered(caller, path, answer)


def _command(made: Run, url: str, folder: Path) -> None:
    """The command line beside the running hub; reports go to their pair alone."""
    settings = {"database_url": url, "dev": "true", "state": str(folder / "state")}
    for source, centre in PAIRS:
        # It is theirs as soon as it is routed there.
        birds_ = [made.aviary.bird(source, centre) for _ in range(2)]
        raw = (DATA / "yoshiki1_wide_cp932.csv").read_bytes().decode("cp932")
        text = raw.replace("架空看護師B", birds_[0]).replace("学校問題", birds_[1])
        sheet = folder / f"{source}.csv"
        sheet.write_bytes(text.encode("cp932"))
        said = run("intake", sheet, "--source", source, folder=folder, **settings)
        made.keep("tsunagi intake", (), (said.stdout + said.stderr).encode())
        sheet.unlink()
    for source, centre in PAIRS:
        out = folder / f"reports-{source}"
        command = ("report", "monthly", "--month", MONTH, "--hospital", source)
        said = run(
            *command, "--centre", centre, "--out", out, folder=folder, **settings
        )
        assert said.returncode == 0, said.stderr
        made.keep("tsunagi report", (), (said.stdout + said.stderr).encode())
        for path in files(out):
            made.keep(f"report {path.name}", (source, centre), path.read_bytes())
            made.keep("report's name", (), str(path).encode())
    said = run("audit", "verify", folder=folder, **settings)
    made.keep("tsunagi audit verify", (), (said.stdout + said.stderr).encode())
