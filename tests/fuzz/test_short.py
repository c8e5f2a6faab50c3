"""A short run of schemathesis in every run of the tests; `make fuzz` runs it long."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from hub.store.visibility import hub_sees_all
from tests.fuzz.run import fuzz
from tests.running import RunningHub, running_hub


@pytest.fixture
def hub(tmp_path: Path, sqlite_template: Path) -> Iterator[RunningHub]:
    shutil.copyfile(sqlite_template, tmp_path / "hub.db")
    with running_hub(f"sqlite:///{tmp_path}/hub.db", tmp_path, drafts=True) as made:
        yield made


# One type of each sort, the door and tokens: all types have the same routes. Of what
# is public another organisation reads the same, as it should.
SOME = r"/R4$|/(Patient|Task|List|AuditEvent)(/\{id\})?$|oauth"


def test_AB25_what_the_hub_answers_is_what_the_document_says(hub, tmp_path):
    found = fuzz(
        hub,
        tmp_path / "fuzz",
        seconds=14,
        seed=1,
        phases=("examples", "fuzzing", "stateful"),
        examples=3,
        only=SOME,
    )
    assert found.is_clean, found.printed
    told = hub.http.get("/metrics").text
    # It was let in and made things; else it would have tried nothing.
    made = 'method="POST",route="/fhir/R4/{type}",status="201"'
    assert made in told


def test_AB25_a_missing_owner_check_would_be_found(hub, tmp_path, monkeypatch):
    monkeypatch.setattr("hub.restful.visible.visible_to", lambda _actor: hub_sees_all)
    found = fuzz(
        hub,
        tmp_path / "fuzz",
        seconds=10,
        seed=1,
        phases=("examples", "stateful"),
        examples=5,
        only=r"/Patient(/\{id\})?$",
    )
    assert not found.is_clean
    assert "owns" in found.printed
