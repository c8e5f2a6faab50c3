"""Hubs with content, and everything their database holds as bytes."""

import base64
import os
import shutil
import sqlite3
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.engine import make_url

from tests.restful.build import HOSPITAL, a_caller
from tests.running import Caller, RunningHub, running_hub


@pytest.fixture
def hub(database_url: str, tmp_path: Path) -> Iterator[RunningHub]:
    with running_hub(database_url, tmp_path / "state", drafts=True) as made:
        yield made


@pytest.fixture
def source(hub: RunningHub) -> Caller:
    return a_caller(hub, HOSPITAL)


def secret() -> bytes:
    """Content that stands nowhere else."""
    return b"only for the desk " + os.urandom(300)


def a_document(content: bytes, **over: Any) -> dict[str, Any]:
    attachment = {
        "contentType": "application/pdf",
        "title": "退院時の説明書",
        "data": base64.b64encode(content).decode(),
    }
    return {
        "resourceType": "DocumentReference",
        "status": "current",
        "description": "封をした説明書",
        "content": [{"attachment": attachment}],
        **over,
    }


def holds(hub: RunningHub, content: bytes) -> bool:
    """Whether content can be found in the database's files or in a dump of it."""
    forms = [content, base64.b64encode(content)[:200]]
    # PostgreSQL dumps bytes as hexadecimal digits.
    forms += [form.hex().encode() for form in forms]
    return any(form in _everything(hub) for form in forms)


def _everything(hub: RunningHub) -> bytes:
    url = make_url(hub.settings.database_url)
    if url.get_backend_name() != "sqlite":
        return _dump(url.render_as_string(hide_password=False))
    path = Path(str(url.database))
    logged = b"".join(one.read_bytes() for one in path.parent.glob(f"{path.name}-*"))
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return logged + path.read_bytes()


def _dump(url: str) -> bytes:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/pg_dump"))
    tool = str(found[-1]) if found else shutil.which("pg_dump")
    assert tool
    done = subprocess.run([tool, "--dbname", url], capture_output=True, check=True)
    return done.stdout
