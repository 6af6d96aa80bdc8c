"""Objectives: figures to optimise, and what they are computed from."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ge_engine.population import Direction

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True, slots=True)
class Measurement:
    """What objectives are computed from, in the engine, out of the candidate's reach.

    `logits` (n, classes) float32 are the candidate's answers; `labels` (n,) int64 never left the
    engine. `facts` are the worker's figures by name: "parameters", "flops", "train_seconds", ...
    """

    logits: np.ndarray[Any, Any]
    labels: np.ndarray[Any, Any]
    facts: Mapping[str, float]


class Objective(ABC):
    """A named figure with a direction.

    `unit` is what it counts in ("s", "bytes"; "" for a share or a number). `format` is how a value is
    written, the same in every view: of Python's format specifications those such as ".2%", ",.0f" or ".4g";
    "" lets the engine choose. Differences between shares, whose format ends in "%", are told in percentage
    points.
    """

    name: str
    direction: Direction
    unit: str = ""
    format: str = ""

    @abstractmethod
    def measure(self, measurement: Measurement) -> float:
        """The figure of one training. NaN or infinity makes the individual `Failed`."""

    def error(self, measurement: Measurement) -> float | None:  # noqa: ARG002
        """The standard error of the figure, in its unit, from this measurement alone; None: it is exact, or
        its error is not known. Nothing is called better by less than the error of the difference."""
        return None

    def chance(self, classes: int) -> float | None:  # noqa: ARG002
        """What guesses among so many classes reach; None: that is not known. Of a baseline that is hardly
        better nothing is said to be as good."""
        return None
