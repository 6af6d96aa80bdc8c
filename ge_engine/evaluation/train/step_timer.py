"""The time of a training step, and an end to trainings whose steps are too slow."""

from __future__ import annotations

import math
import time

import torch

GROUP_STEPS = 20
CPU_TICK = 0.01
GPU_GROUPS = 10
_wall, _cpu = time.perf_counter, time.process_time


class TooSlow(Exception):
    """No step from step `first` on was quick enough; `seconds` is the quickest."""

    def __init__(self, seconds: float, first: int) -> None:
        since = f", from step {first + 1} on," if first else ""
        super().__init__(f"a training step takes{since} {1000 * seconds:.3g} ms at best")
        self.seconds = seconds


class StepTimer:
    """`best` is the least time of the first steps, in seconds: other load on the machine only adds to it.

    Where the mean processor time per step, without the first one, is less, it is that: waiting for a busy
    core does not lengthen it, but its clock is coarse. On a GPU, only wall time up to the end of its work.
    Raises TooSlow where `best` exceeds `limit` seconds (0: no limit).

    Where there is a limit, the steps that follow are held to it as well, GROUP_STEPS at a time: their
    quickest, and on a CPU the processor time of all of them, of which each thread may take twice the limit.
    On a GPU every tenth group is timed, so that the others need not wait for it.
    """

    def __init__(self, device: torch.device, limit: float) -> None:
        self.best = math.inf
        self._gpu = device.type == "cuda"
        self._limit = limit
        self._group = 0
        self._count = 0
        self._least = math.inf
        self._began = 0.0
        self._cpu_began = 0.0

    def begin(self) -> None:
        """A step starts: its batch is there."""
        if self._timed:
            self._began = self._now()

    def end(self) -> None:
        """The step has ended."""
        if self._timed:
            self._least = min(self._least, self._now() - self._began)
        self._count += 1
        if self._count == 1:
            self._cpu_began = _cpu()
        elif self._count == GROUP_STEPS:
            self._end_group()

    @property
    def _timed(self) -> bool:
        return self._group == 0 or (self._limit > 0 and not (self._gpu and self._group % GPU_GROUPS))

    def require(self) -> None:
        """Raises TooSlow for the first steps, however few they were."""
        if self._group == 0:
            self.best = min(self.best, self._least, self._mean())
            self._judge(self.best)

    def _end_group(self) -> None:
        self.require()
        if self._group and self._timed:
            self._judge(min(self._least, self._mean()))
            if not self._gpu:
                self._judge((self._mean() - CPU_TICK) / (2 * torch.get_num_threads()))
        self._group += 1
        self._count, self._least = 0, math.inf

    def _mean(self) -> float:
        """Mean processor time per step of this group, without the first one."""
        if self._gpu or self._count < 2:
            return math.inf
        return (_cpu() - self._cpu_began + CPU_TICK) / (self._count - 1)

    def _judge(self, seconds: float) -> None:
        if self._limit and math.isfinite(seconds) and seconds > self._limit:
            raise TooSlow(seconds, self._group * GROUP_STEPS)

    def _now(self) -> float:
        if self._gpu:
            torch.cuda.synchronize()
        return _wall()
