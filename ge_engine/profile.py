"""What a network is made of: its modules with shapes, parameters and FLOPs, and the sums of each block."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass
from typing import Any

MOST_MODULES = 2000
"""Modules of a network that are listed; the rest counts in those around them."""

LONGEST_NAME = 300
MOST_DIMENSIONS = 16


@dataclass(frozen=True, slots=True)
class ModuleProfile:
    """One module of a network, as the probe's forward pass of one batch saw it.

    `path` is its place in the model ("features.3.pointwise1", "" for the model itself), `kind` its class, and
    `block` the address of that class in the file, "" where it comes from elsewhere. `input` and `output`
    are the shapes of the first tensor of its first call, batch included, () where it was never called. `own`
    counts the parameters that it holds itself, one shared by several modules for the first; `parameters` adds
    those of the modules within it. `flops` are per sample, all calls and all within it.
    """

    path: str
    kind: str
    block: str = ""
    input: tuple[int, ...] = ()
    output: tuple[int, ...] = ()
    own: int = 0
    parameters: int = 0
    flops: float = 0.0
    calls: int = 0


@dataclass(frozen=True, slots=True)
class BlockProfile:
    """What all instances of one class of the file hold and cost: parameters and FLOPs per sample, also as
    shares (0 to 1) of the model's. An instance within another one of its class counts with that one."""

    address: str
    instances: int
    parameters: int
    parameter_share: float
    flops: float
    flop_share: float


def block_profiles(modules: Sequence[ModuleProfile]) -> dict[str, BlockProfile]:
    """The sums by address, in the order in which the blocks first occur; {} without modules."""
    if not modules:
        return {}
    found: dict[str, list[ModuleProfile]] = {}
    for module in modules:
        if module.block:
            held = found.setdefault(module.block, [])
            if not any(_within(module, outer) for outer in held):
                held.append(module)
    whole = modules[0]
    return {address: _summed(address, held, whole) for address, held in found.items()}


def share(part: float, whole: float) -> float:
    """`part` of `whole`, 0 to 1; 0 where there is nothing."""
    return part / whole if whole else 0.0


def maps_to_one(module: ModuleProfile) -> bool:
    """Whether what the module gives has one position left per channel: (n, c, 1, 1) from a larger map, or a
    map that was 1x1 before, on which a spatial kernel sees nothing but its centre."""
    return len(module.output) == 4 and module.output[2:] == (1, 1)


def rows_of(modules: Iterable[ModuleProfile]) -> list[list[Any]]:
    """Modules as rows of their fields, for JSON."""
    return [[list(v) if isinstance(v, tuple) else v for v in astuple(module)] for module in modules]


def modules_of(rows: Iterable[Sequence[Any]]) -> tuple[ModuleProfile, ...]:
    """Modules from rows that `rows_of` gave.

    Raises:
        ValueError, TypeError, OverflowError: a row is none, or a figure is negative or not finite.
    """
    return tuple(_module(*row) for row in rows)


def _module(
    path: Any,
    kind: Any,
    block: Any,
    taken: Any,
    given: Any,
    own: Any,
    parameters: Any,
    flops: Any,
    calls: Any,
) -> ModuleProfile:
    if isinstance(flops, bool) or not math.isfinite(flops) or flops < 0:
        raise ValueError(f"{flops!r} is no number of FLOPs")
    return ModuleProfile(
        path=_name(path),
        kind=_name(kind),
        block=_name(block),
        input=_shape(taken),
        output=_shape(given),
        own=_count(own),
        parameters=_count(parameters),
        flops=float(flops),
        calls=_count(calls),
    )


def _name(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is no name")
    return value[:LONGEST_NAME]


def _count(value: Any) -> int:
    if type(value) is not int or not 0 <= value < 2**63:
        raise ValueError(f"{value!r} is no count")
    return value


def _shape(value: Any) -> tuple[int, ...]:
    return tuple(_count(side) for side in value[:MOST_DIMENSIONS])


def _within(inner: ModuleProfile, outer: ModuleProfile) -> bool:
    return not outer.path or inner.path.startswith(outer.path + ".")


def _summed(address: str, held: Sequence[ModuleProfile], whole: ModuleProfile) -> BlockProfile:
    parameters, flops = sum(m.parameters for m in held), sum(m.flops for m in held)
    return BlockProfile(
        address,
        len(held),
        parameters,
        share(parameters, whole.parameters),
        flops,
        share(flops, whole.flops),
    )
