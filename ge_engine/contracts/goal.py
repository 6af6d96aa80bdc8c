"""What a change is asked to do to a network's size, and what structural moves do to it."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Size:
    """What a network holds and costs: parameters, and FLOPs per sample."""

    parameters: int
    flops: float


@dataclass(frozen=True, slots=True)
class SizedMove:
    """A structural change of a block: the line or lines that name it, its kinds ("width", "drop", ...), and
    the network's parameters and FLOPs after it as shares of those before, NaN where they are unknown."""

    text: str
    kinds: tuple[str, ...]
    parameters: float
    flops: float


@dataclass(frozen=True, slots=True)
class Goal:
    """What a change is asked to do: the kinds of move that are meant (empty: any), bounds of the child's
    parameters and FLOPs as shares of its parent's (0.95: at most 95 %), both ends included, and the share by
    which one of the two differs at least (0.05: 5 % more or less)."""

    kinds: tuple[str, ...] = ()
    parameters: tuple[float, float] = (0.0, math.inf)
    flops: tuple[float, float] = (0.0, math.inf)
    change: float = 0.0

    def broken(self, parameters: float, flops: float) -> str:
        """Which bound these shares break, in words; "" for none. NaN breaks none."""
        for name, value, (low, high) in (
            ("parameters", parameters, self.parameters),
            ("FLOPs", flops, self.flops),
        ):
            if value < low:
                return f"{value:.1%} of the parent's {name}, where at least {low:.0%} are asked for"
            if value > high:
                return f"{value:.1%} of the parent's {name}, where at most {high:.0%} are asked for"
        if max(abs(parameters - 1), abs(flops - 1)) < self.change:
            return f"parameters and FLOPs within {self.change:.0%} of the parent's, where more is asked for"
        return ""
