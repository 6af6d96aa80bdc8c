"""The seam between an evaluation and where its jobs run: a `JobSpec` in, a future of its `WorkerExit` out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Protocol

from ge_engine.evaluation.protocol.messages import JobSpec, SessionSpec


@dataclass(frozen=True, slots=True)
class WorkerExit:
    """How a worker ended. `status` is its exit status, or minus the signal's number; `reason` is "",
    "timeout", "disk", "processes", "threads", "fork: ...", "spawn: ...", "result" (it wrote too much) or
    "fork server" (its parent died, twice); `result` the bytes on its result channel, `log` the beginning and
    the end of what it printed. `host` is the machine that it ran on, with its `processor`, "" for the
    engine's own; `faulty` says that this machine has found itself at fault, as with a full disk, and `shared`
    that others have trained on the same GPU meanwhile."""

    status: int
    reason: str
    result: bytes
    log: str
    host: str = ""
    processor: str = ""
    faulty: bool = False
    shared: bool = False


class JobExecutor(Protocol):
    """Runs jobs somewhere: local processes (`ForkServerExecutor`), or another machine.

    The executor holds the timeout: it ends a job that runs longer than `spec.timeout` seconds, counted from
    its start and not from `submit`, with the reason "timeout". It also decides how many run at once.

    `WorkerExit.result` is `BEGUN` followed by `pack_report(report, token)`. The token says that the report is
    that of this job: give it to the worker only where no candidate can read it. `BEGUN` is written before
    the candidate's code runs; what comes without it was written before, so a fault of the surroundings is
    believed and the job tried again. Any other reason than those of `WorkerExit` counts as such a fault.
    """

    def submit(self, spec: JobSpec) -> Future[WorkerExit]:
        """Take a job; returns at once. Called from any thread, also from within a future's callback.

        The executor calls `set_running_or_notify_cancel` on the future when the job starts, and leaves the
        job out where that says False: until then the engine may cancel it, after that no more. Futures end
        in a thread of the executor, never within `submit`, and with no lock held: reports are read and
        scored there, and further jobs submitted. A future fails with GeError only when no job can be run at
        all, which ends the run.
        """
        ...

    def at_once(self) -> int:
        """How many trainings run at once: of machines that come and go, on those that are there."""
        ...

    def close(self) -> None:
        """Cancel what waits, kill what runs. All futures have ended when it returns."""
        ...


ExecutorFactory = Callable[[SessionSpec, Sequence[memoryview], int, Sequence[str], int], JobExecutor]
"""Opens an executor for a session: the session, the bytes of its `arrays` in order, how many trainings run at
once, the GPUs that they share (values of CUDA_VISIBLE_DEVICES), and the most bytes of a result without its
checkpoint and weights (`JobSpec.room` and `JobSpec.weights` say that)."""
