"""Strings that occur once in the world, and every place where they must not turn up.

A canary has an owner: the organisations that may see it. Whatever else is found to hold
it - an answer to somebody else, a log, a metric, a file, a message - is a leak.
"""

import base64
import binascii
import gzip
import io
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pypdf import PdfReader

_BIRD = re.compile(r"zq[0-9a-f]{2}q[0-9]{4}z", re.IGNORECASE)
_BASE64 = re.compile(rb"[A-Za-z0-9+/_-]{12,}={0,2}")
# An access token or an assertion has no business in any of them either (AB20).
_JWT = re.compile(r"eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}")


@dataclass
class Aviary:
    """Makes canaries and knows whose they are."""

    owners: dict[str, frozenset[str]] = field(default_factory=dict)

    def bird(self, *owners: str) -> str:
        """A new canary that these organisations may see."""
        group = f"{abs(hash(owners)) % 256:02x}"
        made = f"zq{group}q{len(self.owners):04d}z"
        self.owners[made] = frozenset(owners)
        return made

    def seeded(self, value: Any, *owners: str) -> Any:
        """A copy whose words for people carry a canary each; codes stay as they are."""
        if isinstance(value, dict):
            return {
                k: f"{v} {self.bird(*owners)}"
                if k in _WORDS and isinstance(v, str)
                else self.seeded(v, *owners)
                for k, v in value.items()
            }
        if isinstance(value, list):
            return [self.seeded(one, *owners) for one in value]
        return value

    def strange(self, sink: bytes | str, *readers: str) -> set[str]:
        """Canaries in a sink that none of its readers may see."""
        return {
            bird
            for bird in birds(sink)
            if not self.owners.get(bird, frozenset()) & set(readers)
        }


_WORDS = (
    *("text", "family", "display", "title", "description", "comment", "valueString"),
    *("div", "line", "note", "name", "contentString", "conclusion", "summary"),
)


def birds(sink: bytes | str) -> set[str]:
    """Canaries in bytes, also in what is packed or coded in them."""
    raw = sink.encode("utf-8", "surrogatepass") if isinstance(sink, str) else sink
    found: set[str] = set()
    for text in _layers(raw, 0):
        found |= {one.lower() for one in _BIRD.findall(text)}
    return found


def tokens(sink: bytes | str, issued: Iterable[str]) -> set[str]:
    """Access tokens and JWTs in a sink, shortened."""
    text = sink.decode("utf-8", "replace") if isinstance(sink, bytes) else sink
    found = {one[:12] for one in issued if one in text}
    return found | {one[:12] for one in _JWT.findall(text)}


def files(*folders: Path) -> Iterator[Path]:
    for folder in folders:
        yield from (path for path in sorted(folder.rglob("*")) if path.is_file())


def _layers(raw: bytes, depth: int) -> Iterator[str]:
    """The text itself, of a PDF, of gzip, of JSON escapes, of base64 inside."""
    text = raw.decode("utf-8", "replace")
    yield text
    if "\\u" in text:
        yield re.sub(r"\\u([0-9a-fA-F]{4})", lambda m: chr(int(m[1], 16)), text)
    if depth > 1:
        return
    if raw[:2] == b"\x1f\x8b":
        yield from _layers(gzip.decompress(raw), depth + 1)
    if raw[:5] == b"%PDF-":
        pages = PdfReader(io.BytesIO(raw)).pages
        yield "".join("".join(page.extract_text().split()) for page in pages)
    for match in _BASE64.findall(raw):
        try:
            inside = base64.urlsafe_b64decode(
                match.rstrip(b"=").replace(b"+", b"-").replace(b"/", b"_")
                + b"=" * (-len(match.rstrip(b"=")) % 4)
            )
        except (ValueError, binascii.Error):
            continue
        yield from _layers(inside, depth + 1)
