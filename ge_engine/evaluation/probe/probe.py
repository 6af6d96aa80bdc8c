"""Build a network once and run one step of it: checks before training are judged on what it shows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any

import torch
from torch import nn
from torch.nn.functional import cross_entropy

from ge_engine.evaluation.measure.module_stats import ModuleWatch
from ge_engine.evaluation.measure.operands import LeavingWatch
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
from ge_engine.evaluation.probe.findings import ProbeFindings, TaskShape
from ge_engine.evaluation.probe.fingerprint import fingerprint
from ge_engine.evaluation.probe.graph import GraphWatch
from ge_engine.evaluation.probe.step import PROBE_SEED, ProbeStep, without_gradient
from ge_engine.evaluation.train.layout import runs_channels_last
from ge_engine.evaluation.train.optimizers import OptimizerFactory

BYTES_PER_WEIGHT_IN_TRAINING = 16
OTHER_BATCHES = (1, 3)
"""Numbers of images that are answered after the step: neither a training's batch nor the probe's."""


def probe(
    load: Callable[[], ModuleType],
    build: Callable[[ModuleType], nn.Module],
    optimizer_of: Callable[[ModuleType], OptimizerFactory],
    shape: TaskShape,
    recipe: Mapping[str, Any],
    memory: int,
    findings: ProbeFindings,
    files: Mapping[str, str],
    measure: Callable[[nn.Module], None] = lambda _: None,
) -> None:
    """Fill `findings`, and have the network measured. An exception of the candidate comes out;
    `findings.stage` tells where it was. `files` are names of the candidate's files by those of their
    modules."""
    findings.stage = "import"
    module = load()
    findings.stage = "meta"
    rehearsed = refuse_giants(lambda: build(module), memory)
    try:
        model = _probe_module(module, build, optimizer_of(module), shape, recipe, findings, files)
    except (RuntimeError, NotImplementedError) as error:
        if not (rehearsed and "meta" in str(error)):
            raise
        module = load()  # the rehearsal left a meta tensor in a cache of the module: start afresh without it
        model = _probe_module(module, build, optimizer_of(module), shape, recipe, findings, files)
    measure(model)
    images = torch.zeros(shape.batch, shape.channels, shape.size, shape.size)
    findings.facts["channels_last"] = float(runs_channels_last(model, images, shape.classes))
    findings.stage = ""


def refuse_giants(build: Callable[[], nn.Module], memory: int) -> bool:
    """Build on the meta device, where weights take no memory; a model that cannot be built there is
    judged by its real build. Returns whether it could. Raises RecursionError at once: to build a network
    without end takes seconds each time."""
    try:
        with torch.device("meta"):
            weights = sum(p.numel() for p in registered_parameters(build()).values())
    except RecursionError:
        raise
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
    files: Mapping[str, str],
) -> nn.Module:
    findings.stage = "build"
    torch.manual_seed(PROBE_SEED)
    model = build(module)
    if not isinstance(model, nn.Module):
        raise TypeError(f"the entry gives a {type(model).__name__} instead of a torch.nn.Module")
    if any(isinstance(one, torch.jit.ScriptModule) for one in model.modules()):
        raise TypeError(
            "it holds a ScriptModule, which torch has compiled, so that nothing in it can be measured: "
            "derive it from torch.nn.Module"
        )
    step = ProbeStep(model, make_optimizer, shape, recipe)
    order = _first_step(step, files, findings)
    findings.executed |= classes_of(model, files)
    if findings.finite and findings.output_shape == (shape.batch, shape.classes):
        fingerprint(step, order, findings)
    return model


def _first_step(step: ProbeStep, files: Mapping[str, str], findings: ProbeFindings) -> list[nn.Parameter]:
    """Forward, backward, optimizer, one step. Returns the parameters in order of first use."""
    model, (images, targets) = step.model, step.batch()
    findings.stage = "forward"
    model.train()
    step.fresh_buffers = [(b, b.detach().clone()) for b in buffers_of(model).values() if not is_lazy(b)]
    watch = GraphWatch(*what_weighs(model))
    modules = ModuleWatch(lambda: watch.flops)
    with modules, watch.over(images):
        logits = step.forward(images)
    findings.modules = modules.rows(model, files, len(images))
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
    findings.without_gradient = without_gradient(parameters)
    findings.stage = "optimizer"
    step.optimizer().step()
    return sorted(parameters.values(), key=lambda p: order.get(storage_of(p), len(order)))


def _answer_others(step: ProbeStep, watch: GraphWatch, findings: ProbeFindings) -> None:
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
