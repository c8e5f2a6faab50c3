"""Every input that fuzzing has kept is read again in every run (`make fuzz` adds)."""

import time

import pytest

from tests.fuzz.targets import CORPUS, TARGETS

_SECONDS = 5.0  # for one input: what takes longer is a finding (AB26)


@pytest.mark.parametrize("name", TARGETS)
def test_AB26_J12_every_input_of_the_corpus_is_read_or_refused(name):
    target = TARGETS[name]
    target(b"")
    inputs = sorted((CORPUS / name).iterdir())
    assert inputs
    for path in inputs:
        began = time.monotonic()
        target(path.read_bytes())
        assert time.monotonic() - began < _SECONDS, path.name


def test_the_corpus_has_a_folder_for_every_target():
    assert {path.name for path in CORPUS.iterdir()} == set(TARGETS)
