"""The built-in objectives: figures of one training, each with a direction."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from ge_engine.contracts import Direction, Measurement, Objective
from ge_engine.hookspecs import hookimpl

COSTS: Mapping[str, str] = {
    "parameters": "",
    "flops": "FLOPs",
    "latency": "s",
    "peak_memory": "bytes",
    "train_seconds": "s",
    "size_on_disk": "bytes",
}
"""The worker's figures, each with its unit."""


@dataclass(frozen=True, slots=True)
class Figure(Objective):
    """An objective that is computed from a measurement by a function."""

    name: str
    direction: Direction
    compute: Callable[[Measurement], float]
    unit: str = ""
    format: str = ""

    def measure(self, measurement: Measurement) -> float:
        return self.compute(measurement)


def accuracy(measurement: Measurement) -> float:
    """Share of images whose largest logit is at their label, 0..1."""
    return float((measurement.logits.argmax(axis=1) == measurement.labels).mean())


def cross_entropy(measurement: Measurement) -> float:
    """Mean negative log-likelihood of the labels, in nats."""
    logits = measurement.logits.astype(np.float64)
    top = logits.max(axis=1)
    log_total = top + np.log(np.exp(logits - top[:, None]).sum(axis=1))
    return float((log_total - logits[np.arange(len(logits)), measurement.labels]).mean())


def _fact(name: str) -> Callable[[Measurement], float]:
    return lambda measurement: measurement.facts[name]


@hookimpl
def ge_objectives() -> Iterable[Objective]:
    """Scores from the answers, and costs: numbers, operations, seconds, bytes."""
    yield Figure("accuracy", "max", accuracy, format=".2%")
    yield Figure("loss", "min", cross_entropy, "nats")
    for cost, unit in COSTS.items():
        yield Figure(cost, "min", _fact(cost), unit)
