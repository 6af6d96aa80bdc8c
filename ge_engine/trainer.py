"""Train one network and answer a held-out part of the data. Reads from top to bottom.

The trainer never sees the labels it is scored on: it gets the held-out images and returns logits.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import islice

import torch
from accelerate import Accelerator
from accelerate.utils import DistributedDataParallelKwargs, set_seed
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.nn.modules.batchnorm import _BatchNorm

from ge_engine.config import Recipe
from ge_engine.training.answering import logits_of, predict
from ge_engine.training.averaging import Average
from ge_engine.training.batches import Augmentation, Images, Share, batch_bounds, shuffled
from ge_engine.training.course import Course, Unfit
from ge_engine.training.optimizers import OptimizerFactory
from ge_engine.training.pace import Pace
from ge_engine.training.rates import Schedule
from ge_engine.training.stepping import OwnSteps
from ge_engine.training.witness import Unwatched, unwatched

DIVERGED = 3.0
"""An epoch, neither the first nor the last, whose mean loss is so many times that of the first step and of
guessing (the logarithm of the number of classes) will not come back."""


class NotFinite(Exception):
    """The loss or the answers became NaN or infinite."""


class Diverged(Exception):
    """The loss left where learning begins, upwards."""


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
    """What a training gave: `logits` (m, classes) float32 on the CPU, the curve and the clock. `step_seconds`
    is the quickest step (`Pace`); `checkpoint` what a later call goes on from, b"" unless asked for; `facts`
    are the network's costs, where a `Witness` watched it."""

    model: nn.Module
    logits: Tensor
    curve: list[dict[str, float]] = field(default_factory=list)
    seconds: float = 0.0
    steps: int = 0
    step_seconds: float = 0.0
    checkpoint: bytes = b""
    facts: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Stage:
    """The part of a training that one call does: from `checkpoint` (b"": from the start) until `epochs` are
    trained (0: all of the recipe's). `keep` asks for a checkpoint at its end. A quickest step of more than
    `step_seconds` ends it (0: never); `steps` ends it without a score being meant (0: never)."""

    epochs: int = 0
    checkpoint: bytes = b""
    keep: bool = False
    step_seconds: float = 0.0
    steps: int = 0


WHOLE = Stage()


def train(
    build: Callable[[], nn.Module],
    make_optimizer: OptimizerFactory,
    lesson: Lesson,
    recipe: Recipe,
    rng_seed: int,
    on_first_step: Callable[[], None] = lambda: None,
    stage: Stage = WHOLE,
    witness_of: Callable[[nn.Module, int], Unwatched] = unwatched,
) -> Training:
    """Build, train by `recipe`, answer the held-out images. Same seed and threads: same figures on a CPU,
    also in several stages: a stage that goes on from a checkpoint ends as if there had been no break.

    Under `accelerate launch` every process calls this and takes its share of each batch; all get all logits.

    Raises:
        NotFinite: the loss or the logits are NaN or infinite.
        Diverged: the loss of an epoch lies far above that of the first step and above chance.
        TooSlow: no step was as quick as `stage.step_seconds`.
        StepsItself: the network ran an optimizer of its own.
        Exception: whatever the network itself raises.
    """
    accelerator = Accelerator(
        mixed_precision=choose_precision(recipe.precision),
        cpu=not torch.cuda.is_available(),
        kwargs_handlers=[DistributedDataParallelKwargs(find_unused_parameters=True)],
    )
    device, share = accelerator.device, Share(accelerator.process_index, accelerator.num_processes)
    data, labels = lesson.train.to(device), lesson.labels.to(device)
    steps_an_epoch = len(batch_bounds(len(data), recipe.batch_size, 2 * share.of))
    course = _begun(accelerator, build, make_optimizer, recipe, rng_seed, steps_an_epoch, stage.checkpoint)
    augmentation = Augmentation(
        mirror=recipe.augment and lesson.mirror,
        shift=recipe.augment,
        jitter=recipe.jitter if recipe.augment else 0.0,
    )
    witness = witness_of(course.network, steps_an_epoch)
    curve = course.curve
    last = min(stage.epochs or recipe.epochs, recipe.epochs)
    highest = DIVERGED * math.log(max(lesson.classes, 2))
    started = time.perf_counter()
    on_first_step()
    with OwnSteps() as own:
        watch = Oversight(Pace(device, stage.step_seconds), own, witness)
        while len(curve) < last and not course.ended:
            epoch = len(curve)
            batches = shuffled(data, labels, recipe.batch_size, augmentation, course.order, share)
            loss, right = _epoch(course, accelerator, batches, lesson.classes, recipe, watch, stage.steps)
            watch.require()
            rate = course.schedule.rate()
            if 0 < epoch < recipe.epochs - 1:
                require_sane(loss, max(highest, DIVERGED * course.first_loss), epoch)
            curve.append({"epoch": epoch + 1, "loss": loss, "accuracy": right, "lr": rate})
            course.ended = course.schedule.after_epoch(loss) or course.steps == stage.steps
        course.seconds += time.perf_counter() - started
        checkpoint = course.saved() if stage.keep else b""
        if course.average is not None:
            course.average.apply()
        if recipe.norm_batches:
            batches = shuffled(data, labels, recipe.batch_size, augmentation, course.order)
            refresh_statistics(course.network, islice(batches, recipe.norm_batches))
        logits = _answers(course.model, accelerator, lesson, share, witness)
        watch.require()
    facts = witness.facts(logits, lesson.held_out.to(device)) if share.rank == 0 else {}
    best = watch.pace.best
    return Training(course.network, logits, curve, course.seconds, course.steps, best, checkpoint, facts)


@dataclass(frozen=True, slots=True)
class Oversight:
    """What watches over the steps of a training."""

    pace: Pace
    own: OwnSteps
    witness: Unwatched

    def require(self) -> None:
        """Raises TooSlow, StepsItself."""
        self.pace.require()
        self.own.require()


def _answers(
    model: nn.Module, accelerator: Accelerator, lesson: Lesson, share: Share, witness: Unwatched
) -> Tensor:
    """Logits (m, classes) of the held-out images, of which every process answers its share."""
    if share.rank == 0:
        witness.alone(lesson.held_out.to(accelerator.device))
    accelerator.wait_for_everyone()
    mine = predict(model, lesson.held_out.every(share).to(accelerator.device), lesson.classes, witness)
    gathered: Tensor = accelerator.gather(mine.to(accelerator.device)).cpu().view(share.of, len(mine), -1)
    return gathered.transpose(0, 1).flatten(0, 1)[: len(lesson.held_out)]


def _epoch(
    course: Course,
    accelerator: Accelerator,
    batches: Iterable[tuple[Tensor, Tensor]],
    classes: int,
    recipe: Recipe,
    watch: Oversight,
    steps: int,
) -> tuple[float, float]:
    """Mean loss and share of right answers over the batches of all processes, up to step `steps` at most.

    Raises NotFinite, TooSlow, StepsItself.
    """
    device, epoch = accelerator.device, len(course.curve)
    course.model.train()
    total, right, seen = (torch.zeros((), device=device) for _ in range(3))
    for images, targets in batches:
        watch.pace.begin()
        with watch.witness.step(images):
            logits = logits_of(course.model(images), classes).float()
        loss = cross_entropy(logits, targets, label_smoothing=recipe.label_smoothing)
        course.optimizer.zero_grad()
        accelerator.backward(loss)
        course.schedule.before_step(course.steps)
        watch.own.step(course.optimizer)
        if course.average is not None:
            course.average.update()
        total += loss.detach() * len(targets)
        right += (logits.detach().argmax(1) == targets).sum()
        seen += len(targets)
        course.steps += 1
        watch.pace.end()
        if device.type == "cpu":
            require_finite(loss, epoch)
        if course.steps == 1:
            course.first_loss = float(accelerator.reduce(loss.detach(), "mean"))
        if course.steps == steps:
            break
    total, right, seen = (accelerator.reduce(figure, "sum") for figure in (total, right, seen))
    require_finite(total, epoch)
    return float(total / seen), float(right / seen)


def _begun(
    accelerator: Accelerator,
    build: Callable[[], nn.Module],
    make_optimizer: OptimizerFactory,
    recipe: Recipe,
    rng_seed: int,
    steps_an_epoch: int,
    checkpoint: bytes,
) -> Course:
    """A course at its start, or where `checkpoint` left it; one that does not fit is as good as lost."""
    set_seed(rng_seed)
    model = in_fast_layout(build())
    made = make_optimizer(model, recipe.lr, recipe.weight_decay)
    prepared, optimizer = accelerator.prepare(model, made)
    network = accelerator.unwrap_model(prepared)
    course = Course(
        model=prepared,
        network=network,
        optimizer=optimizer,
        schedule=Schedule(optimizer, recipe.lr_schedule, recipe.epochs * steps_an_epoch),
        order=torch.Generator().manual_seed(rng_seed),
        average=Average(network, recipe.ema) if recipe.ema else None,
        scaler=accelerator.scaler,
    )
    if checkpoint:
        try:
            course.load(checkpoint)
        except Unfit:
            return _begun(accelerator, build, make_optimizer, recipe, rng_seed, steps_an_epoch, b"")
    return course


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


def choose_precision(asked: str) -> str:
    """Mixed precision on a GPU, bfloat16 where it has that; a CPU trains in float32 unless told otherwise."""
    if asked != "auto" or not torch.cuda.is_available():
        return "no" if asked == "auto" else asked
    return "bf16" if torch.cuda.is_bf16_supported() else "fp16"


def in_fast_layout(model: nn.Module) -> nn.Module:
    """Channels last, where the model has convolutions over images and none over volumes."""
    ranks = {parameter.dim() for parameter in model.parameters()}
    return model.to(memory_format=torch.channels_last) if 4 in ranks and 5 not in ranks else model


def require_finite(value: Tensor, epoch: int) -> None:
    if not torch.isfinite(value).all():
        raise NotFinite(f"the training loss became {float(value.detach())} in epoch {epoch + 1}")


def require_sane(loss: float, highest: float, epoch: int) -> None:
    if loss > highest:
        raise Diverged(f"the training loss rose to {loss:.3g} in epoch {epoch + 1}: it diverged")
