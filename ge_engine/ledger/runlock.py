"""One writer a run: an advisory lock on RUN/lock that the system drops when the process dies."""

from __future__ import annotations

import errno
import fcntl
import os
from pathlib import Path

from ge_engine.errors import LedgerError

_held: set[str] = set()


class RunBusy(LedgerError):
    """Somebody works on the run."""


class RunLock:
    """Holds RUN/lock until `release`. A POSIX record lock: children made by fork do not inherit it.

    Raises:
        RunBusy: another process, or another part of this one, works on the run.
        LedgerError: the folder cannot be written, or its file system has no locks.
    """

    def __init__(self, folder: Path) -> None:
        self._path = str(folder.resolve() / "lock")
        if self._path in _held:
            raise _busy(folder, "this process")
        try:
            self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise LedgerError(
                f"The run {folder} cannot be written: {error.strerror}.", "Check the folder's permissions."
            ) from error
        try:
            fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            owner = os.read(self._file, 32).decode("ascii", "replace").strip()
            os.close(self._file)
            if error.errno not in (errno.EACCES, errno.EAGAIN):
                raise LedgerError(
                    f"The file system of {folder} has no file locks ({error.strerror}), which a run needs.",
                    "Give the run a folder on another one with --run, such as a local disk.",
                ) from error
            raise _busy(folder, f"process {owner}" if owner else "another process") from error
        os.ftruncate(self._file, 0)
        os.pwrite(self._file, f"{os.getpid()}\n".encode(), 0)
        _held.add(self._path)

    def release(self) -> None:
        if self._path in _held:
            _held.discard(self._path)
            os.close(self._file)


def worker_on(folder: Path) -> str:
    """In a sentence, who works on the run; "" where nobody does. Raises LedgerError as `RunLock`."""
    try:
        RunLock(folder).release()
    except RunBusy as busy:
        return busy.message
    return ""


def _busy(folder: Path, owner: str) -> RunBusy:
    return RunBusy(
        f"The run {folder} is being worked on by {owner}.",
        "Wait until it has ended, stop it, or choose another folder with --run.",
    )
