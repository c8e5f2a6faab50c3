"""`python -m tests.abuse [SAMPLES]`: timing of hidden against absent (AB19), one hub.

2,000 interleaved samples of each pair, medians and Kolmogorov-Smirnov.
"""

import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from hub.database import Database
from hub.migrations import upgrade
from tests.abuse.timing import compared, nobody
from tests.restful.build import HOSPITAL, OTHER_HOSPITAL, a_caller, submit
from tests.running import RunningHub, running_hub
from tests.smart.build import ASSERTION_TYPE, assertion, ec_key

Pair = tuple[Callable[[], object], Callable[[], object]]


def pairs(hub: RunningHub) -> dict[str, Pair]:
    """What must not be told apart, each as (hidden or known, absent or unknown)."""
    asker, other = a_caller(hub, HOSPITAL), a_caller(hub, OTHER_HOSPITAL)
    hidden = [submit(other)["Patient"].partition("/")[2] for _ in range(20)]
    mine = submit(asker)
    del mine

    def theirs(path: str) -> Callable[[], object]:
        turns = iter(range(10**9))
        return lambda: asker.get(path.format(id=hidden[next(turns) % len(hidden)]))

    def none(path: str) -> Callable[[], object]:
        return lambda: asker.get(path.format(id=nobody()))

    paths = ("/Patient/{id}", "/Patient/{id}/_history", "/Patient?_id={id}")
    made: dict[str, Pair] = {path: (theirs(path), none(path)) for path in paths}
    made["token of an unknown client"] = (
        lambda: _token(hub, asker.client_id, wrong=True),
        lambda: _token(hub, nobody(), wrong=True),
    )
    return made


def _token(hub: RunningHub, client: str, *, wrong: bool) -> int:
    key = ec_key("ec-wrong") if wrong else ec_key()
    made = assertion(client, key, hub.settings.token_url, {"kid": "ec"})
    form = {
        "grant_type": "client_credentials",
        "client_assertion_type": ASSERTION_TYPE,
        "client_assertion": made,
        "scope": "system/Task.rs",
    }
    return hub.http.post("/oauth/token", data=form).status_code


def main(samples: int = 2000) -> int:
    is_alike = True
    with tempfile.TemporaryDirectory() as name:
        url = f"sqlite:///{name}/hub.db"
        database = Database(url)
        upgrade(database)
        database.close()
        with running_hub(url, Path(name) / "state") as hub:
            for what, (one, other) in pairs(hub).items():
                found = compared(one, other, samples)
                is_alike &= found.is_alike
                sys.stdout.write(
                    f"{what}: {found.one * 1000:.3f} ms and {found.other * 1000:.3f} ms,"
                    f" KS {found.distance:.4f} (limit {found.limit:.4f},"
                    f" {samples} of each)\n"
                )
    return 0 if is_alike else 1


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))
