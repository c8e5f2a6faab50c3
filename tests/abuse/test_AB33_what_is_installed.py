"""AB33: what is installed is what was looked at: every requirement has its hashes."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
LOCKS = sorted((ROOT / "requirements").glob("*.txt"))
_NAME = re.compile(r"^([A-Za-z0-9._-]+(?:\[[a-z,]+\])?)==(\S+)", re.MULTILINE)


@pytest.mark.parametrize("lock", LOCKS, ids=lambda path: path.name)
def test_AB33_every_requirement_is_pinned_to_its_hashes(lock):
    text = lock.read_text("utf-8")
    blocks = re.split(r"(?m)^(?=[A-Za-z0-9])", text)
    found = [block for block in blocks if _NAME.match(block)]
    assert len(found) > 20
    for block in found:
        assert "--hash=sha256:" in block, block.splitlines()[0]
    assert not re.search(r"(?m)^\s*(-e|git\+|https?://)", text)


def test_AB33_versions_with_known_faults_are_not_used():
    """CVE-2024-37568, -2025-61920 and -2026-27962 of authlib (security.md §2.1)."""
    run = (ROOT / "requirements" / "run.txt").read_text("utf-8")
    versions = {name.lower(): version for name, version in _NAME.findall(run)}
    assert tuple(map(int, versions["authlib"].split(".")[:3])) >= (1, 9, 9)
    assert tuple(map(int, versions["lxml"].split(".")[:2])) >= (6, 1)


def test_AB33_make_installs_with_hashes_alone():
    made = (ROOT / "Makefile").read_text("utf-8")
    assert "--require-hashes" in made
