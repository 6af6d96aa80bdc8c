"""One fixed batch, and the step that a probe takes on it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from ge_engine.evaluation.measure.inference import logits_of
from ge_engine.evaluation.probe.findings import TaskShape
from ge_engine.evaluation.train.optimizers import OptimizerFactory

PROBE_SEED = 20_240_714


@dataclass(slots=True)
class ProbeStep:
    """A network with its optimizer and one fixed batch; `fresh_buffers` are as the build left them."""

    model: nn.Module
    make_optimizer: OptimizerFactory
    shape: TaskShape
    recipe: Mapping[str, Any]
    fresh_buffers: list[tuple[Tensor, Tensor]] = field(default_factory=list)

    def batch(self) -> tuple[Tensor, Tensor]:
        generator = torch.Generator().manual_seed(PROBE_SEED)
        size = (self.shape.batch, self.shape.channels, self.shape.size, self.shape.size)
        images = torch.randn(size, generator=generator)
        return images, torch.randint(self.shape.classes, (self.shape.batch,), generator=generator)

    def optimizer(self) -> torch.optim.Optimizer:
        optimizer = self.make_optimizer(
            self.model, float(self.recipe["lr"]), float(self.recipe["weight_decay"])
        )
        if not isinstance(optimizer, torch.optim.Optimizer):
            raise TypeError(f"get_optimizer returned a {type(optimizer).__name__}, not an optimizer")
        return optimizer

    def forward(self, images: Tensor) -> Tensor:
        torch.manual_seed(PROBE_SEED)
        return logits_of(self.model(images), self.shape.classes)


def without_gradient(parameters: Mapping[str, nn.Parameter]) -> set[str]:
    return {
        name
        for name, parameter in parameters.items()
        if parameter.requires_grad and (parameter.grad is None or not bool(parameter.grad.any()))
    }
