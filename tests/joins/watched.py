"""A training in this process that writes down all that reached its network and its optimizer.

From a run's settings and a task's data to a report it goes the whole way of a real one (`set_up`, the
worker's `run`, `train`), without the worker's process: what a setting changes there is seen here.
"""

from __future__ import annotations

import secrets
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate.state import AcceleratorState
from torch import Tensor
from torch.optim.optimizer import register_optimizer_step_post_hook, register_optimizer_step_pre_hook

from ge_engine.config import config_from_dict
from ge_engine.contracts import Dataset
from ge_engine.evaluation.protocol.messages import JobSpec, WorkerReport
from ge_engine.evaluation.setup import set_up
from ge_engine.evaluation.worker.jobs import run
from ge_engine.genome import Seed
from tests.joins.current import SEEN

CLASSES, SIZE = 4, 16
SOURCE = """\
import torch
from torch import nn
from tests.joins.current import SEEN


class Net(nn.Module):
    def __init__(self, num_classes=4, in_channels=3):
        super().__init__()
        self.conv = nn.Conv2d(in_channels, 6, 3, padding=1)
        self.norm = nn.BatchNorm2d(6)
        self.head = nn.Linear(6, num_classes)

    def forward(self, x):
        inner = self.conv(x)
        logits = self.head(self.norm(inner).relu().mean((2, 3)))
        SEEN.forward(self, x, inner, logits)
        return logits


def get_optimizer(model, lr, weight_decay):
    return torch.optim.Adagrad(TRAINED, lr=lr, weight_decay=weight_decay)
"""


@dataclass
class Seen:
    """`images`, `logits`, `dtypes` and `weights` (the head's, before it) are those of the training steps, one
    entry each; `rates`, `decays`, `optimizers` and `gradients` (the head's) what each step used. `refreshed`
    counts passes that gave batch normalisation statistics after the last step; `trained` are the head's
    weights after each step, `answering` those that answered the held-out images, `answered`."""

    images: list[Tensor] = field(default_factory=list)
    logits: list[Tensor] = field(default_factory=list)
    dtypes: list[torch.dtype] = field(default_factory=list)
    weights: list[Tensor] = field(default_factory=list)
    gradients: list[Tensor] = field(default_factory=list)
    rates: list[float] = field(default_factory=list)
    decays: list[float] = field(default_factory=list)
    optimizers: list[str] = field(default_factory=list)
    trained: list[Tensor] = field(default_factory=list)
    refreshed: int = 0
    answering: Tensor = field(default_factory=lambda: torch.zeros(0))
    answered: Tensor = field(default_factory=lambda: torch.zeros(0))
    report: WorkerReport = field(default_factory=WorkerReport)

    def forward(self, network: Any, images: Tensor, inner: Tensor, logits: Tensor) -> None:
        if network.training:
            self.images.append(images.detach().clone())
            self.logits.append(logits.detach().float().clone())
            self.dtypes.append(inner.dtype)
            self.weights.append(network.head.weight.detach().clone())
        elif network.norm.training:
            self.refreshed += 1
        elif len(images) > 1:
            self.answering = network.head.weight.detach().clone()
            self.answered = images.detach().clone()

    def before_step(self, optimizer: torch.optim.Optimizer, *_: object) -> None:
        self.optimizers.append(type(optimizer).__name__)
        self.rates.append(float(optimizer.param_groups[0]["lr"]))
        self.decays.append(float(optimizer.param_groups[0]["weight_decay"]))
        self.gradients += [p.grad.clone() for p in _matrices(optimizer) if p.grad is not None]

    def after_step(self, optimizer: torch.optim.Optimizer, *_: object) -> None:
        self.trained += [p.detach().clone() for p in _matrices(optimizer)]


def _matrices(optimizer: torch.optim.Optimizer) -> list[Tensor]:
    return [p for group in optimizer.param_groups for p in group["params"] if p.dim() == 2]


def trained(
    data: Dataset, split: str = "validation", rng_seed: int = 0, frozen: bool = False, **recipe: Any
) -> Seen:
    """What a training on `data` was seen to do. `frozen`: its optimizer holds no weight of the network."""
    plain = {"epochs": 1, "batch_size": 8, "lr": 0.05, "augment": False, "norm_batches": 0}
    config = config_from_dict({"recipe": {**plain, **recipe}})
    source = SOURCE.replace("TRAINED", "[nn.Parameter(torch.zeros(1))]" if frozen else "model.parameters()")
    seed = Seed.from_bytes(source.encode()).genome
    with tempfile.TemporaryDirectory() as folder, _watching() as seen:
        session, arrays = set_up(seed, config, data, Path(folder))
        named = {
            name: torch.from_numpy(np.frombuffer(array, block.dtype).reshape(block.shape).copy())
            for (name, block), array in zip(session.arrays.items(), arrays, strict=True)
        }
        code, key = seed.source.decode(), secrets.token_hex(4)
        spec = JobSpec(key, "train", {"": code}, seed.digest, rng_seed, split, 60.0, "00")
        seen.report = run(spec, session, named)
    assert not seen.report.stage, seen.report.error
    return seen


@contextmanager
def _watching() -> Iterator[Seen]:
    AcceleratorState._reset_state(True)
    SEEN.seen = seen = Seen()
    hooks = [
        register_optimizer_step_pre_hook(seen.before_step),
        register_optimizer_step_post_hook(seen.after_step),
    ]
    try:
        yield seen
    finally:
        for hook in hooks:
            hook.remove()
        AcceleratorState._reset_state(True)
