"""Ask both worlds the same and keep what differs: every byte that does is a leak."""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx

from tests.oracles.asking import Asked, Asking, Key
from tests.oracles.worlds import BASE, Twins, asking, disturb, twins

PAGES = 4


@dataclass
class Report:
    """`leaks` are told in words; `statuses` show that the doors were really tried."""

    asked: int = 0
    leaks: list[str] = field(default_factory=list)
    statuses: Counter[tuple[str, int]] = field(default_factory=Counter)

    def add(self, other: "Report") -> None:
        self.asked += other.asked
        self.leaks += other.leaks
        self.statuses += other.statuses


def compare(
    urls: Sequence[str], folder: Path, seed: int, rounds: int, *, alike: bool = False
) -> Report:
    """One seed: two hubs over these databases, `rounds` requests and their pages.

    With `alike` nothing is hidden, and only the databases differ.
    """
    with twins(urls, folder, seed, alike=alike) as made:
        report = Report()
        source = Asking(made, lambda key: _own(made, key))
        for asked in islice(source.requests(), rounds):
            if made.random.randrange(8) == 0:
                disturb(made, 1)
            _ask(made, asked, report, f"seed {seed}, {made.asker}")
        return report


def _ask(made: Twins, asked: Asked, report: Report, where: str) -> None:
    method, path, headers, body = asked.method, asked.path, asked.headers, asked.body
    for _ in range(PAGES if asked.walks else 1):
        one, two = made.ask(method, path, headers, body)
        report.asked += 1
        report.statuses[method, one.status_code] += 1
        if seen(one) != seen(two) or one.status_code >= 500:
            report.leaks.append(_told(where, method, path, body, one, two))
        following = _next(one)
        if not asked.walks or following is None:
            return
        method, path, headers, body = "GET", following, {}, b""


def seen(answer: httpx.Response) -> tuple[int, list[tuple[str, str]], bytes]:
    """All of an answer but the server's Date."""
    headers = [(k, v) for k, v in answer.headers.multi_items() if k != "date"]
    return answer.status_code, headers, answer.content


def _next(answer: httpx.Response) -> str | None:
    if answer.status_code != 200 or not answer.content.startswith(b"{"):
        return None
    links = {one["relation"]: one["url"] for one in answer.json().get("link", ())}
    if "next" not in links:
        return None
    parts = urlsplit(links["next"].removeprefix(f"{BASE}/fhir/R4"))
    return f"{parts.path}?{parts.query}"


def _own(made: Twins, key: Key) -> dict[str, Any] | None:
    """What the asker itself reads under a key, in the world without others."""
    made.steps += 1
    made.clock.step(f"own-{made.steps}")
    answer = asking(made.plain, made.asker).get(
        "/{}/{}".format(*key), headers={"Accept": "application/fhir+json"}
    )
    found: dict[str, Any] | None = None
    if answer.status_code == 200:
        found = json.loads(answer.content)
    return found


def _told(
    where: str,
    method: str,
    path: str,
    body: bytes,
    one: httpx.Response,
    two: httpx.Response,
) -> str:
    return (
        f"{where}: {method} {path} {body[:600]!r}\n"
        f"  alone: {one.status_code} {dict(one.headers)} {one.text[:700]}\n"
        f"  with others: {two.status_code} {dict(two.headers)} {two.text[:700]}"
    )
