"""How quick a training step is, and an end to one that is too slow."""

from __future__ import annotations

import math
import time

import torch

PACE_STEPS = 20
CPU_TICK = 0.01
_wall, _cpu = time.perf_counter, time.process_time


class TooSlow(Exception):
    """No step was as quick as allowed; `seconds` is the quickest."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"a training step takes {1000 * seconds:.3g} ms at best")
        self.seconds = seconds


class Pace:
    """`best` is the least time of the first steps: what others do on the machine only adds to it.

    Where the processor time of a step is less, on average without the first one, it is that: waiting for a
    busy core does not lengthen it, but its clock is coarse. On a GPU, wall time up to the end of its work
    alone. Raises TooSlow where `best` exceeds `limit` seconds (0: no limit).
    """

    def __init__(self, device: torch.device, limit: float) -> None:
        self.best = math.inf
        self._gpu = device.type == "cuda"
        self._limit = limit
        self._count = 0
        self._began = 0.0
        self._cpu_began = 0.0

    def begin(self) -> None:
        """A step starts: its batch is there."""
        if self._count < PACE_STEPS:
            self._began = self._now()

    def end(self) -> None:
        """The step has ended."""
        if self._count < PACE_STEPS:
            self.best = min(self.best, self._now() - self._began)
            self._count += 1
            if self._count == 1:
                self._cpu_began = _cpu()
            elif self._count == PACE_STEPS:
                self.require()

    def require(self) -> None:
        """Raises TooSlow."""
        if 1 < self._count <= PACE_STEPS and not self._gpu:
            self.best = min(self.best, (_cpu() - self._cpu_began + CPU_TICK) / (self._count - 1))
        if self._limit and math.isfinite(self.best) and self.best > self._limit:
            raise TooSlow(self.best)

    def _now(self) -> float:
        if self._gpu:
            torch.cuda.synchronize()
        return _wall()
