"""The built-in objectives: figures of one training, each with a direction."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ge_engine.contracts import Direction, Measurement, Objective
from ge_engine.hookspecs import hookimpl

Values = np.ndarray[Any, Any]
COSTS: Mapping[str, tuple[str, str]] = {
    "parameters": ("", ",.0f"),
    "flops": ("FLOPs", ""),
    "latency": ("s", ".4g"),
    "peak_memory": ("bytes", ""),
    "train_seconds": ("s", ".4g"),
    "size_on_disk": ("bytes", ""),
}
"""The worker's figures, each with its unit and its format."""


@dataclass(frozen=True, slots=True)
class Score(Objective):
    """The mean over the images of what `each` gives for one; `error_of` is its standard error, `guessed` what
    guesses among so many classes reach."""

    name: str
    direction: Direction
    each: Callable[[Measurement], Values]
    error_of: Callable[[Values], float | None]
    unit: str = ""
    format: str = ""
    guessed: Callable[[int], float | None] = lambda _: None

    def chance(self, classes: int) -> float | None:
        return self.guessed(classes)

    def measure(self, measurement: Measurement) -> float:
        return float(self.each(measurement).mean())

    def error(self, measurement: Measurement) -> float | None:
        return self.error_of(self.each(measurement))


@dataclass(frozen=True, slots=True)
class Cost(Objective):
    """A figure that the worker measured, less of which is better."""

    name: str
    unit: str = ""
    format: str = ""
    direction: Direction = "min"

    def measure(self, measurement: Measurement) -> float:
        return measurement.facts[self.name]


def error_of_mean(values: Values) -> float | None:
    """The standard error of a mean; None of a single value."""
    return float(values.std(ddof=1)) / math.sqrt(len(values)) if len(values) > 1 else None


def error_of_share(values: Values) -> float:
    """The binomial standard error of a share with two successes and two failures added, so that it is not 0
    where all are right (Agresti and Coull, The American Statistician 52(2), 1998)."""
    count = len(values) + 4
    share = (float(values.sum()) + 2) / count
    return math.sqrt(share * (1 - share) / count)


def right(measurement: Measurement) -> Values:
    """Whether an image's largest logit is at its label."""
    return np.asarray(measurement.logits.argmax(axis=1) == measurement.labels)


def cross_entropy(measurement: Measurement) -> Values:
    """Negative log-likelihood of each label, in nats."""
    logits = measurement.logits.astype(np.float64)
    top = logits.max(axis=1)
    log_total = top + np.log(np.exp(logits - top[:, None]).sum(axis=1))
    return np.asarray(log_total - logits[np.arange(len(logits)), measurement.labels])


@hookimpl
def ge_objectives() -> Iterable[Objective]:
    """Scores from the answers, and costs: numbers, operations, seconds, bytes."""
    yield Score("accuracy", "max", right, error_of_share, format=".2%", guessed=lambda classes: 1 / classes)
    yield Score("loss", "min", cross_entropy, error_of_mean, "nats", ".4g")
    for name, (unit, form) in COSTS.items():
        yield Cost(name, unit, form)
