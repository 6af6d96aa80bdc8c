"""Kill a worker with all that it started."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

_exit, _kill, _waitpid, _getpid = os._exit, os.kill, os.waitpid, os.getpid
_exitcode = os.waitstatus_to_exitcode


def end_like(pid: int) -> None:
    """Wait for the child `pid`, and end this process as that one was ended. Never returns."""
    _, status = _waitpid(pid, 0)
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


def descendants(roots: Iterable[int]) -> int:
    """How many processes stem from `roots`, they themselves not counted (Linux); elsewhere 0."""
    count, pending = 0, list(roots)
    while pending:
        parents, pending = pending, []
        for parent in parents:
            for file in Path(f"/proc/{parent}/task").glob("*/children"):
                with suppress(OSError):  # it ended meanwhile
                    pending += [int(word) for word in file.read_text().split()]
        count += len(pending)
    return count


def threads(pids: Iterable[int]) -> int:
    """How many threads `pids` and all that stem from them have (Linux); elsewhere 0."""
    count, pending = 0, list(pids)
    while pending:
        with suppress(OSError):  # it ended meanwhile
            for thread in Path(f"/proc/{pending.pop()}/task").iterdir():
                count += 1
                with suppress(OSError):
                    pending += map(int, (thread / "children").read_text().split())
    return count


def children() -> list[int]:
    """Process ids of this process's children (Linux); elsewhere none are known."""
    try:
        text = Path(f"/proc/self/task/{os.getpid()}/children").read_text()
    except FileNotFoundError:
        return []
    return [int(word) for word in text.split()]
