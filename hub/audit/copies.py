"""Second places for checkpoints: a file on another volume, or a syslog server.

Who holds the machine can rewrite database and checkpoint file together, with the key
that lies there. A copy that this machine can only add to says what was. A file copy
is read by `tsunagi audit verify --checkpoints COPY`; of a syslog server's log the JSON
of each line, cut out, is such a file.
"""

import fcntl
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Protocol
from urllib.parse import urlsplit

LONGEST = 4096  # bytes of one line, generous
_PRIORITY = 10 * 8 + 5  # facility authpriv, severity notice (RFC 5424 §6.2.1)
_SYSLOG_PORT = 514


class Copy(Protocol):
    """Takes what a file of checkpoints has and it has not yet."""

    def take(self, path: Path) -> None:
        """Raises OSError when it cannot be written."""


def lines(path: Path, size: int) -> Iterator[bytes]:
    """The lines within the first `size` bytes, one by one."""
    if not path.exists():
        return
    with path.open("rb") as file:
        while size > 0 and (line := file.readline(LONGEST)):
            size -= len(line)
            yield line.rstrip(b"\n")


class _Tail:
    """Where in the file a copy stands; what was added since is read once."""

    def __init__(self) -> None:
        self._offset = 0  # bytes of the file that the copy has
        self._state: tuple[int, int, int] | None = None
        self._known: bytes | None = None

    def fresh(self, path: Path, last: bytes | None) -> list[bytes]:
        """Whole lines that the copy, whose last line is `last`, has not.

        All lines when `last` is not among them: the file was rewritten. Then both
        versions stand in the copy, and `verify` tells them apart.
        """
        found = path.stat() if path.exists() else None
        state = (found.st_ino, found.st_size, found.st_mtime_ns) if found else None
        # A volume that was exchanged for an empty one holds another last line.
        if found is None or (state == self._state and last == self._known):
            return []
        with path.open("rb") as file:
            if not _ends_with(file, self._offset, last):
                self._offset = _end_of(path, last)
            file.seek(self._offset)
            whole = file.read(found.st_size - self._offset).rpartition(b"\n")[0]
        if not whole:
            self._state, self._known = state, last
        return whole.split(b"\n") if whole else []

    def taken(self, found: list[bytes]) -> None:
        """These lines are in the copy now."""
        self._offset += sum(len(line) + 1 for line in found)


def _ends_with(file: IO[bytes], offset: int, last: bytes | None) -> bool:
    """True when what precedes an offset is that line."""
    if last is None or offset <= len(last):
        return False
    file.seek(offset - len(last) - 1)
    return file.read(len(last) + 1) == last + b"\n"


class FileCopy:
    """The same lines in a second file. What the first one lost stays in the second."""

    def __init__(self, target: Path) -> None:
        self._target = target
        self._tail = _Tail()

    def take(self, path: Path) -> None:
        self._target.parent.mkdir(parents=True, exist_ok=True)
        with self._target.open("a+b") as file:
            fcntl.flock(file, fcntl.LOCK_EX)  # freed by close
            found = self._tail.fresh(path, _last(file.fileno()))
            if not found:
                return
            file.seek(0, os.SEEK_END)
            file.writelines(line + b"\n" for line in found)
            file.flush()
            os.fsync(file.fileno())
        self._tail.taken(found)


class SyslogCopy:
    """Each new line as one message (RFC 5424) to `syslog://HOST:PORT` or a socket.

    `syslog:///dev/log` is the machine's own daemon, which forwards. Over UDP nobody
    says whether it arrived: a place beside a file, not instead of one.
    """

    def __init__(self, url: str) -> None:
        split = urlsplit(url)
        self._socket: str | tuple[str, int] = split.path
        if split.hostname:
            self._socket = (split.hostname, split.port or _SYSLOG_PORT)
        self._tail = _Tail()
        self._sent: bytes | None = None

    def take(self, path: Path) -> None:
        found = self._tail.fresh(path, self._sent)
        if not found:
            return
        # At a start the last one alone: what was sent before is not known.
        sent = found if self._sent is not None else found[-1:]
        family = socket.AF_UNIX if isinstance(self._socket, str) else socket.AF_INET
        with socket.socket(family, socket.SOCK_DGRAM) as sender:
            for line in sent:
                said = b"<%d>1 - - tsunagi - audit-checkpoint - %b" % (_PRIORITY, line)
                sender.sendto(said, self._socket)
        self._sent = found[-1]
        self._tail.taken(found)


def parse_copies(text: str) -> list[Copy]:
    """Paths and `syslog:` URLs, separated by commas; ValueError for anything else."""
    return [_copy(one.strip()) for one in text.split(",") if one.strip()]


def _copy(text: str) -> Copy:
    if not text.startswith("syslog:"):
        return FileCopy(Path(text))
    split = urlsplit(text)
    split.port  # noqa: B018 - reading it raises when it is no number
    if not text.startswith("syslog://") or not (split.hostname or split.path):
        raise ValueError("syslog://HOST:PORT か syslog:///dev/log / syslog://HOST:PORT")
    return SyslogCopy(text)


def _end_of(path: Path, last: bytes | None) -> int:
    """The offset after the last occurrence of a line; 0 when it is nowhere."""
    found = offset = 0
    if last is None or not path.exists():
        return 0
    for line in lines(path, path.stat().st_size):
        offset += len(line) + 1
        if line == last:
            found = offset
    return found


def _last(handle: int) -> bytes | None:
    """The last whole line of an open file; a line torn by a crash is ended."""
    end = os.lseek(handle, 0, os.SEEK_END)
    tail = os.pread(handle, 2 * LONGEST, max(0, end - 2 * LONGEST))
    if tail and not tail.endswith(b"\n"):
        os.write(handle, b"\n")
        return None
    return tail.splitlines()[-1] if tail else None
