"""Train one network and answer a held-out part of the data. Reads from top to bottom.

The trainer never sees the labels it is scored on: it gets the held-out images and returns logits.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice

import torch
from accelerate import Accelerator
from accelerate.utils import DistributedDataParallelKwargs, set_seed
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from ge_engine.config import Recipe
from ge_engine.evaluation.data.batches import Shard, batch_bounds, shuffled
from ge_engine.evaluation.data.draws import Augmentation
from ge_engine.evaluation.measure.inference import logits_of, predict
from ge_engine.evaluation.measure.witness import Unwatched, unwatched
from ge_engine.evaluation.train.batch_norm import recompute_statistics
from ge_engine.evaluation.train.divergence import require_converging, require_finite
from ge_engine.evaluation.train.ema import Ema
from ge_engine.evaluation.train.inheritance import inherit, inherited_epochs
from ge_engine.evaluation.train.layout import laid_out
from ge_engine.evaluation.train.lr_scheduler import LRScheduler
from ge_engine.evaluation.train.optimizer_guard import OptimizerGuard
from ge_engine.evaluation.train.optimizers import OptimizerFactory
from ge_engine.evaluation.train.rung import WHOLE, Rung, TrainingData, TrainResult
from ge_engine.evaluation.train.state import TrainState, Unfit
from ge_engine.evaluation.train.step_timer import StepTimer


@dataclass(frozen=True, slots=True)
class Watch:
    """What watches the steps of a training."""

    timer: StepTimer
    guard: OptimizerGuard
    witness: Unwatched

    def require(self) -> None:
        """Raises TooSlow, StepsItself."""
        self.timer.require()
        self.guard.require()


def train(
    build: Callable[[], nn.Module],
    make_optimizer: OptimizerFactory,
    data: TrainingData,
    recipe: Recipe,
    rng_seed: int,
    on_first_step: Callable[[], None] = lambda: None,
    rung: Rung = WHOLE,
    witness_of: Callable[[nn.Module, int], Unwatched] = unwatched,
) -> TrainResult:
    """Build, train by `recipe`, answer the held-out images. Same seed and threads: same figures on a CPU,
    also in several rungs: one that continues from a checkpoint ends as if there had been no break.

    Under `accelerate launch` every process calls this and takes its share of each batch; all get all logits.

    Raises:
        NotFinite: the loss is NaN or infinite.
        Diverged: the loss of an epoch lies far above that of the first step and above chance.
        TooSlow: no step was as quick as `rung.step_seconds`.
        StepsItself: the network ran an optimizer of its own.
        Exception: whatever the network itself raises.
    """
    accelerator = Accelerator(
        mixed_precision=choose_precision(recipe.precision),
        cpu=not torch.cuda.is_available(),
        kwargs_handlers=[DistributedDataParallelKwargs(find_unused_parameters=True)],
    )
    device, shard = accelerator.device, Shard(accelerator.process_index, accelerator.num_processes)
    images, labels = data.train.to(device), data.labels.to(device)
    augmentation = Augmentation(
        mirror=recipe.augment and recipe.mirror and data.mirror,
        shift=recipe.augment,
        jitter=recipe.jitter if recipe.augment else 0.0,
    )
    steps_per_epoch = len(batch_bounds(len(images), recipe.batch_size, 2 * shard.world_size))
    begin = partial(_begin, accelerator, build, make_optimizer, recipe, rng_seed, steps_per_epoch)
    state = begin(rung, data.train.layout)
    witness = witness_of(state.network, steps_per_epoch)
    epochs = min(rung.epochs or state.epochs, state.epochs)
    started = time.perf_counter()
    on_first_step()
    with OptimizerGuard() as guard:
        watch = Watch(StepTimer(device, rung.step_seconds), guard, witness)
        while len(state.curve) < epochs and not state.finished:
            batches = shuffled(images, labels, recipe.batch_size, augmentation, state.shuffle_rng, shard)
            loss, accuracy = _epoch(state, accelerator, batches, data.classes, recipe, watch, rung.steps)
            watch.require()
            epoch, lr = len(state.curve), state.scheduler.lr()
            if 0 < epoch < state.epochs - 1:
                require_converging(loss, state.first_loss, data.classes, epoch)
            state.curve.append({"epoch": epoch + 1, "loss": loss, "accuracy": accuracy, "lr": lr})
            state.finished = state.scheduler.after_epoch(loss) or state.steps == rung.steps
        state.seconds += time.perf_counter() - started
        checkpoint = state.saved() if rung.keep else b""
        if state.ema is not None:
            state.ema.apply()
        if recipe.norm_batches:
            batches = shuffled(images, labels, recipe.batch_size, augmentation, state.shuffle_rng)
            recompute_statistics(state.network, islice(batches, recipe.norm_batches))
        logits = _answer(state.model, accelerator, data, shard, witness)
        watch.require()
    facts = witness.facts(logits, data.held_out.to(device)) if shard.rank == 0 else {}
    facts |= {} if state.inherited is None else {"inherited": state.inherited}
    best = watch.timer.best
    return TrainResult(
        state.network, logits, state.curve, state.seconds, state.steps, best, checkpoint, facts
    )


def _begin(
    accelerator: Accelerator,
    build: Callable[[], nn.Module],
    make_optimizer: OptimizerFactory,
    recipe: Recipe,
    rng_seed: int,
    steps_per_epoch: int,
    rung: Rung,
    layout: torch.memory_format,
) -> TrainState:
    """Model, optimizer, scheduler and EMA at their start, or where the rung's checkpoint left them. A
    checkpoint that does not fit counts as lost."""
    set_seed(rng_seed)
    model = laid_out(build(), layout)
    inherited = None if rung.parent is None else inherit(model, rung.parent)
    epochs = inherited_epochs(recipe.epochs, inherited or 0.0)
    made = make_optimizer(model, recipe.lr, recipe.weight_decay)
    prepared, optimizer = accelerator.prepare(model, made)
    network = accelerator.unwrap_model(prepared)
    state = TrainState(
        model=prepared,
        network=network,
        optimizer=optimizer,
        scheduler=LRScheduler(optimizer, recipe.lr_schedule, epochs * steps_per_epoch),
        shuffle_rng=torch.Generator().manual_seed(rng_seed),
        ema=Ema(network, recipe.ema) if recipe.ema else None,
        epochs=epochs,
        inherited=inherited,
        scaler=accelerator.scaler,
    )
    if rung.checkpoint:
        try:
            state.load(rung.checkpoint)
        except Unfit:
            lost = replace(rung, checkpoint=b"")
            return _begin(accelerator, build, make_optimizer, recipe, rng_seed, steps_per_epoch, lost, layout)
    return state


def _epoch(
    state: TrainState,
    accelerator: Accelerator,
    batches: Iterable[tuple[Tensor, Tensor]],
    classes: int,
    recipe: Recipe,
    watch: Watch,
    last_step: int,
) -> tuple[float, float]:
    """Mean loss and accuracy over the batches of all processes, up to `last_step` at most.

    Raises NotFinite, TooSlow, StepsItself.
    """
    device, epoch = accelerator.device, len(state.curve)
    state.model.train()
    total, right, seen = (torch.zeros((), device=device) for _ in range(3))
    for images, targets in batches:
        watch.timer.begin()
        logits, loss = _step(state, accelerator, images, targets, classes, recipe, watch)
        total += loss * len(targets)
        right += (logits.argmax(1) == targets).sum()
        seen += len(targets)
        state.steps += 1
        watch.timer.end()
        if device.type == "cpu":
            require_finite(loss, epoch)
        if state.steps == 1:
            state.first_loss = float(accelerator.reduce(loss, "mean"))
        if state.steps == last_step:
            break
    total, right, seen = (accelerator.reduce(figure, "sum") for figure in (total, right, seen))
    require_finite(total, epoch)
    return float(total / seen), float(right / seen)


def _step(
    state: TrainState,
    accelerator: Accelerator,
    images: Tensor,
    targets: Tensor,
    classes: int,
    recipe: Recipe,
    watch: Watch,
) -> tuple[Tensor, Tensor]:
    """Forward, backward, learning rate, optimizer, EMA. Returns logits and loss without their gradients."""
    with watch.witness.step(images):
        logits = logits_of(state.model(images), classes).float()
    loss = cross_entropy(logits, targets, label_smoothing=recipe.label_smoothing)
    state.optimizer.zero_grad()
    accelerator.backward(loss)
    state.scheduler.before_step(state.steps)
    watch.guard.step(state.optimizer)
    if state.ema is not None:
        state.ema.update()
    return logits.detach(), loss.detach()


def _answer(
    model: nn.Module, accelerator: Accelerator, data: TrainingData, shard: Shard, witness: Unwatched
) -> Tensor:
    """Logits (m, classes) of the held-out images, of which every process answers its share."""
    if shard.rank == 0:
        witness.alone(data.held_out.to(accelerator.device))
    accelerator.wait_for_everyone()
    mine = predict(model, data.held_out.shard(shard).to(accelerator.device), data.classes, witness)
    gathered: Tensor = (
        accelerator.gather(mine.to(accelerator.device)).cpu().view(shard.world_size, len(mine), -1)
    )
    return gathered.transpose(0, 1).flatten(0, 1)[: len(data.held_out)]


def choose_precision(asked: str) -> str:
    """Mixed precision on a GPU, bfloat16 where it has that; a CPU trains in float32 unless told otherwise."""
    if asked != "auto" or not torch.cuda.is_available():
        return "no" if asked == "auto" else asked
    return "bf16" if torch.cuda.is_bf16_supported() else "fp16"
