"""The learning rate over a training: cosine with warm-up, plateau or constant."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

WARMUP_SHARE = 0.1
"""The share of the steps over which the learning rate rises."""
PLATEAU_FACTOR, PLATEAU_LEAST_LR = 0.7, 1e-3


class LRScheduler:
    """Scales every group's learning rate: linear warm-up over the first tenth of the steps, then a
    half cosine to zero (Loshchilov and Hutter 2017, without restarts); or times 0.7 after an epoch whose
    training loss is no new low, ending below 0.001; or constant."""

    def __init__(self, optimizer: Any, kind: str, steps: int) -> None:
        self._optimizer = optimizer
        self._base = [float(group["lr"]) for group in optimizer.param_groups]
        self._kind = kind
        self._steps = steps
        self._scale = 1.0
        self._best = math.inf

    def before_step(self, step: int) -> None:
        """Set the learning rate of `step`, counted from 0."""
        if self._kind == "cosine":
            warm = max(1, round(WARMUP_SHARE * self._steps))
            left = max(1, self._steps - warm)
            self._scale = (
                (step + 1) / (warm + 1)
                if step < warm
                else 0.5 * (1 + math.cos(math.pi * (step - warm) / left))
            )
        for group, base in zip(self._optimizer.param_groups, self._base, strict=True):
            group["lr"] = base * self._scale

    def lr(self) -> float:
        """The largest learning rate in force."""
        return max(float(group["lr"]) for group in self._optimizer.param_groups)

    def after_epoch(self, loss: float) -> bool:
        """Whether the training ends here."""
        if self._kind != "plateau":
            return False
        if loss >= self._best:
            self._scale *= PLATEAU_FACTOR
        self._best = min(self._best, loss)
        return max(self._base) * self._scale < PLATEAU_LEAST_LR

    def state(self) -> dict[str, float]:
        """What `load` continues from."""
        return {"scale": self._scale, "best": self._best}

    def load(self, state: Mapping[str, float]) -> None:
        self._scale, self._best = state["scale"], state["best"]
