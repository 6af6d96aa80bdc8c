"""The built-in objectives: figures of one training, each with a direction."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ge_engine.contracts import Direction, Measurement, Objective
from ge_engine.hookspecs import hookimpl

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
    """The mean over the images of what `each` gives for one, with the standard error of that mean."""

    name: str
    direction: Direction
    each: Callable[[Measurement], np.ndarray[Any, Any]]
    unit: str = ""
    format: str = ""

    def measure(self, measurement: Measurement) -> float:
        return float(self.each(measurement).mean())

    def error(self, measurement: Measurement) -> float | None:
        values = self.each(measurement)
        return float(values.std(ddof=1)) / math.sqrt(len(values)) if len(values) > 1 else None


@dataclass(frozen=True, slots=True)
class Cost(Objective):
    """A figure that the worker measured, less of which is better."""

    name: str
    unit: str = ""
    format: str = ""
    direction: Direction = "min"

    def measure(self, measurement: Measurement) -> float:
        return measurement.facts[self.name]


def right(measurement: Measurement) -> np.ndarray[Any, Any]:
    """Whether an image's largest logit is at its label."""
    return np.asarray(measurement.logits.argmax(axis=1) == measurement.labels)


def cross_entropy(measurement: Measurement) -> np.ndarray[Any, Any]:
    """Negative log-likelihood of each label, in nats."""
    logits = measurement.logits.astype(np.float64)
    top = logits.max(axis=1)
    log_total = top + np.log(np.exp(logits - top[:, None]).sum(axis=1))
    return np.asarray(log_total - logits[np.arange(len(logits)), measurement.labels])


@hookimpl
def ge_objectives() -> Iterable[Objective]:
    """Scores from the answers, and costs: numbers, operations, seconds, bytes."""
    yield Score("accuracy", "max", right, format=".2%")
    yield Score("loss", "min", cross_entropy, "nats", ".4g")
    for name, (unit, form) in COSTS.items():
        yield Cost(name, unit, form)
