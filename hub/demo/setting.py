"""The stage: ports, keys, clients, endpoints, the month's report, the log's check."""

import json
import time
import tomllib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from joserfc.jwk import ECKey
from sqlalchemy import func, select

from hub import audit, changes
from hub.actor import Actor
from hub.app import know
from hub.audit.checkpoint import load_key
from hub.audit.verify import Report, verify
from hub.changes import By
from hub.database import Database
from hub.delivery.fetch import Fetcher
from hub.demo.processes import free_port
from hub.directory import resources as directory_resources
from hub.directory.ask import StoredDirectory
from hub.directory.tables import jurisdictions
from hub.directory.values import HOSPITALS, Address
from hub.fhir import dates
from hub.reports.month import run, write
from hub.reports.monthly import Month
from hub.running.parts import audit_key_path, checkpoints_path, make_checkpoints
from hub.running.prepare import operator, prepare
from hub.sealing import keep
from hub.sealing.keys import content_keys
from hub.settings import Settings
from hub.smart import clients


@dataclass(frozen=True, slots=True)
class StandIn:
    """A system outside the hub: `title` is its organisation's name."""

    name: str
    title: str
    organisation: str
    base: str
    port: int
    client_id: str

    def arguments(self, hub_base: str) -> list[str]:
        """The command line of its process."""
        return [
            "hub.demo.standin",
            "--name",
            self.name,
            "--port",
            str(self.port),
            "--hub-jwks",
            f"{hub_base}/oauth/jwks",
            "--client-id",
            self.client_id,
        ]

    @property
    def root(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def received(self, kind: str) -> list[dict[str, Any]]:
        """What has arrived there of one kind, oldest first."""
        answer = Fetcher(dev=True).request("GET", f"{self.base}/_received")
        return [m for m in json.loads(answer.content)["received"] if _kind(m) == kind]


def _kind(message: dict[str, Any]) -> str:
    if message["bundle_type"] == "document":
        return "report"
    return "referral" if "ServiceRequest" in message["types"] else "status"


@dataclass(frozen=True)
class Stage:
    """Everything the scenes need; `clients` are (client id, scope) by part."""

    folder: Path
    settings: Settings
    cast: dict[str, Any]
    hospital: StandIn
    centre: StandIn
    key: ECKey
    clients: dict[str, tuple[str, str]]

    @property
    def base(self) -> str:
        return self.settings.base_url

    @property
    def profiles(self) -> Path:
        return self.settings.profiles

    @property
    def programme(self) -> str:
        return str(self.cast["programme"])

    @property
    def first_desk(self) -> str:
        return str(self.cast["first"])

    @property
    def second_desk(self) -> str:
        return str(self.cast["second"])

    @property
    def samples(self) -> dict[str, Path]:
        folder = self.profiles / "samples"
        return {
            "excel": folder / self.cast["excel"],
            "csv": folder / self.cast["csv"],
        }

    @property
    def private_jwk(self) -> dict[str, Any]:
        return dict(self.key.as_dict(private=True))

    @cached_property
    def database(self) -> Database:
        made = Database(self.settings.database_url)
        keep(made, content_keys(self.settings))
        return made

    @property
    def environment(self) -> dict[str, str]:
        """What the hub's process is told."""
        return {
            "TSUNAGI_DATABASE_URL": self.settings.database_url,
            "TSUNAGI_STATE": str(self.settings.state),
            "TSUNAGI_BASE_URL": self.base,
        }


def make(folder: Path, port: int) -> Stage:
    """Migrate a fresh database, import the directory, register everybody."""

    settings = Settings(
        dev=True,
        base_url=f"http://127.0.0.1:{port}",
        database_url=f"sqlite:///{folder}/hub.db",
        state=folder / "state",
    )
    prepare(settings)
    cast = tomllib.loads((settings.profiles / "samples" / "demo.toml").read_text())
    database = Database(settings.database_url)
    key = ECKey.import_key(
        {**ECKey.generate_key("P-384").as_dict(private=True), "kid": "demo"}
    )
    with database.transaction() as session:
        hospital = _standin(session, "hospital", cast["source"], settings)
        centre = _standin(session, "centre", cast["first"], settings)
        registered = {
            part: _register(session, cast[part], role, key)
            for part, role in (
                ("source", "source"),
                ("first", "recipient"),
                ("second", "recipient"),
            )
        }
    database.close()
    return Stage(folder, settings, cast, hospital, centre, key, registered)


def count_directory(stage: Stage) -> dict[str, int]:
    """How much of the source's prefecture the directory holds."""
    with stage.database.transaction(write=False) as session:
        directory = StoredDirectory(session)
        source = directory.organisation(str(stage.cast["source"]))
        prefecture = (source.municipality or "")[:2] if source else ""
        here = [
            o
            for o in directory.organisations()
            if (o.municipality or "").startswith(prefecture)
        ]
        municipalities = session.execute(
            select(func.count(jurisdictions.c.municipality.distinct())).where(
                jurisdictions.c.municipality.like(f"{prefecture}%")
            )
        ).scalar_one()
    return {
        "municipalities": municipalities,
        "centres": sum(o.kind == "health-centre" for o in here),
        "hospitals": sum(o.kind in HOSPITALS for o in here),
    }


def _register(
    session: Any, organisation: str, role: str, key: ECKey
) -> tuple[str, str]:
    made = clients.register(
        session,
        organization=organisation,
        roles={role},
        jwks={"keys": [key.as_dict(private=False)]},
        name=f"demo {role}",
    )
    return made.client_id, made.scopes


def _standin(session: Any, name: str, organisation: str, settings: Settings) -> StandIn:
    """Choose a port and put the Endpoint into the directory."""
    port = free_port()
    base = f"http://127.0.0.1:{port}/fhir"
    endpoint = directory_resources.endpoint(
        Address(f"demo-{name}", organisation, base, "hl7-fhir-rest")
    )
    hub = Actor("demo", settings.organization, roles=frozenset({"hub"}))
    changes.put(session, By(hub), endpoint)
    found = StoredDirectory(session).organisation(organisation)
    title = found.name if found else organisation
    return StandIn(name, title, organisation, base, port, settings.base_url)


def verify_audit(stage: Stage) -> Report:
    """Wait until the sealer has caught up, anchor, then check the whole log."""
    deadline = time.monotonic() + 5
    while True:
        make_checkpoints(stage.settings).anchor(stage.database)
        report = verify(
            stage.database,
            checkpoints_path(stage.settings),
            load_key(audit_key_path(stage.settings)).public_key(),
        )
        if report.unsealed == 0 and report.anchored == report.sealed:
            return report
        if time.monotonic() > deadline:
            return report
        make_checkpoints(stage.settings).anchor(stage.database)
        time.sleep(0.2)


def report_month(stage: Stage) -> list[dict[str, Any]]:
    """Run this month's reports of the story's hospital, as `tsunagi report` does."""
    month = Month.parse(f"{dates.today():%Y-%m}")
    audit.observe(stage.database, stage.settings.organization, stage.base)
    with stage.database.transaction() as session:
        made = list(
            run(
                session,
                know(stage.settings),
                By(operator(stage.settings)),
                month,
                hospital=str(stage.cast["source"]),
            )
        )
    for one in made:
        write(one, stage.folder / "reports")
    return [
        {
            "centre": one.report.centre.name,
            "hospital": one.report.hospital.name,
            "count": one.report.count,
            "size": len(one.pdf) // 1024,
        }
        for one in made
    ]
