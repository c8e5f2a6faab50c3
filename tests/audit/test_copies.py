"""Second places of checkpoints, and the key that signs them replaced."""

import json
import shutil
import socket
import stat
from pathlib import Path

import pytest
from sqlalchemy import update

from hub.audit.checkpoint import Checkpoints, load_key, load_public_key, sign
from hub.audit.copies import parse_copies
from hub.audit.rotate import rotate, trusted
from hub.audit.seal import Sealer
from hub.audit.tables import audit_head
from hub.audit.verify import verify
from tests.audit.conftest import START


def copying(log, *places: str) -> Checkpoints:
    copies = parse_copies(",".join(places))
    return Checkpoints(log.path, log.key, copies=copies)


def grow(log, checkpoints: Checkpoints, count: int) -> None:
    log.grow(count, anchored=False)
    checkpoints.anchor(log.database, log.at)
    checkpoints.copy()


def test_a_copy_on_another_volume_holds_every_line_and_verifies(log, tmp_path):
    copy = tmp_path / "other" / "copy.jsonl"
    checkpoints = copying(log, str(copy))
    for _ in range(3):
        grow(log, checkpoints, 2)
    checkpoints.copy()
    assert copy.read_bytes() == log.path.read_bytes()
    again = copying(log, str(copy))  # another process, another start
    grow(log, again, 2)
    again.copy()
    assert copy.read_bytes() == log.path.read_bytes()
    report = verify(log.database, copy, log.key.public_key())
    assert (report.is_intact, report.anchored) == (True, 8)


def test_A7_a_file_rewritten_with_the_key_does_not_match_its_copy(log, tmp_path):
    copy = tmp_path / "copy.jsonl"
    checkpoints = copying(log, str(copy))
    grow(log, checkpoints, 3)
    kept = copy.read_bytes()
    # Whoever holds the machine holds the key: database and file are made anew.
    with log.database.transaction(write=False) as session:
        session.execute(update(audit_head).values(hash=bytes(32)))
    log.path.unlink()
    checkpoints.anchor(log.database, log.at)
    checkpoints.copy()
    assert copy.read_bytes().startswith(kept)
    assert len(copy.read_bytes().splitlines()) == 2
    found = verify(log.database, copy, log.key.public_key())
    assert "HUB-AUD-006" in [problem.id for problem in found.problems]


def test_a_line_of_the_copy_torn_by_a_crash_is_followed_by_whole_ones(log, tmp_path):
    copy = tmp_path / "copy.jsonl"
    checkpoints = copying(log, str(copy))
    grow(log, checkpoints, 2)
    copy.write_bytes(copy.read_bytes()[:-20])
    grow(log, copying(log, str(copy)), 2)
    assert copy.read_bytes().splitlines()[1:] == log.path.read_bytes().splitlines()


@pytest.mark.parametrize("kind", ["udp", "unix"])
def test_each_new_checkpoint_reaches_syslog_once(log, tmp_path, kind):
    family = socket.AF_INET if kind == "udp" else socket.AF_UNIX
    with socket.socket(family, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0) if kind == "udp" else f"{tmp_path}/log")
        server.settimeout(5)
        where = f"syslog://{tmp_path}/log"
        if kind == "udp":
            where = f"syslog://127.0.0.1:{server.getsockname()[1]}"
        checkpoints = copying(log, where)
        grow(log, checkpoints, 2)
        grow(log, checkpoints, 2)
        checkpoints.copy()
        heard = [server.recv(8192) for _ in range(2)]
        server.setblocking(False)
        with pytest.raises(BlockingIOError):
            server.recv(8192)
    assert all(one.startswith(b"<85>1 ") for one in heard)
    lines = [one[one.index(b"{") :] for one in heard]
    assert lines == log.path.read_bytes().splitlines()


def test_a_copy_that_cannot_be_written_is_told_and_stops_no_anchor(log, tmp_path):
    (tmp_path / "full").write_text("a file where a folder should be")
    checkpoints = copying(log, str(tmp_path / "full" / "copy.jsonl"))
    log.grow(2, anchored=False)
    assert checkpoints.anchor(log.database, log.at).seq == 2
    with pytest.raises(OSError, match="full"):
        checkpoints.copy()
    sealer = Sealer(log.database, checkpoints.copy, interval=0.01)
    sealer.start()
    sealer.stop()
    assert not sealer.is_well


def rotated(log, tmp_path: Path) -> Path:
    path = tmp_path / "keys" / "audit.pem"
    log.grow(3)
    rotate(path, log.path, START)
    log.key = load_key(path)
    log.checkpoints = Checkpoints(log.path, log.key)
    log.grow(3)
    return path


def test_after_a_rotation_the_first_key_and_the_last_verify_the_whole_log(
    log, tmp_path
):
    first = log.key.public_key()
    path = rotated(log, tmp_path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert not path.with_name("audit.pem.next").exists()
    for keys in (first, trusted(path)):
        report = verify(log.database, log.path, keys)
        assert (report.is_intact, report.anchored, report.checkpoints) == (True, 6, 3)
    assert len(trusted(path)) == 2
    assert load_public_key(path.with_name("audit.pem.pub")) == log.key.public_key()


def test_what_the_former_key_signs_after_its_handover_is_refused(log, tmp_path):
    former = log.key
    path = rotated(log, tmp_path)
    log.grow(1, anchored=False)
    Checkpoints(log.path, former).anchor(log.database, log.at)
    report = verify(log.database, log.path, trusted(path))
    assert [found.id for found in report.problems] == ["HUB-AUD-007"]


def test_a_handover_that_nobody_signed_is_refused(log, tmp_path):
    log.grow(2)
    stranger = load_key(tmp_path / "stranger.pem", create=True)
    from dataclasses import replace

    from hub.audit.checkpoint import parse, raw_public

    last = parse(log.path.read_bytes().splitlines()[-1])
    assert last
    forged = replace(last[0], next=raw_public(stranger.public_key()))
    with log.path.open("ab") as file:
        file.write(sign(stranger, forged) + b"\n")
    assert log.problems() == ["HUB-AUD-007"]
    # A checkpoint's own signature does not serve as one of a handover.
    line = json.loads(log.path.read_bytes().splitlines()[0])
    line["next"] = raw_public(stranger.public_key())
    log.path.write_text(json.dumps(line) + "\n")
    assert log.problems() == ["HUB-AUD-007"]


def test_a_rotation_killed_half_way_is_completed_by_the_next(log, tmp_path):
    path = tmp_path / "keys" / "audit.pem"
    log.grow(3)
    saved = tmp_path / "saved.pem"
    shutil.copy(path, saved)
    rotate(path, log.path, START)
    # As if the process had died after the handover: the new key waits.
    shutil.copy(path, path.with_name("audit.pem.next"))
    shutil.copy(saved, path)
    before = log.path.read_bytes()
    rotate(path, log.path, START)
    assert log.path.read_bytes() == before
    log.key = load_key(path)
    log.checkpoints = Checkpoints(log.path, log.key)
    log.grow(1)
    assert verify(log.database, log.path, trusted(path)).is_intact


@pytest.mark.parametrize("wrong", ["syslog:", "syslog://", "syslog://h:x"])
def test_a_malformed_place_is_refused(wrong):
    with pytest.raises(ValueError, match=r"(?i)syslog|port"):
        parse_copies(wrong)
