"""Train one network and answer a held-out part of the data. Reads from top to bottom.

The trainer never sees the labels it is scored on: it gets the held-out images and returns logits.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.utils import DistributedDataParallelKwargs, set_seed
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.nn.modules.batchnorm import _BatchNorm

from ge_engine.config import Recipe
from ge_engine.training.batches import Augmentation, Images, Share, batch_bounds, shuffled

PREDICT_BATCH = 256
WARM_UP = 0.1
PLATEAU_FACTOR, PLATEAU_LEAST_LR = 0.7, 1e-3
OptimizerFactory = Callable[[nn.Module, float, float], torch.optim.Optimizer]


class NotFinite(Exception):
    """The loss or the answers became NaN or infinite."""


@dataclass(frozen=True, slots=True)
class Lesson:
    """The data of one training. `labels` (n,) int64 belong to `train`; those of `held_out` are not here."""

    train: Images
    labels: Tensor
    held_out: Images
    classes: int
    mirror: bool = True


@dataclass(slots=True)
class Training:
    """What a training gave: `logits` (m, classes) float32 on the CPU, the curve and the clock."""

    model: nn.Module
    logits: Tensor
    curve: list[dict[str, float]] = field(default_factory=list)
    seconds: float = 0.0
    steps: int = 0


def train(
    build: Callable[[], nn.Module],
    make_optimizer: OptimizerFactory,
    lesson: Lesson,
    recipe: Recipe,
    rng_seed: int,
    on_first_step: Callable[[], None] = lambda: None,
) -> Training:
    """Build, train by `recipe`, answer the held-out images. Same seed and threads: same figures on a CPU.

    Under `accelerate launch` every process calls this and takes its share of each batch; all get all logits.

    Raises:
        NotFinite: the loss or the logits are NaN or infinite.
        Exception: whatever the network itself raises.
    """
    accelerator = Accelerator(
        mixed_precision=choose_precision(recipe.precision),
        cpu=not torch.cuda.is_available(),
        kwargs_handlers=[DistributedDataParallelKwargs(find_unused_parameters=True)],
    )
    device, share = accelerator.device, Share(accelerator.process_index, accelerator.num_processes)
    set_seed(rng_seed)
    model = in_fast_layout(build())
    optimizer = make_optimizer(model, recipe.lr, recipe.weight_decay)
    model, optimizer = accelerator.prepare(model, optimizer)
    data, labels = lesson.train.to(device), lesson.labels.to(device)
    steps_an_epoch = len(batch_bounds(len(data), recipe.batch_size, 2 * share.of))
    schedule = Schedule(optimizer, recipe.schedule, recipe.epochs * steps_an_epoch)
    order = torch.Generator().manual_seed(rng_seed)
    augmentation = Augmentation(
        mirror=recipe.augment and lesson.mirror,
        shift=recipe.augment,
        jitter=recipe.jitter if recipe.augment else 0.0,
    )

    curve: list[dict[str, float]] = []
    steps, started = 0, time.perf_counter()
    on_first_step()
    for epoch in range(recipe.epochs):
        model.train()
        total, right, seen = (torch.zeros((), device=device) for _ in range(3))
        for images, targets in shuffled(data, labels, recipe.batch_size, augmentation, order, share):
            logits = logits_of(model(images), lesson.classes).float()
            loss = cross_entropy(logits, targets, label_smoothing=recipe.label_smoothing)
            optimizer.zero_grad()
            accelerator.backward(loss)
            schedule.before_step(steps)
            optimizer.step()
            total += loss.detach() * len(targets)
            right += (logits.detach().argmax(1) == targets).sum()
            seen += len(targets)
            steps += 1
            if device.type == "cpu":
                require_finite(loss, epoch)
        total, right, seen = (accelerator.reduce(figure, "sum") for figure in (total, right, seen))
        require_finite(total, epoch)
        mean_loss, rate = float(total / seen), schedule.rate()
        curve.append({"epoch": epoch + 1, "loss": mean_loss, "accuracy": float(right / seen), "lr": rate})
        if schedule.after_epoch(mean_loss):
            break
    seconds = time.perf_counter() - started
    network = accelerator.unwrap_model(model)
    if recipe.norm_batches:
        refresh_statistics(
            network,
            islice(shuffled(data, labels, recipe.batch_size, augmentation, order), recipe.norm_batches),
        )
    mine = predict(model, lesson.held_out.every(share).to(device), lesson.classes)
    gathered = accelerator.gather(mine.to(device)).cpu().view(share.of, len(mine), -1)
    logits = gathered.transpose(0, 1).flatten(0, 1)[: len(lesson.held_out)]
    return Training(network, logits, curve, seconds, steps)


@torch.no_grad()
def refresh_statistics(model: nn.Module, batches: Iterable[tuple[Tensor, Tensor]]) -> None:
    """Replace the running statistics of batch normalisation by the mean over `batches`, in evaluation mode
    otherwise. After a short training the running ones lag behind the weights; source: "precise BN" in Wu and
    Johnson, Rethinking "Batch" in BatchNorm, 2021."""
    norms = [m for m in model.modules() if isinstance(m, _BatchNorm) and m.running_mean is not None]
    if not norms:
        return
    model.eval()
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None
        norm.train()
    for images, _ in batches:
        model(images)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum


@torch.no_grad()
def predict(model: nn.Module, images: Images, classes: int) -> Tensor:
    """Logits (m, classes) float32 on the CPU for all images in order."""
    model.eval()
    answers = [logits_of(model(batch), classes).float().cpu() for batch in images.in_order(PREDICT_BATCH)]
    return torch.cat(answers)


def logits_of(output: Any, classes: int) -> Tensor:
    """The tensor (n, classes) in what a model returned: a tensor, tuple, dict, namedtuple or ModelOutput.

    Raises:
        ValueError: there is none.
    """
    if isinstance(output, Tensor):
        return output
    named = getattr(output, "logits", None)
    if isinstance(named, Tensor):
        return named
    parts = list(output.values()) if isinstance(output, Mapping) else output
    if isinstance(parts, (tuple, list)):
        for part in parts:
            if isinstance(part, Tensor) and part.dim() == 2 and part.shape[1] == classes:
                return part
    raise ValueError(f"the model returned a {type(output).__name__} without a tensor of shape (n, {classes})")


def default_optimizer(model: nn.Module, lr: float, weight_decay: float) -> torch.optim.Optimizer:
    """SGD with Nesterov momentum 0.9; no decay on vectors (norm weights and biases)."""
    matrices = [p for p in model.parameters() if p.requires_grad and p.dim() > 1]
    vectors = [p for p in model.parameters() if p.requires_grad and p.dim() <= 1]
    groups = [{"params": matrices, "weight_decay": weight_decay}, {"params": vectors, "weight_decay": 0.0}]
    return torch.optim.SGD([g for g in groups if g["params"]], lr=lr, momentum=0.9, nesterov=True)


def choose_precision(asked: str) -> str:
    """bfloat16 on a GPU that has it; a CPU trains in float32 unless told otherwise."""
    if asked != "auto":
        return asked
    return "bf16" if torch.cuda.is_available() and torch.cuda.is_bf16_supported() else "no"


def in_fast_layout(model: nn.Module) -> nn.Module:
    """Channels last, where the model has convolutions over images and none over volumes."""
    ranks = {parameter.dim() for parameter in model.parameters()}
    return model.to(memory_format=torch.channels_last) if 4 in ranks and 5 not in ranks else model


def require_finite(value: Tensor, epoch: int) -> None:
    if not torch.isfinite(value).all():
        raise NotFinite(f"the training loss became {float(value.detach())} in epoch {epoch + 1}")


class Schedule:
    """Scales every group's learning rate: linear warm-up over the first tenth of the steps, then a
    half cosine to zero (Loshchilov and Hutter 2017, without restarts); or times 0.7 after an epoch whose
    training loss is no new low, with an end below 0.001; or constant."""

    def __init__(self, optimizer: Any, kind: str, steps: int) -> None:
        self._groups = optimizer.param_groups
        self._base = [float(group["lr"]) for group in self._groups]
        self._kind = kind
        self._steps = steps
        self._scale = 1.0
        self._best = math.inf

    def before_step(self, step: int) -> None:
        if self._kind == "cosine":
            warm = max(1, round(WARM_UP * self._steps))
            left = max(1, self._steps - warm)
            self._scale = (
                (step + 1) / (warm + 1)
                if step < warm
                else 0.5 * (1 + math.cos(math.pi * (step - warm) / left))
            )
        for group, base in zip(self._groups, self._base, strict=True):
            group["lr"] = base * self._scale

    def rate(self) -> float:
        """The largest learning rate in force."""
        return max(float(group["lr"]) for group in self._groups)

    def after_epoch(self, loss: float) -> bool:
        """True when the training shall end."""
        if self._kind != "plateau":
            return False
        if loss >= self._best:
            self._scale *= PLATEAU_FACTOR
        self._best = min(self._best, loss)
        return max(self._base) * self._scale < PLATEAU_LEAST_LR
