"""`make fuzz`: atheris over the parsers that meet outside bytes (targets.py).

`python -m tests.fuzz.parsers [seconds for each] [targets …]`. Each runs in a process of
its own and begins with its corpus, to which what reached new code is added. A finding
is left in the folder as `crash-…` and printed; the exit code is the number of targets
that failed.
"""

import re
import shutil
import subprocess
import sys
import tempfile
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
_KEPT = 60  # inputs of a target
_SUMMARY = re.compile(rb"Done (\d+) runs in (\d+) second")


def main(seconds: int, names: list[str]) -> int:
    """Every target for so many seconds; how many found something."""
    found = 0
    for name in names:
        with tempfile.TemporaryDirectory() as made:
            told, is_bad = _run(name, made, seconds)
            kept = _keep(CORPUS / name, Path(made))
        runs = _SUMMARY.search(told)
        word = "FOUND" if is_bad else "clean"
        counted = runs[1].decode() if runs else "?"
        _say(f"{name}: {word}, {counted} inputs in {seconds} s, {kept} kept")
        if is_bad:
            found += 1
            _say(told.decode("utf-8", "replace")[-4000:])
    return found


def _keep(corpus: Path, made: Path) -> int:
    """Add what reached new code, the shortest first, up to a number that is replayed
    in every run of the tests; how many there are now."""
    there = {path.name for path in corpus.iterdir()}
    for path in sorted(made.iterdir(), key=lambda path: path.stat().st_size):
        if len(there) < _KEPT and path.name not in there:
            shutil.copyfile(path, corpus / path.name)
            there.add(path.name)
    return len(there)


def _run(name: str, made: str, seconds: int) -> tuple[bytes, bool]:
    """A process for a target: libFuzzer ends its process. What it said, if it failed."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.fuzz.parsers", "--one", name, made, str(seconds)],
        capture_output=True,
        check=False,
    )
    return done.stderr, done.returncode != 0


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def one(name: str, made: str, seconds: str) -> None:
    """Fuzz a target in this process, new inputs into `made`; never returns."""
    import atheris
    import structlog

    structlog.configure(logger_factory=structlog.ReturnLoggerFactory())
    with atheris.instrument_imports(include=_MODULES):
        from tests.fuzz.targets import TARGETS
    target = TARGETS[name]
    target(b"")  # what is made once is no part of the first input
    atheris.Setup(
        [
            sys.argv[0],
            # libFuzzer replaces files of its first folder by shorter ones.
            made,
            str(CORPUS / name),
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
        one(*sys.argv[2:])
    given = sys.argv[1:]
    length = int(given[0]) if given else 300
    sys.exit(main(length, given[1:] or sorted(p.name for p in CORPUS.iterdir())))
