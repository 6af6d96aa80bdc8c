"""The processes that descend from a worker: counted, and killed."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

_exit, _kill, _waitpid, _getpid = os._exit, os.kill, os.waitpid, os.getpid
_exitcode = os.waitstatus_to_exitcode


def end_like(pid: int) -> None:
    """Wait for the child `pid`, and end this process as that one was ended. Never returns."""
    _, status = _waitpid(pid, 0)
    end_as(status)


def end_as(status: int) -> None:
    """End this process as one with the wait status `status` was ended. Never returns."""
    code = _exitcode(status)
    if code < 0:
        with suppress(OSError):  # SIGKILL has no handler to take away
            signal.signal(-code, signal.SIG_DFL)
        _kill(_getpid(), -code)
    _exit(code)


def kill_group(pid: int) -> None:
    """SIGKILL the session of a worker that is not yet reaped, or whose group outlives it."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)


def kill(pid: int) -> None:
    """SIGKILL a process that may have ended; 0 is none."""
    with suppress(ProcessLookupError):
        if pid:
            os.kill(pid, signal.SIGKILL)


def kill_children(keep: frozenset[int]) -> None:
    """Kill and reap every child of this process but `keep`: orphans that left their worker's session."""
    while strays := [pid for pid in children() if pid not in keep]:
        for pid in strays:
            kill(pid)
            with suppress(ChildProcessError):
                os.waitpid(pid, 0)


def family(pids: Iterable[int]) -> Iterator[int]:
    """`pids`, but for 0, and all that descend from them (Linux); elsewhere `pids` alone."""
    pending = [pid for pid in pids if pid]
    while pending:
        one = pending.pop()
        yield one
        for thread in _threads_of(one):
            with suppress(OSError):  # it ended meanwhile
                text = Path(f"/proc/{one}/task/{thread}/children").read_text()
                pending += map(int, text.split())


def descendants(roots: Sequence[int]) -> int:
    """How many processes descend from `roots`, which do not count themselves (Linux); elsewhere 0."""
    return sum(1 for _ in family(roots)) - sum(1 for pid in roots if pid)


def threads(pids: Iterable[int]) -> int:
    """How many threads `pids` and all that descend from them have (Linux); elsewhere 0."""
    return sum(len(_threads_of(pid)) for pid in family(pids))


def _threads_of(pid: int) -> list[str]:
    try:
        return os.listdir(f"/proc/{pid}/task")
    except OSError:  # it ended meanwhile
        return []


def children() -> list[int]:
    """Ids of this process's children (Linux); elsewhere none are known."""
    try:
        text = Path(f"/proc/self/task/{os.getpid()}/children").read_text()
    except FileNotFoundError:
        return []
    return [int(word) for word in text.split()]
