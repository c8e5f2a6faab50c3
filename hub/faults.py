"""What an error of the database means: try again, no room, too slow."""

import errno
import random
import time
from collections.abc import Callable
from typing import TypeVar

from sqlalchemy.exc import DBAPIError

T = TypeVar("T")

# Serialization failure, deadlock, and a key that another transaction took first.
_LOST = ("40001", "40P01", "23505")
_PAUSES = (0.01, 0.04, 0.16, 0.64)  # seconds before the second to the fifth try

# PostgreSQL says it in the language of its settings: there the code counts.
_FULL_CODES = ("53100", "58030")  # disk_full, io_error
_FULL = ("database or disk is full", "disk i/o error", "no space left", "disk full")
_SLOW_CODES = ("57014",)  # query_canceled, which is how statement_timeout ends one


def retried(act: Callable[[], T]) -> T:
    """Do `act`, again while PostgreSQL rolls its transaction back for another's sake.

    At most five times, then the database's error passes. `act` begins its own
    transaction and starts from what was received: nothing of a lost try is left,
    neither stored nor in memory. SQLite has one writer and takes nothing back.
    """
    for pause in _PAUSES:
        try:
            return act()
        except DBAPIError as error:
            if not is_lost(error):
                raise
            # Random, or two that met would meet again.
            time.sleep(random.uniform(0, pause))  # noqa: S311 - no secret
    return act()


def is_lost(error: BaseException) -> bool:
    """True when a transaction was rolled back for another's sake: try again."""
    return _code(error) in _LOST


def is_full(error: BaseException) -> bool:
    """True when there was no room for what was to be stored, in the database or in
    a file beside it."""
    if isinstance(error, OSError):
        return error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EIO)
    text = str(error).lower()
    return _code(error) in _FULL_CODES or any(sign in text for sign in _FULL)


def is_too_slow(error: BaseException) -> bool:
    """True when a statement was ended because it took longer than it may."""
    interrupted = str(getattr(error, "orig", "")) == "interrupted"  # SQLite
    return _code(error) in _SLOW_CODES or interrupted


def _code(error: BaseException) -> str | None:
    """The SQLSTATE; None on SQLite, which has none."""
    code: str | None = getattr(getattr(error, "orig", error), "sqlstate", None)
    return code
