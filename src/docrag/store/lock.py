"""One writer per index: an operating-system lock, and a record of who holds it.

The system drops its lock when the holder dies, so a crash never blocks the next run. The record names the
holder to people, and stands in where the system's lock does not reach: a file system without locks, or one
shared with another machine that does not see them.
"""

from __future__ import annotations

import contextlib
import errno
import getpass
import json
import os
import socket
import sys
import threading
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psutil

from docrag.errors import IndexLocked

FILE_NAME = "lock"
HEARTBEAT_S = 10.0
STALE_AFTER_S = 120.0
"""A holder on another machine that was silent for so long, twelve heartbeats, is taken for dead."""

_SAME_PROCESS_TOLERANCE_S = 2.0  # psutil derives start times from clock ticks and the boot time
_WINDOWS_LOCK_OFFSET = 1 << 30  # beyond the record: Windows hides locked bytes from readers


@dataclass(frozen=True, slots=True)
class Owner:
    """Who holds the lock. `process_started_at` tells a process from a later one with the same `pid`."""

    pid: int
    host: str
    user: str
    command: str
    started_at: str
    process_started_at: float

    @classmethod
    def current(cls, command: str) -> Owner:
        """Return the owner that this process is."""
        try:
            user = getpass.getuser()
        except (OSError, KeyError):  # no entry for this user id, as in many containers
            user = str(os.getuid()) if sys.platform != "win32" else "unknown"
        started_at = time.strftime("%Y-%m-%dT%H:%M:%S%z")
        process = psutil.Process()
        return cls(process.pid, socket.gethostname(), user, command, started_at, process.create_time())

    def is_alive(self, *, heartbeat_age_s: float) -> bool:
        """Whether the owner still runs, as far as this machine can tell."""
        if self.host != socket.gethostname():
            return heartbeat_age_s < STALE_AFTER_S
        try:
            started_at = psutil.Process(self.pid).create_time()
        except psutil.NoSuchProcess:
            return False
        except psutil.AccessDenied:
            return heartbeat_age_s < STALE_AFTER_S
        return abs(started_at - self.process_started_at) < _SAME_PROCESS_TOLERANCE_S

    def __str__(self) -> str:
        return f'process {self.pid} of {self.user} on {self.host} ("{self.command}", since {self.started_at})'


class WriterLock:
    """The lock of one index folder, held from `acquire` to `release`."""

    def __init__(self, index: Path, *, command: str) -> None:
        self._index = index
        self._path = index / FILE_NAME
        self._command = command
        self._descriptor: int | None = None
        self._stop = threading.Event()
        self._heartbeat: threading.Thread | None = None

    def acquire(self) -> None:
        """Take the lock, from a dead holder too; raise `IndexLocked` at once when a live one has it."""
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            is_enforced = _lock(descriptor)
            owner = _read_owner(self._path)
            if is_enforced is None:
                raise self._locked(owner)
            # Where the system's lock is enforced, getting it proves that no process of this machine has it.
            doubtful = owner is not None and not (is_enforced and owner.host == socket.gethostname())
            if doubtful and owner is not None and owner.is_alive(heartbeat_age_s=_age_s(descriptor)):
                raise self._locked(owner)
            record = json.dumps(asdict(Owner.current(self._command))).encode()
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, record, 0) if sys.platform != "win32" else os.write(descriptor, record)
        except BaseException:
            os.close(descriptor)
            raise
        self._descriptor = descriptor
        self._stop.clear()
        self._heartbeat = threading.Thread(target=self._beat, name="docrag-index-lock", daemon=True)
        self._heartbeat.start()

    def release(self) -> None:
        """Give the lock back; the file stays, so that two processes never lock two different files."""
        if self._descriptor is None:
            return
        self._stop.set()
        if self._heartbeat is not None:
            self._heartbeat.join()
        with contextlib.suppress(OSError):  # a full or lost disk must not keep the lock
            os.ftruncate(self._descriptor, 0)
        os.close(self._descriptor)
        self._descriptor = None

    def _beat(self) -> None:
        while not self._stop.wait(HEARTBEAT_S):
            with contextlib.suppress(OSError):
                os.utime(self._path)

    def _locked(self, owner: Owner | None) -> IndexLocked:
        holder = "another process" if owner is None else str(owner)
        return IndexLocked(
            f"{self._index}: {holder} is writing to this index; wait until it is done or end it, then try "
            "again. Searching and asking work meanwhile"
        )


def holder(index: Path) -> Owner | None:
    """Return who writes to the index now, as far as its record tells; None when nobody does."""
    path = index / FILE_NAME
    owner = _read_owner(path)
    if owner is None or not owner.is_alive(heartbeat_age_s=time.time() - path.stat().st_mtime):
        return None
    return owner


def _lock(descriptor: int) -> bool | None:
    """Lock the file: True when locked, None when someone else has it, False where locks do not work."""
    try:
        if sys.platform == "win32":
            import msvcrt

            os.lseek(descriptor, _WINDOWS_LOCK_OFFSET, os.SEEK_SET)
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
            os.lseek(descriptor, 0, os.SEEK_SET)
        else:
            import fcntl

            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in (errno.EWOULDBLOCK, errno.EACCES, errno.EDEADLK):
            return None
        if error.errno in (errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS):
            return False
        raise
    return True


def _read_owner(path: Path) -> Owner | None:
    """Return the recorded owner, None when there is none or its record is unfinished."""
    try:
        body: Any = json.loads(path.read_bytes())
        return Owner(**body)
    except (OSError, ValueError, TypeError):
        return None


def _age_s(descriptor: int) -> float:
    return time.time() - os.fstat(descriptor).st_mtime
