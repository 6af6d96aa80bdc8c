"""Programs that run, each in a file of its own: those which outlived their engine are found and ended."""

from __future__ import annotations

import os
import subprocess
from contextlib import suppress
from pathlib import Path

from ge_engine.evaluation.sandbox.limits import LINUX
from ge_engine.evaluation.sandbox.process_tree import kill_group


class StartedProcesses:
    """The leaders of process groups that were started, in `folder`, where their children cannot write. What
    an earlier engine has left there is killed first, unless its number has gone to another process."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        for file in folder.iterdir():
            with suppress(OSError, ValueError):
                if file.read_text() == identity(int(file.name)):
                    kill_group(int(file.name))
            file.unlink(missing_ok=True)

    def add(self, pid: int) -> None:
        """`pid` leads a group of its own. It is not kept where the system does not tell it from others."""
        with suppress(OSError):
            (self._folder / str(pid)).write_text(identity(pid))

    def discard(self, pid: int) -> None:
        """`pid` and its group have ended."""
        (self._folder / str(pid)).unlink(missing_ok=True)


def identity(pid: int) -> str:
    """What no other process has that gets the number `pid` at another time or on another machine.

    Raises:
        OSError: there is no such process.
    """
    if LINUX:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot} {Path(f'/proc/{pid}/stat').read_text().rpartition(')')[2].split()[19]}"
    shown = subprocess.run(
        ["ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True, check=False
    )
    if not shown.stdout.strip():
        raise ProcessLookupError(pid)
    return f"{os.uname().nodename} {shown.stdout.strip()}"
