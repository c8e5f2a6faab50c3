"""Structured logs: JSON lines with references and ids, never content (AB20)."""

import json
import logging
import re
import sys
import traceback
from types import TracebackType
from typing import Any, TextIO

import structlog


def set_up(*, dev: bool) -> None:
    """JSON to stderr; for people with `--dev`. Third-party logs from WARNING up."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Plain() if dev else _Lines())
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    # Query strings hold names: no access log, and httpx does not tell its URLs.
    for name in ("uvicorn.access", "httpx", "httpcore"):
        logging.getLogger(name).setLevel(logging.ERROR)
    renderer: structlog.types.Processor = (
        structlog.dev.ConsoleRenderer(colors=False, exception_formatter=_without_values)
        if dev
        else structlog.processors.JSONRenderer(serializer=_line)
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
    )


def _line(told: Any, **more: Any) -> str:
    """JSON of one line and no more, for whatever takes it apart (AB21).

    JSON itself lets pass what ends a line elsewhere, or begins a terminal's command.
    """
    text = json.dumps(told, ensure_ascii=False, **more)
    return _BREAKS.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


_BREAKS = re.compile("[\x7f-\x9f\u2028\u2029]")
_Failure = (
    tuple[type[BaseException], BaseException, TracebackType | None]
    | tuple[None, None, None]
)


def _frames(failure: _Failure) -> str:
    if failure[0] is None:
        return ""
    return f"{failure[0].__name__}\n{''.join(traceback.format_tb(failure[2]))}"


def _without_values(sio: TextIO, exc_info: _Failure) -> None:
    # structlog's own would print every local: tokens, bodies, people.
    sio.write("\n" + _frames(exc_info))


class _Plain(logging.Formatter):
    """A library's log without what an exception says: that may be a value or a name."""

    def formatException(self, ei: _Failure) -> str:  # noqa: N802 - logging's name
        return _frames(ei)


class _Lines(_Plain):
    """The same as one JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        told = {
            "event": record.getMessage().strip(),
            "logger": record.name,
            "level": record.levelname.lower(),
        }
        if record.exc_info:
            told["exception"] = self.formatException(record.exc_info)
        return _line(told)
