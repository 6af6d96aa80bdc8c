"""Kill a worker with all that it started."""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from pathlib import Path


def kill_group(pid: int) -> None:
    """SIGKILL the session of a worker that is not yet reaped, or whose group outlives it."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)


def kill_children(keep: frozenset[int]) -> None:
    """Kill and reap every child of this process but `keep`: orphans that left their worker's session."""
    while strays := [pid for pid in children() if pid not in keep]:
        for pid in strays:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            with suppress(ChildProcessError):
                os.waitpid(pid, 0)


def children() -> list[int]:
    """Process ids of this process's children (Linux); elsewhere none are known."""
    try:
        text = Path(f"/proc/self/task/{os.getpid()}/children").read_text()
    except FileNotFoundError:
        return []
    return [int(word) for word in text.split()]
