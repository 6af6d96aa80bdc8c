"""Build many variants of a network, run a batch through each, and report what each holds and costs."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from types import ModuleType

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from ge_engine.evaluation.data.candidate_files import Candidate, import_files
from ge_engine.evaluation.measure.inference import logits_of
from ge_engine.evaluation.measure.parameters import numbers_in, registered_parameters
from ge_engine.evaluation.probe.findings import TaskShape
from ge_engine.evaluation.probe.probe import refuse_giants

IMAGES = 2
"""Images in the batch: enough for batch normalisation of maps larger than 1x1."""


def sizes_of(
    variants: Iterable[Candidate],
    build: Callable[[ModuleType], nn.Module],
    shape: TaskShape,
    memory: int,
    seconds: float,
) -> list[tuple[int, float] | None]:
    """(parameters, FLOPs per image) of each variant's network; None for one that does not build, that does
    not answer with one row of logits per image, or that `seconds` of the processor's time do not reach: a
    busy machine leaves out no more than an idle one."""
    until = time.process_time() + seconds
    return [_size(one, build, shape, memory) if time.process_time() < until else None for one in variants]


def _size(
    candidate: Candidate,
    build: Callable[[ModuleType], nn.Module],
    shape: TaskShape,
    memory: int,
) -> tuple[int, float] | None:
    try:
        module = import_files(candidate)
        refuse_giants(lambda: build(module), memory)
        model = build(module).eval()
        flops = FlopCounterMode(display=False)
        images = torch.zeros(IMAGES, shape.channels, shape.size, shape.size)
        with torch.no_grad(), flops:
            logits = logits_of(model(images), shape.classes)
        if tuple(logits.shape) != (IMAGES, shape.classes):
            return None
        parameters = numbers_in(registered_parameters(model).values())
        return parameters, flops.get_total_flops() / IMAGES
    except BaseException:  # a variant that does not run, or that ends by SystemExit, is the finding
        return None
