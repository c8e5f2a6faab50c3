"""A11: verifying needs the memory of a page, not of the log.

`make bench-audit` does it with a million rows in a process of its own.
"""

import tracemalloc

import pytest

from tests.bench.audit import fill


def peak_of_verifying(log) -> int:
    """Greatest memory (bytes) that verifying takes on top of what there was."""
    assert log.verify().is_intact  # what is made once is made
    tracemalloc.start()
    report = log.verify()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert report.is_intact
    return peak


@pytest.fixture
def grown(log):
    """Peaks at 300 rows and at five times as many."""

    def grow(page: int, monkeypatch) -> tuple[int, int]:
        monkeypatch.setattr("hub.audit.verify._PAGE", page)
        peaks = []
        for rows in (300, 1_200):
            fill(log.database, rows, seed=rows)
            log.anchor()
            peaks.append(peak_of_verifying(log))
        assert log.verify().sealed == 1_500
        return peaks[0], peaks[1]

    return grow


def test_A11_verifying_five_times_the_rows_takes_no_more_memory(grown, monkeypatch):
    small, large = grown(60, monkeypatch)
    assert large < small * 1.25


def test_A11_without_pages_the_memory_grows_with_the_rows(grown, monkeypatch):
    small, large = grown(1_000_000, monkeypatch)
    assert large > small * 2.5
