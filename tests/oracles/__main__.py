"""`python -m tests.oracles [SEEDS] [ROUNDS] [FIRST] [DATABASE]`: twin worlds.

On every database there is unless one is named.

Prints one line a seed that leaks and a sum at the end; the exit code says whether any
byte differed. With PostgreSQL where TSUNAGI_TEST_POSTGRES names a server.
"""

import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hub.database import Database
from hub.migrations import upgrade
from tests.conftest import BACKENDS, _admin, _url
from tests.oracles.twin import Report, compare
from tests.oracles.worlds import copied


def main(
    seeds: str = "200", rounds: str = "60", first: str = "0", only: str = ""
) -> int:
    backends = [name for name in BACKENDS if only in ("", name)]
    return max(_all(name, int(seeds), int(rounds), int(first)) for name in backends)


def _all(backend: str, seeds: int, rounds: int, first: int) -> int:
    """1 when a byte differed on this database, else 0."""
    total, started = Report(), time.monotonic()
    with tempfile.TemporaryDirectory() as name, _template(backend, Path(name)) as made:
        for seed in range(first, first + seeds):
            found = _one(backend, made, Path(name), seed, rounds)
            total.add(found)
            for leak in found.leaks:
                _say(f"{backend} {leak}")
            if seed % 10 == 0:
                _say(f"{backend}: seed {seed}, {total.asked} asked")
    by_status = ", ".join(
        f"{status} {sum(n for (_, s), n in total.statuses.items() if s == status)}"
        for status in sorted({status for _, status in total.statuses})
    )
    _say(
        f"{backend}: {seeds} seeds from {first}, {total.asked} requests to each of"
        f" two hubs in {time.monotonic() - started:.0f} s,"
        f" {len(total.leaks)} differ ({by_status})"
    )
    return 1 if total.leaks else 0


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


@contextmanager
def _template(backend: str, folder: Path) -> Iterator[str]:
    """A migrated, empty database to copy: a file, or the name of one."""
    name = f"tsunagi_twin_{folder.name.lower().replace('-', '_')}"
    url = f"sqlite:///{folder}/template.db"
    if backend == "postgresql":
        _admin(f"CREATE DATABASE {name}")
        url = _url(name)
    database = Database(url)
    upgrade(database)
    database.close()
    yield name if backend == "postgresql" else str(folder / "template.db")
    if backend == "postgresql":
        _admin(f"DROP DATABASE {name} WITH (FORCE)")


def _one(backend: str, template: str, folder: Path, seed: int, rounds: int) -> Report:
    place = folder / str(seed)
    place.mkdir()
    if backend == "sqlite":
        return compare(copied(Path(template), place), place, seed, rounds)
    names = [f"{template}_{number}" for number in (0, 1)]
    for name in names:
        _admin(f"CREATE DATABASE {name} TEMPLATE {template}")
    try:
        return compare([_url(name) for name in names], place, seed, rounds)
    finally:
        for name in names:
            _admin(f"DROP DATABASE {name} WITH (FORCE)")


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
