"""The story of the demonstration, scene by scene, over real HTTP.

Three sheets of invented people: the person consents, the family consents, nobody
consents. Two are referred, one is refused with the leaflet. The hub, the hospital's
endpoint and the first centre's FHIR server are processes of their own; the centre of
residence has no server and searches.
"""

import os
import signal
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.padding import Padding
from rich.table import Table

from hub.delivery.fetch import Fetcher
from hub.demo import setting
from hub.demo.client import HubClient, RefusedError
from hub.demo.processes import Processes, free_port, wait_for
from hub.demo.setting import Stage
from hub.demo.words import Words
from hub.fhir.canonical import BUSINESS_STATUS, TASK_INPUT
from hub.programmes.load import load
from hub.programmes.programme import Programme

Resource = dict[str, Any]
_PATIENCE = 15.0  # seconds for anything that travels


def play(*, once: bool, lang: str, port: int) -> int:
    """Play everything; 0 when every scene went as it should."""
    words, console = Words(lang), _console()
    _forget_settings()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    folder = Path(tempfile.mkdtemp(prefix="tsunagi-demo-"))
    processes = Processes(folder)
    began = time.monotonic()
    played = False
    try:
        stage = _prepare(words, console, processes, folder, port or free_port())
        _Story(stage, words, console).play()
        played = True
        seconds = f"{time.monotonic() - began:.1f}"
        console.print(f"[bold green]✓[/] {words.say('done', seconds=seconds)}")
        _look(stage, words, console)
        if not once:
            console.print(words.say("stop"))
            while True:
                time.sleep(0.5)
                processes.require_alive()
    except KeyboardInterrupt:
        console.print()
        return 0 if played else 130
    except Exception as error:  # noqa: BLE001 - told to the person at the screen
        said = "、".join(error.ids) if isinstance(error, RefusedError) else ""
        what = f"{type(error).__name__}: {error} {said}"
        console.print(f"[bold red]✗[/] {words.say('failed', what=what, log=folder)}")
        return 1
    finally:
        # An impatient second Ctrl-C must not leave a process behind.
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)
        processes.stop()
    return 0


def _console() -> Console:
    """A hundred columns where nothing says how many there are."""
    console = Console(highlight=False)
    console.width = min(console.width, 100) if console.is_terminal else 100
    return console


def _forget_settings() -> None:
    """The demonstration has settings of its own, whatever is set around it."""
    for name in [n for n in os.environ if n.startswith("TSUNAGI_")]:
        del os.environ[name]


def _prepare(
    words: Words, console: Console, processes: Processes, folder: Path, port: int
) -> Stage:
    console.rule(words.say("title"))
    console.print(f"[bold]{words.say('prepare')}[/]")
    stage = setting.make(folder, port)
    fetcher = Fetcher(dev=True)
    processes.start(
        "hub", ["hub", "serve", "--dev", "--port", str(port)], stage.environment
    )
    seconds = wait_for(f"{stage.base}/livez", fetcher, processes, 30)
    console.print("  " + words.say("hub_up", seconds=f"{seconds:.1f}"))
    counts = setting.count_directory(stage)
    console.print("  " + words.say("directory", **counts))
    for standin in (stage.hospital, stage.centre):
        processes.start(standin.name, standin.arguments(stage.base), {})
        wait_for(f"{standin.root}/livez", fetcher, processes, 15)
    console.print("  " + words.say("standins", centre=stage.centre.title))
    return stage


class _Story:
    """The scenes share the stage, the clients and what they learn on the way."""

    def __init__(self, stage: Stage, words: Words, console: Console) -> None:
        self.stage, self.words, self.console = stage, words, console
        programmes = load(stage.profiles / "programmes")
        self.programme: Programme = programmes[stage.programme]
        self.source = self._client("source")
        self.first = self._client("first")
        self.second = self._client("second")
        self.rows: list[Resource] = []
        self.cases: dict[str, int] = {}
        self.is_stale_told = False

    def play(self) -> None:
        self.sheets()
        self.delivery()
        self.centre_acts()
        self.hospital_sees()
        self.month_end()
        self.audit()
        self.table()

    def sheets(self) -> None:
        """Scene 1: an Excel sheet and a CSV of two rows."""
        self._scene("sheets")
        for key, name in (("sheet_excel", "excel"), ("sheet_csv", "csv")):
            answer = self.source.intake("auto", self.stage.samples[name].read_bytes())
            self.rows += answer
            self._line(f"[bold]{self.words.say(key)}[/]")
            self._grid(self._told_row(row) for row in answer)
        for row in self.rows:
            if "task" in row:
                task = self.source.get(f"Task/{row['task']}")
                self._number(task["groupIdentifier"]["value"])
        refused = [row for row in self.rows if row["outcome"] == "refused"]
        self._expect(len(self.rows) == 3 and len(refused) == 1, "two accepted, one not")  # noqa: PLR2004
        leaflet = self.programme.leaflet
        self._line(self.words.say("leaflet"))
        text = self.words.pick(leaflet.text.ja, leaflet.text.en).strip()
        lines = text.splitlines()
        for desk in leaflet.desks:
            name = self.words.pick(desk.name.ja, desk.name.en)
            lines.append(f"・{name} {desk.telephone or ''}".rstrip())
        self._grid(("[dim]│[/]", f"[dim]{line}[/]") for line in lines)

    def delivery(self) -> None:
        """Scene 2: the first centre's server receives both over OAuth."""
        start = time.monotonic()
        arrived = self._wait(
            lambda: self.stage.centre.received("referral"),
            2,
        )
        seconds = f"{time.monotonic() - start:.1f}"
        said = self.words.say(
            "delivered",
            centre=self.stage.centre.title,
            count=len(arrived),
            seconds=seconds,
        )
        self.console.print(f"[bold]{said}[/]")

    def centre_acts(self) -> None:
        """Scene 3: accept, contact, transfer to the centre of residence, visit."""
        self._scene("centre_acts")
        tasks = self._open_tasks(self.first, self.stage.first_desk)
        self._expect(len(tasks) == 2, "two open requests")  # noqa: PLR2004
        for task in tasks:
            self._advance(self.first, task)
        moving = next(t for t in tasks if _onward(t))
        staying = next(t for t in tasks if not _onward(t))
        self._transfer(self.first, moving)
        self._visit(self.first, staying)
        found = self._open_tasks(self.second, self.stage.second_desk)
        self._expect(len(found) == 1, "one request at the centre of residence")
        desk = self._desk(found[0])
        self._line(self.words.say("polled", desk=desk))
        self._advance(self.second, found[0])
        self._visit(self.second, found[0])

    def hospital_sees(self) -> None:
        """Scene 4: pushed to the hospital's endpoint, and the same by polling."""
        own = {row["task"] for row in self.rows if "task" in row}
        final = [
            f"{self._number(task['groupIdentifier']['value'])}"
            f"\t{self._word(task, at_source=True)}"
            for task in self.source.search("Task", _lastUpdated="ge2000", _sort="_id")
            if task["id"] in own
        ]
        told = self._wait(self._told, len(final), complete=set(final))
        self._scene("hospital_sees", count=len(told))
        self._print_by_case(told)
        polled = "、".join(sorted(final)).replace("\t", " ")
        self._line(self.words.say("poll", words=polled))

    def _print_by_case(self, told: list[str]) -> None:
        """One row a case: the words that reached the hospital, in their order."""
        chains: dict[str, list[str]] = {}
        for line in told:
            case, _, word = line.partition("\t")
            chain = chains.setdefault(case, [])
            # A message about something else than the state says its word again.
            if word not in chain[-1:]:
                chain.append(word)
        self._grid((case, " → ".join(words)) for case, words in sorted(chains.items()))

    def month_end(self) -> None:
        """Scene 5: the centres report to the hospital on paper and as FHIR."""
        self._scene("month_end")
        for made in setting.report_month(self.stage):
            self._line(self.words.say("report_made", **made))
        reports = self._wait(
            lambda: self.stage.hospital.received("report"),
            2,
        )
        count = len(reports)
        self._line(self.words.say("report_delivered", count=count))

    def audit(self) -> None:
        """Scene 6: the log is whole."""
        report = setting.verify_audit(self.stage)
        self._expect(report.is_intact, "an intact audit log")
        said = self.words.say("audit", sealed=report.sealed, anchored=report.anchored)
        self.console.print(f"[bold]{said}[/]")

    def table(self) -> None:
        """The last picture: what happened to each of the three."""
        say = self.words.say
        table = Table(title=say("result"))
        for key in ("case", "consent", "desks", "hospital_status", "report"):
            table.add_column(say(key))
        consents = ("person", "family", "nobody")
        for number, (row, consent) in enumerate(
            zip(self.rows, consents, strict=True), 1
        ):
            if row["outcome"] != "accepted":
                cells = (say("nothing"), say("kept_nothing"), say("nothing"))
            else:
                cells = self._fate(row)
            table.add_row(str(number), say(consent), *cells)
        self.console.print(table)

    def _fate(self, row: Resource) -> tuple[str, str, str]:
        children = self.source.search("Task", part_of=f"Task/{row['task']}")
        children.sort(key=lambda task: str(task["authoredOn"]))
        parent = self.source.get(f"Task/{row['task']}")
        desks = " → ".join(self._desk(task) for task in children)
        return desks, self._word(parent, at_source=True), "PDF + FHIR"

    def _advance(self, client: HubClient, task: Resource) -> None:
        """Received, accepted, contact attempted; a stale version is refused."""
        stale = dict(task)
        words = [self._move(client, task, status="received")]
        self._expect(_refusal(client, {**stale, "status": "accepted"}) == 412, "412")  # noqa: PLR2004
        words += [
            self._move(client, task, status="accepted"),
            self._move(client, task, "in-progress", "contact-attempted"),
        ]
        self._print_moves(task, words)
        if not self.is_stale_told:
            self._line(self.words.say("stale"))
            self.is_stale_told = True

    def _visit(self, client: HubClient, task: Resource) -> None:
        self._print_moves(task, [self._move(client, task, "in-progress", "visited")])

    def _transfer(self, client: HubClient, task: Resource) -> None:
        onward = _onward(task)
        output = {
            "type": {"coding": [{"system": TASK_INPUT, "code": "proposed-desk"}]},
            "valueReference": onward,
        }
        task["output"] = [*task.get("output", ()), output]
        task["statusReason"] = {"text": "住所地の保健所が支援する"}
        task["status"] = "failed"
        task["businessStatus"] = _coded("transferred")
        task.update(client.put(task))
        said = self.words.say(
            "transferred",
            case=self._case(task),
            desk=self._desk(task),
            onward=onward["display"],
        )
        self._line(said)

    def _move(
        self, client: HubClient, task: Resource, status: str, business: str = ""
    ) -> str:
        """Change a Task; the programme's word for where it stands now."""
        task["status"] = status
        task.pop("businessStatus", None)
        if business:
            task["businessStatus"] = _coded(business)
        task.update(client.put(task))
        return self._word(task)

    def _print_moves(self, task: Resource, words: list[str]) -> None:
        chain = " → ".join(words)
        case, desk = self._case(task), self._desk(task)
        said = self.words.say("moved", case=case, desk=desk, words=chain)
        self._line(said)

    def _open_tasks(self, client: HubClient, desk: str) -> list[Resource]:
        return client.search(
            "Task", owner=f"HealthcareService/{desk}", status="requested,received"
        )

    def _told(self) -> list[str]:
        """One line per status message that reached the hospital's endpoint."""
        lines: list[str] = []
        for message in self.stage.hospital.received("status"):
            parent = message["tasks"][0]
            code = next(iter(parent["business_status"]), None)
            word = self._state(parent["status"], code, at_source=True)
            lines.append(f"{self._number(message['correlation'])}\t{word}")
        return lines

    def _case(self, task: Resource) -> str:
        return self._number(task["groupIdentifier"]["value"])

    def _number(self, correlation: str) -> str:
        """The number of a case in the story, by its correlation id."""
        number = self.cases.setdefault(correlation, len(self.cases) + 1)
        return self.words.say("numbered", number=number)

    def _word(self, task: Resource, *, at_source: bool = False) -> str:
        codes = [
            coding["code"]
            for coding in (task.get("businessStatus") or {}).get("coding", ())
        ]
        code = next(iter(codes), None)
        return self._state(task["status"], code, at_source=at_source)

    def _state(self, status: str, code: str | None, *, at_source: bool) -> str:
        state = self.programme.state(status, code)
        if state is None:
            return status
        said = state.source if at_source and state.source else state.word
        return self.words.pick(said.ja, said.en)

    def _desk(self, task: Resource) -> str:
        return str(task["owner"].get("display") or task["owner"]["reference"])

    def _client(self, who: str) -> HubClient:
        client_id, scope = self.stage.clients[who]
        base = self.stage.settings.fhir_base
        return HubClient(base, client_id, self.stage.private_jwk, scope=scope)

    def _wait(
        self, look: Any, least: int, complete: set[str] | None = None
    ) -> list[Any]:
        """Look again until there is enough; raise when it does not come."""
        deadline = time.monotonic() + _PATIENCE
        while True:
            found: list[Any] = look()
            if len(found) >= least and (complete or set()) <= set(map(str, found)):
                return found
            if time.monotonic() > deadline:
                raise TimeoutError(f"{len(found)} of {least} arrived")
            time.sleep(0.05)

    def _expect(self, holds: bool, what: str) -> None:  # noqa: FBT001
        if not holds:
            raise AssertionError(f"expected {what}")

    def _told_row(self, row: Resource) -> tuple[str, str, str]:
        mark = "[green]✓[/]" if row["outcome"] == "accepted" else "[red]✗[/]"
        return mark, row["code"], self.words.pick(row["message"], row["english"])

    def _line(self, text: str) -> None:
        """Indented, what does not fit as well."""
        self.console.print(Padding(text, (0, 0, 0, 2), expand=False))

    def _grid(self, rows: Iterable[tuple[str, ...]]) -> None:
        """Columns without lines; the last one folds."""
        grid = Table.grid(padding=(0, 1))
        for row in rows:
            grid.add_row(*row)
        for column in grid.columns:
            column.overflow = "fold"
        self.console.print(Padding(grid, (0, 0, 0, 3), expand=False))

    def _scene(self, key: str, **fields: object) -> None:
        self.console.print(f"[bold]{self.words.say(key, **fields)}[/]")


def _onward(task: Resource) -> Resource:
    """The desk of residence that routing named, {} when there is none."""
    for entry in task.get("input", ()):
        if entry["type"]["coding"][0]["code"] == "onward-desk":
            return dict(entry["valueReference"])
    return {}


def _refusal(client: HubClient, task: Resource) -> int:
    """The status with which an update is refused; 200 when it is not."""
    try:
        client.put(task)
    except RefusedError as error:
        return error.status
    return 200


def _coded(code: str) -> Resource:
    return {"coding": [{"system": BUSINESS_STATUS, "code": code}]}


def _look(stage: Stage, words: Words, console: Console) -> None:
    table = Table(title=words.say("look"), show_header=False)
    table.add_row("CapabilityStatement", f"{stage.base}/fhir/R4/metadata")
    table.add_row("SMART", f"{stage.base}/.well-known/smart-configuration")
    table.add_row(stage.hospital.title, f"{stage.hospital.base}/_received")
    table.add_row(stage.centre.title, f"{stage.centre.base}/_received")
    table.add_row(words.say("files"), os.fspath(stage.folder))
    console.print(table)
    sys.stdout.flush()
