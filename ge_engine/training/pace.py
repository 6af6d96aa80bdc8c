"""How quick a training step is, and an end to one that is too slow."""

from __future__ import annotations

import math
import time

import torch

PACE_STEPS = 10
_wall, _cpu = time.perf_counter, time.process_time


class TooSlow(Exception):
    """No step was as quick as allowed; `seconds` is the quickest."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"a training step takes {1000 * seconds:.3g} ms at best")
        self.seconds = seconds


class Pace:
    """`best` is the least time of the first steps: what others do on the machine only adds to it.

    On a CPU it is processor time of all threads, which waiting for a busy core does not lengthen; on a GPU
    wall time up to the end of its work. Raises TooSlow where `best` exceeds `limit` seconds (0: no limit).
    """

    def __init__(self, device: torch.device, limit: float) -> None:
        self.best = math.inf
        self._gpu = device.type == "cuda"
        self._limit = limit
        self._count = 0
        self._began = 0.0

    def begin(self) -> None:
        """A step starts: its batch is there."""
        if self._count < PACE_STEPS:
            self._began = self._now()

    def end(self) -> None:
        """The step has ended."""
        if self._count < PACE_STEPS:
            self.best = min(self.best, self._now() - self._began)
            self._count += 1
            if self._count == PACE_STEPS:
                self.require()

    def require(self) -> None:
        """Raises TooSlow."""
        if self._limit and math.isfinite(self.best) and self.best > self._limit:
            raise TooSlow(self.best)

    def _now(self) -> float:
        if self._gpu:
            torch.cuda.synchronize()
            return _wall()
        return _cpu()
