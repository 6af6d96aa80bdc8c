"""How many weights a network has: all that acts in its forward passes, registered or not."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from ge_engine.evaluation.measure.operands import Foreign, OperandWatch
from ge_engine.evaluation.measure.parameters import (
    buffers_of,
    can_weigh,
    is_lazy,
    numbers_in,
    registered_parameters,
    running_statistics,
    storage_of,
)

FREE = 256
"""Single numbers (a temperature, an epsilon) up to this many cost nothing, in tensors and again in the code;
of more, all count."""


@dataclass(frozen=True, slots=True)
class Weights:
    """`total` counts parameters and what is hidden: `hidden` numbers in buffers, attributes, closures,
    globals and files. `trainable` are the shapes of tensors that want a gradient and are not registered."""

    total: int
    hidden: int
    trainable: tuple[tuple[int, ...], ...]


def what_weighs(model: nn.Module) -> tuple[list[Tensor], list[int]]:
    """What an `OperandWatch` is to know of `model`: its tensors, and the storages of batch statistics."""
    tensors: list[Tensor] = [*registered_parameters(model).values(), *buffers_of(model).values()]
    statistics = [place for place, kind in running_statistics(model).items() if kind == "batch"]
    return [one for one in tensors if not is_lazy(one)], statistics


def weights_of(model: nn.Module, watch: OperandWatch) -> Weights:
    """Weigh `model` by its tables and by what `watch` saw in its passes."""
    parameters, buffers = registered_parameters(model), buffers_of(model)
    registered = {storage_of(t) for t in (*parameters.values(), *buffers.values())} - watch.beyond
    foreign = [one for storage, one in watch.foreign.items() if storage not in registered]
    free = running_statistics(model).keys() - watch.acting
    weighing = [b for b in buffers.values() if storage_of(b) not in free and _weighs(b, watch)]
    large = [one for one in weighing if one.numel() > 1]
    single = [one for one in weighing if one.numel() == 1]
    large_foreign = [one for one in foreign if not _single(one)]
    hidden = numbers_in(large) + sum(one.numbers for one in large_foreign)
    total = numbers_in([*parameters.values(), *large]) + sum(one.numbers for one in large_foreign)
    singles = len(single) + len(foreign) - len(large_foreign)
    extra = sum(count for count in (singles, watch.scalars) if count > FREE)
    trainable = tuple(tuple(one.tensor.shape) for one in foreign if one.trainable)
    return Weights(total + extra, hidden + extra, trainable)


def _weighs(buffer: Tensor, watch: OperandWatch) -> bool:
    return can_weigh(buffer) or storage_of(buffer) in watch.acting


def _single(one: Foreign) -> bool:
    return one.tensor.numel() == 1 and one.numbers <= 2
