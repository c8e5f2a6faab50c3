"""The signed checkpoints outside the database."""

import stat
from datetime import timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP384R1, generate_private_key
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from sqlalchemy import delete, update

from hub.audit.checkpoint import (
    Checkpoints,
    SetBackError,
    load_key,
    load_public_key,
    parse,
)
from hub.audit.tables import audit_head, audit_seal


def test_a_checkpoint_is_written_once_per_state_and_outlives_a_restart(log):
    log.grow(4)
    assert log.anchor() == 4
    again = Checkpoints(log.path, log.key)
    assert again.anchor(log.database).seq == 4
    assert len(log.path.read_bytes().splitlines()) == 1


def test_a_checkpoint_is_due_after_so_many_rows_or_seconds(log):
    checkpoints = Checkpoints(log.path, log.key, every=5, seconds=60)
    log.grow(1, anchored=False)
    assert checkpoints.anchor_if_due(log.database, log.at)  # the first at once
    log.grow(4, anchored=False)
    assert not checkpoints.anchor_if_due(log.database, log.at)
    log.grow(1, anchored=False)
    assert checkpoints.anchor_if_due(log.database, log.at)
    log.grow(1, anchored=False)
    assert not checkpoints.anchor_if_due(log.database, log.at)
    assert checkpoints.anchor_if_due(log.database, log.at + timedelta(seconds=61))
    assert not checkpoints.anchor_if_due(log.database, log.at + timedelta(days=1))


def test_a_line_torn_by_a_crash_is_dropped_and_the_file_stays_readable(log):
    log.grow(3)
    whole = log.path.read_bytes()
    log.path.write_bytes(whole + whole[: len(whole) // 2])
    log.grow(3)
    assert log.path.read_bytes().startswith(whole)
    report = log.verify()
    assert report.is_intact
    assert report.checkpoints == 2


def test_a_database_that_is_behind_its_checkpoint_is_never_anchored_again(log):
    log.grow(5)
    with log.database.transaction(write=False) as session:
        session.execute(delete(audit_seal).where(audit_seal.c.seq > 3))
        session.execute(update(audit_head).values(seq=3))
    with pytest.raises(SetBackError, match=r"checkpoints\.jsonl"):
        log.anchor()


def test_the_key_is_readable_by_its_owner_only_and_has_a_public_half(tmp_path):
    path = tmp_path / "audit.pem"
    key = load_key(path, create=True)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    raw = key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    for source in (path, tmp_path / "audit.pem.pub"):
        public = load_public_key(source)
        assert public.public_bytes(Encoding.Raw, PublicFormat.Raw) == raw
    again = load_key(path).public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    assert again == raw


def test_a_missing_or_foreign_key_is_a_clear_error(tmp_path):
    with pytest.raises(FileNotFoundError, match="署名鍵"):
        load_key(tmp_path / "absent.pem")
    other = generate_private_key(SECP384R1())
    private = tmp_path / "ec.pem"
    private.write_bytes(
        other.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    )
    public = tmp_path / "ec.pub"
    public.write_bytes(
        other.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    )
    with pytest.raises(ValueError, match="Ed25519"):
        load_key(private)
    with pytest.raises(ValueError, match="Ed25519"):
        load_public_key(public)


@pytest.mark.parametrize(
    "line",
    [b"", b"{}", b"[]", b'{"seq":"x"}', b'{"seq":1,"head":"","count":1,"time":""}'],
)
def test_an_unreadable_line_is_none(line):
    assert parse(line) is None
