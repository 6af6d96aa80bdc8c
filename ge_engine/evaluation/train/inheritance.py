"""A network that begins with what its parent has learnt, and how long it is trained then.

Source: Chen, Goodfellow and Shlens, Net2Net: Accelerating Learning via Knowledge Transfer, 2016.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from safetensors import SafetensorError
from safetensors.torch import load
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd, _ConvTransposeNd

from ge_engine.evaluation.measure.parameters import (
    buffers_of,
    is_lazy,
    registered_parameters,
    running_statistics,
    storage_of,
    walk,
)

SAVED = 0.75
"""Of the epochs, what a network that inherits all of its parameters is not trained for."""
_FLOATS = (torch.float32, torch.float64, torch.float16, torch.bfloat16)
_ROUNDING = 1e-9
Part = tuple[slice, ...]


def inherited_epochs(epochs: int, share: float) -> int:
    """The epochs of a network that has inherited this `share` (0..1) of its parameters: a quarter of all at
    1, all at 0, in between along a line, rounded up.

    What is new has to learn from its beginning, and what is inherited has to settle around it: two children
    with the same few epochs would be told apart by how much of their parents they kept, not by how good they
    are.
    """
    return max(1, math.ceil(epochs * (1 - SAVED * share) - _ROUNDING))


def inherit(network: nn.Module, weights: bytes) -> float:
    """Put a parent's trained `weights` (safetensors; b"": there are none) into a `network` that was just
    built; the share of its parameters, 0..1, that is inherited.

    A tensor is inherited by its name and type. Of another size, what both have is: the first rows and
    columns, the middle of a kernel. What is new keeps its own beginning, but the columns of `Linear` and of
    convolutions by which inherited units would read new ones are 0, so that these units compute what they
    did. Of such a tensor less counts: what both have, as a part of the larger of the two. Running statistics
    are inherited like the rest and count for nothing; no other buffer is, for the code says what it holds.

    Bytes that are no weights, or hold NaN or infinity, count as none. So does a network with lazy modules,
    whose size is not known yet.
    """
    parameters = registered_parameters(network)
    total = 0 if any(map(is_lazy, parameters.values())) else sum(p.numel() for p in parameters.values())
    theirs = _tensors_in(weights) if total else {}
    if not theirs:
        return 0.0
    layers = _layers(network)
    with torch.no_grad():
        taken = [_take(p, theirs.get(name), layers.get(name)) for name, p in parameters.items()]
        for name, buffer in _statistics(network).items():
            _take(buffer, theirs.get(name), None)
    return sum(taken) / total


def _tensors_in(weights: bytes) -> Mapping[str, Tensor]:
    try:
        held = load(weights) if weights else {}
    except (SafetensorError, ValueError, KeyError, TypeError, RuntimeError):
        return {}
    floats = [one for one in held.values() if one.dtype in _FLOATS]
    return held if all(bool(torch.isfinite(one).all()) for one in floats) else {}


def _layers(network: nn.Module) -> dict[str, nn.Module]:
    """By the name of a weight: the linear layer or convolution whose it is."""
    return {
        f"{name}.weight" if name else "weight": module
        for name, module in walk(network)
        if isinstance(module, (nn.Linear, _ConvNd))
    }


def _statistics(network: nn.Module) -> dict[str, Tensor]:
    known = running_statistics(network)
    return {
        name: one
        for name, one in buffers_of(network).items()
        if not is_lazy(one) and storage_of(one) in known
    }


def _take(mine: Tensor, theirs: Tensor | None, layer: nn.Module | None) -> float:
    """Put into `mine` what it has in common with `theirs`; how many numbers of it count as inherited."""
    if theirs is None or mine.dtype != theirs.dtype or mine.dim() != theirs.dim() or not mine.numel():
        return 0.0
    first_of_kernel = 2 if isinstance(layer, _ConvNd) else mine.dim()
    pairs = [
        _common(own, other, middle=axis >= first_of_kernel)
        for axis, (own, other) in enumerate(zip(mine.shape, theirs.shape, strict=True))
    ]
    here: Part = tuple(pair[0] for pair in pairs)
    there: Part = tuple(pair[1] for pair in pairs)
    if layer is not None:
        mine[_inherited_units(here, layer)] = 0
    mine[here] = theirs[there]
    return mine.numel() * theirs[there].numel() / max(mine.numel(), theirs.numel())


def _common(own: int, other: int, middle: bool) -> tuple[slice, slice]:
    """Where of two lengths the common part lies in each: at the beginning, or in the middle."""
    length = min(own, other)
    starts = ((own - length) // 2, (other - length) // 2) if middle else (0, 0)
    return slice(starts[0], starts[0] + length), slice(starts[1], starts[1] + length)


def _inherited_units(here: Part, layer: nn.Module) -> Part:
    """All of a layer's weight by which units that are inherited read anything."""
    return (slice(None), here[1]) if isinstance(layer, _ConvTransposeNd) else here[:1]
