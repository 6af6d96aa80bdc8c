"""How figures are written: an objective's unit and format, the same in every view."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

FORMAT = re.compile(r"(,?(\.\d{1,2})?[efg%])?")
"""Of Python's format specifications, those that are as short as a figure should be, and that D3 knows too."""
ROUNDING = 1e-9
"""Of a figure, what a difference of two equal ones may be off."""
SHOWN: Mapping[str, str] = {"intent": "mutation type"}
"""Dimensions of a child that a person reads by another name than they are stored under."""
SIZES = ((1e12, "T"), (1e9, "B"), (1e6, "M"))


@dataclass(frozen=True, slots=True)
class Notation:
    """`unit` and `format` of an objective; a `format` of "" leaves it to `value`. Raises ValueError on a
    format that is not of the form `FORMAT`."""

    unit: str = ""
    format: str = ""

    def __post_init__(self) -> None:
        if not FORMAT.fullmatch(self.format):
            raise ValueError(f"{self.format!r} is no format of a figure, such as '.2%' or ',.0f'")

    @property
    def is_share(self) -> bool:
        """Whether figures are written in percent, and differences in percentage points."""
        return self.format.endswith("%")

    def value(self, value: float) -> str:
        """A figure without its unit. Where the format leaves it open: whole numbers with separators, others
        with four digits."""
        if self.format:
            return unsigned_zero(format(value, self.format)).replace("%", " %")
        if float(value).is_integer():
            return f"{int(value):,}"
        size, letter = next((pair for pair in SIZES if abs(value) >= pair[0]), (1, ""))
        return f"{value / size:.4g}{letter}"

    def measured(self, value: float, error: float | None = None) -> str:
        """A figure with its unit, and with its standard error where that is known."""
        return f"{self.spread(value, error)} {self.unit}".rstrip()

    def spread(self, value: float, deviation: float | None) -> str:
        """ "98.26 ± 0.77 %"; the figure alone where the deviation is not known."""
        if deviation is None:
            return self.value(value)
        seen = beyond_rounding(value, deviation)
        if self.is_share:
            return f"{self.value(value).removesuffix(' %')} ± {self.value(seen)}"
        return f"{self.value(value)} ± {seen:.2g}"

    def gain(self, difference: float, deviation: float | None) -> str:
        """A difference with its sign, of shares in percentage points, without its unit."""
        text = signed(100 * difference, ".2f") if self.is_share else signed(difference, ".3g")
        if deviation is None:
            return text
        seen = beyond_rounding(difference, deviation)
        return f"{text} ± {100 * seen:.2f}" if self.is_share else f"{text} ± {seen:.2g}"

    @property
    def unit_of_gain(self) -> str:
        """ "percentage points" of shares, else the unit."""
        return "percentage points" if self.is_share else self.unit

    def change(self, old: float, new: float) -> str:
        """From `old` to `new`: of shares in percentage points, else in percent of `old`; "" of a figure that
        was next to nothing."""
        if self.is_share:
            return self.gain(new - old, None)
        share = 100 * (new / old - 1) if old else math.inf
        return f"{signed(share, '.1f')} %" if math.isfinite(share) else ""

    def title(self, name: str) -> str:
        """An objective's name with its unit, for an axis."""
        return f"{name.replace('_', ' ')} ({self.unit})" if self.unit else name


Notations = Mapping[str, Notation]
PLAIN = Notation()
SHARE = Notation(format=".1%")
BEFORE: Notations = {"accuracy": Notation(format=".2%")}
"""Those of a run whose run database holds none: its version knew that accuracy is a share, and nothing
else."""


def signed(value: float, form: str) -> str:
    """A number with its sign; of one that is written as 0, none."""
    text = format(value, form)
    return text.lstrip("-") if float(text) == 0 else format(value, f"+{form}")


def beyond_rounding(value: float, deviation: float) -> float:
    """The deviation of a figure; 0 for one that is no more than the rounding of `value`."""
    return deviation if deviation > ROUNDING * abs(value) else 0.0


def unsigned_zero(text: str) -> str:
    """A written number, without the sign of one that reads as 0."""
    return text if any(digit in text for digit in "123456789") else text.removeprefix("-")


def written(
    objectives: Mapping[str, float], notations: Notations, errors: Mapping[str, float] | None = None
) -> str:
    """ "accuracy 98.26 ± 0.77 %, latency 0.0123 s"."""
    known = errors or {}
    return ", ".join(
        f"{name} {notations.get(name, PLAIN).measured(value, known.get(name))}"
        for name, value in objectives.items()
    )


def front_title(objectives: Iterable[str]) -> str:
    """What the best of a run are called: with one objective there is no Pareto front."""
    return "Pareto front" if len(list(objectives)) > 1 else "best"


def shown_dimension(name: str) -> str:
    """The name of a dimension as a person reads it."""
    return SHOWN.get(name, name)
