"""The jobs that the fork server runs, and the limits at which it kills them."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ge_engine.evaluation.sandbox.confinement import FILE_BYTES
from ge_engine.evaluation.sandbox.disk_usage import DiskWatch
from ge_engine.evaluation.sandbox.limits import PROCESSES, TASKS
from ge_engine.evaluation.sandbox.process_tree import descendants, kill, kill_group, threads
from ge_engine.evaluation.worker.spawn import START_SECONDS

FOLDER_BYTES = 2 * 2**30
"""What a candidate may store."""


@dataclass(slots=True)
class RunningJob:
    """A worker: the job's id and folder, its process, its deadline on the monotonic clock, and why it was
    killed. It says on `hello` that the candidate's code begins; its `seconds` count from then. `first` is the
    first process of its namespace, 0 where it has none of its own."""

    id: str
    folder: Path
    pid: int
    deadline: float
    seconds: float
    hello: socket.socket | None
    reason: str = ""
    first: int = 0

    def kill(self) -> None:
        """Kill it with all that it started; orphans of one without a namespace are adopted, and killed when
        it is reaped."""
        kill_group(self.pid)
        kill(self.first)


class ResourceWatch:
    """Says which candidates exceed a limit. The files of the arrays `shared` do not count as theirs."""

    def __init__(self, shared: Iterable[int]) -> None:
        arrays = frozenset((found.st_dev, found.st_ino) for found in map(os.fstat, shared))
        self._disk = DiskWatch(FOLDER_BYTES, FILE_BYTES, arrays)

    def exceeded(self, job: RunningJob) -> str:
        """The reason to kill `job`, as in `WorkerExit`; "" for none. Before it begins it runs our code only,
        and shows no descriptors yet."""
        if time.monotonic() >= job.deadline:
            return f"it did not begin within {START_SECONDS:g} s" if job.hello else "timeout"
        if job.hello:
            return ""
        pids = [job.pid, job.first]
        if self._disk.over(pids, job.folder):
            return "disk"
        if descendants(pids) > PROCESSES:
            return "processes"
        return "threads" if threads(pids) > TASKS else ""

    def exceeded_by_orphans(self, pids: Sequence[int]) -> bool:
        """Whether orphans, of which nobody knows whose they are, exceed a limit together."""
        return len(pids) > PROCESSES or threads(pids) > TASKS or self._disk.hoard(pids)
