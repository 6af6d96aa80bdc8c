"""An exponential moving average of a network's weights."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ge_engine.evaluation.measure.parameters import is_lazy, registered_parameters

WARM_UP_STEPS = 10


class Ema:
    """Averages the floating-point parameters of `network` over the steps of a training.

    avg <- d avg + (1 - d) w with d = min(`decay`, (1 + t) / (10 + t)) at step t = 1, 2, ...: the rising
    decay keeps the initial weights out of a short training's average. Buffers are not averaged: running
    statistics are averages themselves, and those of batch normalisation are computed anew for the averaged
    weights (`norm_batches`). Source: Polyak and Juditsky, 1992; the decay's rise is that of TensorFlow's
    ExponentialMovingAverage (`num_updates`).
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        self._network = network
        self._decay = decay
        self.steps = 0
        self._weights: list[Tensor] = []
        self.averages: list[Tensor] = []

    @torch.no_grad()
    def update(self) -> None:
        """Add the weights after a step; the average begins with those after the first."""
        if not self._weights:
            self._gather()
        self.steps += 1
        decay = min(self._decay, (1 + self.steps) / (WARM_UP_STEPS + self.steps))
        torch._foreach_lerp_(self.averages, self._weights, 1 - decay)

    @torch.no_grad()
    def apply(self) -> None:
        """Put the averages into the network."""
        for weight, average in zip(self._weights, self.averages, strict=True):
            weight.copy_(average)

    @torch.no_grad()
    def load(self, steps: int, averages: list[Tensor]) -> None:
        """Continue from averages that an earlier rung left."""
        self._gather()
        for mine, loaded in zip(self.averages, averages, strict=True):
            mine.copy_(loaded)
        self.steps = steps

    def _gather(self) -> None:
        self._weights = [
            p.detach()
            for p in registered_parameters(self._network).values()
            if not is_lazy(p) and p.dtype.is_floating_point
        ]
        self.averages = [weight.clone(memory_format=torch.preserve_format) for weight in self._weights]
