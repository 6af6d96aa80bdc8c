"""Build a network once and run one step of it: what the ladder and the live blocks are judged on."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from ge_engine.evaluation.measure.inference import logits_of
from ge_engine.evaluation.measure.module_stats import ModuleWatch
from ge_engine.evaluation.measure.operands import GraphWatch, LeavingWatch
from ge_engine.evaluation.measure.parameters import (
    buffers_of,
    bytes_on_disk,
    is_lazy,
    parameters_by_class,
    registered_parameters,
    storage_of,
    unregistered_modules,
)
from ge_engine.evaluation.measure.weights import weights_of, what_weighs
from ge_engine.evaluation.probe.coverage import classes_of
from ge_engine.evaluation.train.optimizers import OptimizerFactory
from ge_engine.profile import ModuleProfile

PROBE_SEED = 20_240_714
BYTES_PER_WEIGHT_IN_TRAINING = 16
FEWEST_FOR_SPREAD = 256
OTHER_BATCHES = (1, 3)
"""Numbers of images that are answered after the step: neither a training's batch nor the probe's."""


@dataclass(frozen=True, slots=True)
class TaskShape:
    """What the task asks of a network: images (n, channels, size, size) in, logits (n, classes) out."""

    channels: int
    size: int
    classes: int

    @property
    def batch(self) -> int:
        """Enough images that batch normalisation of a 1x1 map passes gradients; fewer when large."""
        return 8 if self.size <= 64 else 4


@dataclass(slots=True)
class ProbeFindings:
    """A probe in the making. `stage` names the step that runs now and stays where an error stops it."""

    stage: str = "import"
    error: str = ""
    output_shape: tuple[int, ...] = ()
    finite: bool = True
    without_gradient: set[str] = field(default_factory=set)
    unregistered: list[str] = field(default_factory=list)
    executed: set[str] = field(default_factory=set)
    facts: dict[str, float] = field(default_factory=dict)
    class_parameters: dict[str, int] = field(default_factory=dict)
    fingerprint: str = ""
    graph: str = ""
    modules: list[ModuleProfile] = field(default_factory=list)


def probe(
    load: Callable[[], ModuleType],
    build: Callable[[ModuleType], nn.Module],
    optimizer_of: Callable[[ModuleType], OptimizerFactory],
    shape: TaskShape,
    recipe: Mapping[str, Any],
    memory: int,
    findings: ProbeFindings,
    measure: Callable[[nn.Module], None] = lambda _: None,
) -> None:
    """Fill `findings`, and have the network measured. An exception of the candidate comes out;
    `findings.stage` tells where it was."""
    findings.stage = "import"
    module = load()
    findings.stage = "meta"
    rehearsed = refuse_giants(lambda: build(module), memory)
    try:
        model = _probe_module(module, build, optimizer_of(module), shape, recipe, findings)
    except (RuntimeError, NotImplementedError) as error:
        if not (rehearsed and "meta" in str(error)):
            raise
        module = load()  # the rehearsal left a meta tensor in a cache of the module: start afresh without it
        model = _probe_module(module, build, optimizer_of(module), shape, recipe, findings)
    measure(model)
    findings.stage = ""


def refuse_giants(build: Callable[[], nn.Module], memory: int) -> bool:
    """Build on the meta device, where weights take no memory; a model that cannot be built there is
    judged by its real build. Returns whether it could."""
    try:
        with torch.device("meta"):
            weights = sum(p.numel() for p in registered_parameters(build()).values())
    except Exception:  # the real build decides, with its own error
        return False
    if weights * BYTES_PER_WEIGHT_IN_TRAINING > memory:
        needs = weights * BYTES_PER_WEIGHT_IN_TRAINING / 2**30
        raise MemoryError(
            f"{weights:,} parameters need {needs:.1f} GiB to train; {memory / 2**30:.1f} are allowed"
        )
    return True


def _probe_module(
    module: ModuleType,
    build: Callable[[ModuleType], nn.Module],
    make_optimizer: OptimizerFactory,
    shape: TaskShape,
    recipe: Mapping[str, Any],
    findings: ProbeFindings,
) -> nn.Module:
    findings.stage = "build"
    torch.manual_seed(PROBE_SEED)
    model = build(module)
    if not isinstance(model, nn.Module):
        raise TypeError(f"the entry gives a {type(model).__name__} instead of a torch.nn.Module")
    step = Step(model, make_optimizer, shape, recipe)
    order = _first_step(step, module.__name__, findings)
    findings.executed |= classes_of(model, module)
    if findings.finite and findings.output_shape == (shape.batch, shape.classes):
        _fingerprint(step, order, findings)
    return model


@dataclass(slots=True)
class Step:
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


def _first_step(step: Step, file_module: str, findings: ProbeFindings) -> list[nn.Parameter]:
    """Forward, backward, optimizer, one step. Returns the parameters in order of first use."""
    model, (images, targets) = step.model, step.batch()
    findings.stage = "forward"
    model.train()
    step.fresh_buffers = [(b, b.detach().clone()) for b in buffers_of(model).values() if not is_lazy(b)]
    watch = GraphWatch(*what_weighs(model))
    modules = ModuleWatch(lambda: watch.flops)
    with modules, watch.over(images):
        logits = step.forward(images)
    findings.modules = modules.rows(model, file_module, len(images))
    findings.output_shape = tuple(logits.shape)
    findings.finite = bool(torch.isfinite(logits).all())
    findings.graph, flops = watch.graph, watch.flops / len(images)
    parameters = registered_parameters(model)
    order = {storage: place for place, storage in enumerate(watch.order)}
    _answer_others(step, watch, findings)
    _weigh(model, watch, flops, findings)
    if findings.output_shape != (step.shape.batch, step.shape.classes):
        return []
    findings.stage = "backward"
    cross_entropy(logits.float(), targets).backward()  # type: ignore[no-untyped-call]
    findings.without_gradient = _without_gradient(parameters)
    findings.stage = "optimizer"
    step.optimizer().step()
    return sorted(parameters.values(), key=lambda p: order.get(storage_of(p), len(order)))


def _answer_others(step: Step, watch: GraphWatch, findings: ProbeFindings) -> None:
    """Have other numbers of images answered: weights may act in their passes alone."""
    if not findings.finite or findings.output_shape != (step.shape.batch, step.shape.classes):
        return
    images, _ = step.batch()
    step.model.eval()
    with torch.no_grad():
        for count in OTHER_BATCHES:
            with LeavingWatch(watch), watch.over(images[:count]):
                step.forward(images[:count])
    step.model.train()


def _weigh(model: nn.Module, watch: GraphWatch, flops: float, findings: ProbeFindings) -> None:
    weights = weights_of(model, watch)
    findings.unregistered = unregistered_modules(model)
    findings.unregistered += [
        f"a trainable tensor of shape {shape}" for shape in weights.trainable if not findings.unregistered
    ]
    findings.class_parameters = parameters_by_class(model)
    findings.facts = {
        "parameters": float(weights.total),
        "hidden_weights": float(weights.hidden),
        "flops": flops,
        "size_on_disk": float(bytes_on_disk(model)),
    }


def _without_gradient(parameters: Mapping[str, nn.Parameter]) -> set[str]:
    return {
        name
        for name, parameter in parameters.items()
        if parameter.requires_grad and (parameter.grad is None or not bool(parameter.grad.any()))
    }


def _fingerprint(step: Step, order: list[nn.Parameter], findings: ProbeFindings) -> None:
    """Give every parameter fixed values by its order of first use and hash two training steps.

    Equal for renamed variables and reordered statements; unequal where initialisation, optimizer, size
    or cost differ. A parameter counts as without gradient only if these values leave it so as well.
    """
    model, (images, targets) = step.model, step.batch()
    findings.stage = "forward"
    digest = hashlib.sha256()
    for index, parameter in enumerate(order):
        digest.update(f"{tuple(parameter.shape)} {_initialised(parameter)}\n".encode())
        _refill(parameter, index)
    for buffer, fresh in step.fresh_buffers:
        buffer.detach().copy_(fresh)
    for name in ("parameters", "flops"):
        digest.update(f"{name} {findings.facts[name]}\n".encode())
    optimizer = step.optimizer()
    digest.update(_settings(optimizer).encode())
    for number in range(2):
        logits = step.forward(images)
        digest.update(_rounded(logits))
        optimizer.zero_grad()
        cross_entropy(logits.float(), targets).backward()  # type: ignore[no-untyped-call]
        if number == 0:
            findings.without_gradient &= _without_gradient(registered_parameters(model))
        optimizer.step()
    model.eval()
    with torch.no_grad():
        digest.update(_rounded(step.forward(images)))
    findings.fingerprint = digest.hexdigest()


def _initialised(parameter: nn.Parameter) -> str:
    """How a parameter was initialised, up to chance: its constant, or its spread in half powers of two,
    placed so that torch's default (1 / sqrt(3 fan_in)) lies between two steps for a fan-in of 2^k."""
    values = parameter.detach()
    values = torch.view_as_real(values) if values.is_complex() else values.float()
    low, high = float(values.min()), float(values.max())
    if low == high:
        return f"{low:.4g}"
    if values.numel() < FEWEST_FOR_SPREAD:
        return "random"
    return f"step {round(2 * math.log2(float(values.std()) + 1e-30) + math.log2(3) - 1)}"


@torch.no_grad()
def _refill(parameter: nn.Parameter, index: int) -> None:
    generator = torch.Generator().manual_seed(PROBE_SEED + index)
    values = torch.rand(parameter.shape, generator=generator) * 2 - 1
    if parameter.dim() > 1:
        values *= math.sqrt(3 * parameter.shape[0] / parameter.numel())
    else:
        values = 1 + 0.2 * values
    parameter.copy_(values)
    parameter.grad = None


def _settings(optimizer: torch.optim.Optimizer) -> str:
    lines = [type(optimizer).__name__]
    for group in optimizer.param_groups:
        settings = sorted((k, repr(v)) for k, v in group.items() if k not in ("params", "param_names"))
        lines.append(f"{sum(p.numel() for p in group['params'])} {settings}")
    return "\n".join(lines)


def _rounded(logits: Tensor) -> bytes:
    """Logits to four figures of the largest, so that another order of summation hashes alike."""
    values = logits.detach().double()
    largest = float(values.abs().max()) + 1e-12
    return f"{largest:.3g}".encode() + (values / largest * 1e4).round().to(torch.int32).numpy().tobytes()
