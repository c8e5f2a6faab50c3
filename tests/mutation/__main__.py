"""`python -m tests.mutation [GROUP ...]`: how many planted mutants the tests notice.

mutmut works in a copy of the tree below `build/`, on SQLite alone, with the tests that
are about the group. It plants nothing at module level: constants and tables are the
business of the tests that pin them. What survives is listed at the end, and in
`survivors.md` with the reason why it may.
"""

import os
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
# What decides, and the tests whose business it is, quickest first.
GROUPS = {
    "consent": ["tests/consent"],
    "disclosure": ["tests/disclosure"],
    "smart": ["tests/smart"],
}
_PARTS = ("hub", "mappings", "connectors", "profiles", "tests")


def main(*groups: str) -> int:
    """Run the groups, all of them when none is named; 0 when each has its 95 %."""
    scores = [_one(name) for name in groups or GROUPS]
    return 0 if min(scores) >= 0.95 else 1


def _one(group: str) -> float:
    folder = ROOT / "build" / f"mutants-{group}"
    if not folder.exists():
        _copy(folder, group)
    environment = {**os.environ, "PYTHONPATH": str(folder / "mutants")}
    environment.pop("TSUNAGI_TEST_POSTGRES", None)
    mutmut = str(Path(sys.executable).with_name("mutmut"))
    command = [mutmut, "run", "--max-children", os.environ.get("CHILDREN", "2")]
    subprocess.run(command, cwd=folder, env=environment, check=False)
    said = subprocess.run(
        [mutmut, "results", "--all", "true"],
        cwd=folder,
        env=environment,
        check=True,
        capture_output=True,
        text=True,
    )
    return _told(group, said.stdout)


def _copy(folder: Path, group: str) -> None:
    folder.mkdir(parents=True)
    for part in _PARTS:
        leave = shutil.ignore_patterns("__pycache__", "node_modules")
        shutil.copytree(ROOT / part, folder / part, ignore=leave)
    settings = (ROOT / "pyproject.toml").read_text("utf-8")
    tests = ", ".join(f'"{one}"' for one in GROUPS[group])
    (folder / "pyproject.toml").write_text(
        f"{settings}\n[tool.mutmut]\n"
        f'source_paths = ["hub"]\nonly_mutate = ["hub/{group}/*"]\n'
        'also_copy = ["mappings", "connectors", "profiles"]\n'
        'pytest_add_cli_args = ["-n", "0", "-p", "no:randomly"]\n'
        f"pytest_add_cli_args_test_selection = [{tests}]\n"
        "use_setproctitle = false\nuse_git_change_detection = false\n",
        encoding="utf-8",
    )


def _told(group: str, printed: str) -> float:
    """Say the score and what survived; killed by the sum of what was run."""
    counts: Counter[str] = Counter()
    survived = []
    for line in printed.splitlines():
        name, _, state = line.strip().rpartition(": ")
        if name.startswith("hub."):
            counts[state] += 1
            if state in ("survived", "no tests", "suspicious"):
                survived.append(f"{name} ({state})")
    ran = sum(
        n for state, n in counts.items() if state not in ("not checked", "skipped")
    )
    killed = counts["killed"] + counts["timeout"] + counts["caught by type check"]
    score = killed / ran if ran else 0.0
    by_state = ", ".join(f"{state} {n}" for state, n in sorted(counts.items()))
    _say(f"{group}: {killed} of {ran} killed, {score:.1%} ({by_state})")
    for name in survived:
        _say(f"  {name}")
    return score


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
