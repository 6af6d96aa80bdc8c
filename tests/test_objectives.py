"""Objectives: figures pinned by hand."""

from __future__ import annotations

import math
import statistics

import numpy as np
import pytest

from ge_engine.contracts import Measurement
from ge_plugins.objectives import ge_objectives

OBJECTIVES = {objective.name: objective for objective in ge_objectives()}
LOGITS = np.array([[2.0, 0.0], [0.0, 1.0], [3.0, 3.5], [1000.0, -1000.0]], np.float32)
LABELS = np.array([0, 1, 0, 0])
MEASUREMENT = Measurement(LOGITS, LABELS, {"parameters": 7.0, "flops": 5.0, "latency": 0.25})


def test_an_accuracy_that_counts_wrong() -> None:
    assert OBJECTIVES["accuracy"].measure(MEASUREMENT) == 0.75


def test_a_loss_that_overflows_or_is_not_the_mean() -> None:
    expected = np.mean([math.log1p(math.exp(-2)), math.log1p(math.exp(-1)), math.log1p(math.exp(0.5)), 0.0])
    assert OBJECTIVES["loss"].measure(MEASUREMENT) == pytest.approx(expected)


def test_an_error_that_is_not_the_standard_error_of_the_mean() -> None:
    losses = [math.log1p(math.exp(-2)), math.log1p(math.exp(-1)), math.log1p(math.exp(0.5)), 0.0]
    assert OBJECTIVES["loss"].error(MEASUREMENT) == pytest.approx(statistics.stdev(losses) / 2)
    single = Measurement(LOGITS[:1], LABELS[:1], {})
    assert OBJECTIVES["loss"].error(single) is None
    assert OBJECTIVES["latency"].error(MEASUREMENT) is None


def test_an_accuracy_without_an_error_where_all_or_none_are_right() -> None:
    """Two right and two wrong answers are added: (3 + 2) / 8, 6 / 8 and 2 / 8."""
    for labels, share in ((LABELS, 5 / 8), (LOGITS.argmax(1), 6 / 8), (1 - LOGITS.argmax(1), 2 / 8)):
        error = OBJECTIVES["accuracy"].error(Measurement(LOGITS, labels, {}))
        assert error == pytest.approx(math.sqrt(share * (1 - share) / 8))


def test_a_figure_without_its_unit() -> None:
    units = {name: one.unit for name, one in OBJECTIVES.items() if one.unit}
    assert units == {
        "loss": "nats",
        "flops": "FLOPs",
        "latency": "s",
        "peak_memory": "bytes",
        "train_seconds": "s",
        "size_on_disk": "bytes",
    }
    assert format(OBJECTIVES["accuracy"].measure(MEASUREMENT), OBJECTIVES["accuracy"].format) == "75.00%"


def test_a_cost_of_another_name() -> None:
    assert [OBJECTIVES[name].measure(MEASUREMENT) for name in ("parameters", "flops", "latency")] == [
        7,
        5,
        0.25,
    ]


def test_a_cost_that_is_maximised() -> None:
    assert {name for name, one in OBJECTIVES.items() if one.direction == "max"} == {"accuracy"}


def test_a_figure_that_was_not_measured_taken_for_zero() -> None:
    with pytest.raises(KeyError):
        OBJECTIVES["peak_memory"].measure(MEASUREMENT)
