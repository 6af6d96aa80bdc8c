"""The processor time of a command and all that it starts, and how much of it was spent by when."""

from __future__ import annotations

import json
import math
import resource
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil

INTERVAL = 0.5
"""Seconds between two looks."""
Look = tuple[float, float]
"""A Unix time, and the processor seconds until then."""


@dataclass(frozen=True, slots=True)
class Meter:
    """Processor seconds, in a `file` of one line for each look. Those of a command that is run again come on
    top of those before. Of a process that ends without being waited for, what the last look at it saw counts,
    until others have spent as much: looks never count down."""

    file: Path

    def run(self, command: Sequence[str], folder: Path) -> int:
        """Run a command in `folder` to its end; its exit status. Linux alone counts processes that have ended
        before the end of the command."""
        before, waited_for = self.total, _waited_for()
        self.file.parent.mkdir(parents=True, exist_ok=True)
        self._add(before)
        with subprocess.Popen(command, cwd=folder) as process:
            while process.poll() is None:
                self._add(before + spent(process.pid))
                with suppress(subprocess.TimeoutExpired):
                    process.wait(INTERVAL)
        self._add(before + _waited_for() - waited_for)
        return process.returncode

    @property
    def total(self) -> float:
        """All that was spent; 0 where nothing was run."""
        looks = self._looks()
        return max(seconds for _, seconds in looks) if looks else 0.0

    @property
    def began(self) -> float:
        """The Unix time of the first look; infinite without one."""
        return min((at for at, _ in self._looks()), default=math.inf)

    def until(self, at: Sequence[float]) -> list[float]:
        """What was spent by each Unix time `at`."""
        return spent_by(self._looks(), at)

    def _add(self, seconds: float) -> None:
        with self.file.open("a", encoding="utf-8") as file:
            file.write(f"{json.dumps([time.time(), seconds])}\n")

    def _looks(self) -> list[Look]:
        """Without a last line that was cut off."""
        if not self.file.exists():
            return []
        lines = self.file.read_text("utf-8").splitlines(keepends=True)
        return [(at, seconds) for at, seconds in (json.loads(one) for one in lines if one.endswith("\n"))]


def spent_by(looks: Sequence[Look], at: Sequence[float]) -> list[float]:
    """Along a line between two looks; never less than before, and before the first and after the last look as
    much as there."""
    times, seconds = zip(*sorted(looks), strict=True)
    return [float(one) for one in np.interp(at, times, np.maximum.accumulate(seconds))]


def spent(pid: int) -> float:
    """Processor seconds of a process and of all below it, those included that have ended and were waited for.

    A parent is read before its children, so that none counts twice: one that ends in between is missing until
    the next look.
    """
    total = 0.0
    with suppress(psutil.NoSuchProcess):
        first = psutil.Process(pid)
        for process in (first, *first.children(recursive=True)):
            with suppress(psutil.NoSuchProcess):
                times = process.cpu_times()
                total += times.user + times.system + times.children_user + times.children_system
    return total


def _waited_for() -> float:
    """Processor seconds of all that was started below this process and waited for."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
