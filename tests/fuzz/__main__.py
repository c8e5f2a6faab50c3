"""`make fuzz`: rounds of schemathesis over a few types each, each with its own hub.

A type's coverage phase alone takes seconds, so that no round could have them all;
every type has its turn.

`python -m tests.fuzz [seconds] [seed]`. Prints the report of the rounds that found
something; the exit code is their number. A round is shorter than a token's life.
"""

import random
import sys
import tempfile
import time
from pathlib import Path

from hub.database import Database
from hub.disclosure.classes import PUBLIC_TYPES
from hub.migrations import upgrade
from hub.restful.served import SERVED
from tests.fuzz.run import Round, fuzz
from tests.running import running_hub

PUBLIC_NAMES = {*PUBLIC_TYPES}
_ROUND = 120  # seconds
_TYPES = 3  # of a round
_PHASES = ("examples", "coverage", "fuzzing", "stateful")


def main(seconds: int, seed: int) -> int:
    """How many rounds found something."""
    ends, bad, turn = time.monotonic() + seconds, 0, 0
    # Of what is public another organisation reads the same: those have no peers.
    types = sorted(SERVED)
    random.Random(seed).shuffle(types)
    types.sort(key=lambda name: name in PUBLIC_NAMES)
    while (left := ends - time.monotonic()) > 0:
        chosen = [types[(turn + n) % len(types)] for n in range(_TYPES)]
        found = _round(min(_ROUND, max(10, int(left))), seed, chosen)
        word = "clean" if found.is_clean else "FOUND"
        _say(f"seed {seed} {' '.join(chosen)}: {word}")
        turn += _TYPES
        if not found.is_clean:
            bad += 1
            _say(found.printed)
        seed += 1
    return bad


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def _round(seconds: int, seed: int, types: list[str]) -> Round:
    only = rf"/R4$|oauth|intake|/({'|'.join(types)})\b"
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        url = f"sqlite:///{folder}/hub.db"
        database = Database(url)
        upgrade(database)
        database.close()
        with running_hub(url, folder, drafts=True) as hub:
            return fuzz(
                hub,
                folder / "fuzz",
                peers=not PUBLIC_NAMES & {*types},
                seconds=seconds,
                seed=seed,
                phases=_PHASES,
                examples=20,
                only=only,
            )


if __name__ == "__main__":
    given = [int(one) for one in sys.argv[1:]]
    seconds, seed = [*given, *(600, int(time.time()))[len(given) :]][:2]
    sys.exit(min(main(seconds, seed), 100))
