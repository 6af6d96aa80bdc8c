"""What a number may become when an optimiser chooses it: its kind, by name and value, and the range of it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from ge_engine.structure.numbers import SMALLEST_WIDTH, TABLED
from ge_engine.structure.tuned import NumberSite, number_text

Kind = Literal["share", "remainder", "scale", "width", "count"]
"""A share of 0..1 (dropout); one minus a small number (momentum, betas); a positive float of any size; the
width of a layer; a small count (a depth, a ratio)."""

SHARES = re.compile(r"p|.*drop.*")
REMAINDERS = re.compile(r"momentum|betas?\d?|ema|.*decay|alpha|rho")
"""Names of floats that lie just below one."""
LARGEST_SHARE = 0.8
SCALES = 10.0
"""By what a scale is divided and multiplied; one below 1 stays below it."""
BELOW_ONE = 0.99
LARGEST_REMAINDER = 0.5
WIDTHS = (0.25, 2.0)
"""As far as structural moves change widths; what is wider costs more than its training is worth."""


@dataclass(frozen=True, slots=True)
class NumberRange:
    """Values from `low` to `high`, both included; of a width those on the grid that suits its size."""

    kind: Kind
    low: float
    high: float

    def widened(self, value: float) -> NumberRange:
        """The range with one more value in it; without one that has no place on the kind's scale, which is
        logarithmic but for shares."""
        least_above_zero = self.kind not in ("share", "remainder")
        if (self.kind == "remainder" and value >= 1) or (least_above_zero and value <= 0):
            return self
        return NumberRange(self.kind, min(self.low, value), max(self.high, value))

    def legal(self, value: float) -> int | float:
        """The value of the range next to `value`: an integer of widths and counts, else a float of at most
        four digits."""
        inside = min(max(value, self.low), self.high)
        if self.kind == "width":
            return self._on_grid(inside)
        return round(inside) if self.kind == "count" else self._short(inside)

    def _short(self, value: float) -> float:
        short = float(number_text(float(value)))
        return short if self.low <= short <= self.high else value

    def _on_grid(self, width: float) -> int:
        step = 8 if width >= 32 else 4 if width >= 12 else 1
        near = [step * (round(width / step) + more) for more in (0, -1, 1)]
        return next((one for one in near if self.low <= one <= self.high and one > 0), round(width))


def range_of(site: NumberSite) -> NumberRange | None:
    """The range of a number; None of one that belongs to the structure: kernel sizes, strides, heads and
    others that have a table, zeros but a share's, small integers in the midst of code."""
    value = site.value
    if type(value) is float:
        return _of_float(site.name, value)
    if site.name in TABLED or value < 1:
        return None
    if value >= SMALLEST_WIDTH:
        return NumberRange("width", max(1, round(WIDTHS[0] * value)), round(WIDTHS[1] * value))
    return NumberRange("count", max(1, value // 2), 2 * value) if site.stated else None


def _of_float(name: str, value: float) -> NumberRange | None:
    if SHARES.fullmatch(name) and value < 1:
        return NumberRange("share", 0.0, max(LARGEST_SHARE, value))
    if value <= 0:
        return None
    if 0.5 < value < 1 and REMAINDERS.fullmatch(name):
        rest = 1 - value
        low, high = 1 - min(LARGEST_REMAINDER, 5 * rest), 1 - rest / SCALES
        return NumberRange("remainder", low, high).widened(value)
    low, high = (float(number_text(one)) for one in (value / SCALES, value * SCALES))
    return NumberRange("scale", low, high if value >= 1 else max(value, min(high, BELOW_ONE)))
