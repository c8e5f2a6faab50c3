"""`make fuzz`: atheris over the parsers that meet outside bytes (targets.py).

`python -m tests.fuzz.parsers [seconds for each] [targets …]`. Each runs in a process of
its own, begins with its corpus and adds what reaches new code to it. A finding is left
in the folder as `crash-…` and printed; the exit code is the number of targets that
failed.
"""

import re
import subprocess
import sys
from pathlib import Path

CORPUS = Path(__file__).parent / "corpus"
_MEMORY = 2048  # MB
_LONGEST = 4096  # bytes of an input
_SLOW = 10  # seconds that one input may take
_MODULES = [
    "hub.fhir",
    "hub.smart.assertion",
    "hub.smart.scopes",
    "hub.restful.call",
    "hub.restful.patching",
    "hub.restful.path_elements",
    "hub.restful.path_operation",
    "hub.restful.path_patch",
    "jsonpatch",
    "jsonpointer",
]
_SUMMARY = re.compile(rb"Done (\d+) runs in (\d+) second")


def main(seconds: int, names: list[str]) -> int:
    """Every target for so many seconds; how many found something."""
    found = 0
    for name in names:
        folder = CORPUS / name
        folder.mkdir(parents=True, exist_ok=True)
        done = subprocess.run(
            [sys.executable, "-m", "tests.fuzz.parsers", "--one", name, str(seconds)],
            capture_output=True,
            check=False,
        )
        told = _SUMMARY.search(done.stderr)
        runs = told[1].decode() if told else "?"
        is_bad = done.returncode != 0
        found += is_bad
        word = "FOUND" if is_bad else "clean"
        sys.stdout.write(f"{name}: {word}, {runs} inputs in {seconds} s\n")
        if is_bad:
            sys.stdout.write(done.stderr.decode("utf-8", "replace")[-4000:])
        sys.stdout.flush()
    return found


def run_one(name: str, seconds: int) -> None:
    """Fuzz one target in this process; does not return."""
    import atheris
    import structlog

    structlog.configure(logger_factory=structlog.ReturnLoggerFactory())
    with atheris.instrument_imports(include=_MODULES):
        from tests.fuzz.targets import TARGETS
    target = TARGETS[name]
    target(b"")  # what is made once is no part of the first input
    folder = CORPUS / name
    atheris.Setup(
        [
            sys.argv[0],
            str(folder),
            f"-max_total_time={seconds}",
            f"-max_len={_LONGEST}",
            f"-timeout={_SLOW}",
            f"-rss_limit_mb={_MEMORY}",
            f"-artifact_prefix={Path.cwd()}/",
        ],
        target,
    )
    atheris.Fuzz()


if __name__ == "__main__":
    if sys.argv[1:2] == ["--one"]:
        run_one(sys.argv[2], int(sys.argv[3]))
    given = sys.argv[1:]
    length = int(given[0]) if given else 300
    sys.exit(main(length, given[1:] or sorted(p.name for p in CORPUS.iterdir())))
