"""Structured logs: JSON lines with references and ids, never content (AB20)."""

import logging
import sys

import structlog


def set_up(*, dev: bool) -> None:
    """JSON to stderr; for people with `--dev`. Third-party logs from WARNING up."""
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    # Query strings hold names: no access log, and httpx does not tell its URLs.
    for name in ("uvicorn.access", "httpx", "httpcore"):
        logging.getLogger(name).setLevel(logging.ERROR)
    renderer: structlog.types.Processor = (
        structlog.dev.ConsoleRenderer(colors=False)
        if dev
        else structlog.processors.JSONRenderer(ensure_ascii=False)
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
