"""One round of schemathesis over the OpenAPI document of a running hub.

Two organisations are its peers: what one of them reads of its own, the other asks for
too, and must be told that it is not there (security.md AB25).
"""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.restful.build import HOSPITAL, OTHER_HOSPITAL, a_caller, submit
from tests.running import RunningHub

CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "use_after_free",
    "ensure_resource_availability",
    "ignored_auth",
    "object_level_authorization",
)


@dataclass(frozen=True, slots=True)
class Round:
    """What came of it; `failures` is empty when nothing was found."""

    code: int
    printed: str

    @property
    def is_clean(self) -> bool:
        return self.code == 0


def fuzz(
    hub: RunningHub,
    folder: Path,
    *,
    peers: bool = True,
    seconds: int,
    seed: int,
    phases: Sequence[str],
    examples: int,
    only: str = "",
    workers: int = 1,
) -> Round:
    """Run for about `seconds`; a token lives 300, so no longer than that."""
    folder.mkdir(parents=True, exist_ok=True)
    callers = {
        name: a_caller(hub, organisation)
        for name, organisation in (("one", HOSPITAL), ("other", OTHER_HOSPITAL))
    }
    for caller in callers.values():
        submit(caller)
    auth = [
        {
            "name": name,
            "fixedHeaders": [
                {"name": "Authorization", "value": f"Bearer {caller.token}"}
            ],
        }
        for name, caller in callers.items()
    ]
    (folder / "auth.json").write_text(json.dumps({"auth": auth}))
    (folder / "schemathesis.toml").write_text(
        '[auth.wfc]\npath = "auth.json"\nuser = "one"\n'
        + ('peers = ["one", "other"]\n' if peers else "")
    )
    command = [
        str(Path(sys.executable).with_name("schemathesis")),
        *("--config-file", "schemathesis.toml"),
        "run",
        f"{hub.settings.base_url}/openapi.json",
        *("--checks", ",".join(CHECKS)),
        *("--phases", ",".join(phases)),
        *("--max-time", str(seconds)),
        *("--max-examples", str(examples)),
        *("--seed", str(seed)),
        *("--workers", str(workers)),
        *("--request-timeout", "20"),
        *("--generation-database", "none"),
        *("--warnings", "off"),
        "--continue-on-failure",
        "--no-shrink",
        "--suppress-health-check=all",
        "--no-color",
        *(("--include-path-regex", only) if only else ()),
    ]
    done = subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, "SCHEMATHESIS_HOOKS": ""},
        capture_output=True,
        text=True,
        timeout=seconds + 300,  # the examples and the coverage phase are not cut
        check=False,
    )
    return Round(done.returncode, done.stdout + done.stderr)
