"""What every objective promises: one finite number out of a measurement, whatever the order of images."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from ge_engine.contracts import Measurement, Objective
from ge_engine.notation import Notation
from ge_engine.testing.watching import assert_is_a_name, no_global_randomness, no_io

CLASSES = 10
FACTS: Mapping[str, float] = {
    "parameters": 518_230.0,
    "flops": 2.5e7,
    "latency": 0.004,
    "peak_memory": 3.1e8,
    "train_seconds": 12.5,
    "size_on_disk": 2.1e6,
}
ANSWERS = pytest.mark.parametrize("answers", ["guessed", "right", "wrong", "equal", "huge", "one image"])


class ObjectiveContract:
    """Override `objective`, and `facts` where your evaluator measures other figures."""

    facts: Mapping[str, float] = FACTS

    @pytest.fixture
    def objective(self) -> Objective:
        raise NotImplementedError("give the fixture `objective`")

    def measurement(self, answers: str = "guessed") -> Measurement:
        """Logits (n, 10) float32 of 64 images, or of one; read-only, as evaluators may share them."""
        rng = np.random.Generator(np.random.PCG64(7))
        count = 1 if answers == "one image" else 64
        labels = rng.integers(0, CLASSES, count).astype(np.int64)
        logits = rng.normal(size=(count, CLASSES)).astype(np.float32)
        shift = {"right": 20.0, "wrong": -20.0}.get(answers, 0.0)
        logits[np.arange(count), labels] += shift
        logits *= {"equal": 0.0, "huge": 1e30}.get(answers, 1.0)
        return Measurement(_locked(logits), _locked(labels), dict(self.facts))

    def test_it_has_a_name_and_a_direction(self, objective: Objective) -> None:
        assert_is_a_name(objective.name)
        assert objective.direction in ("min", "max")

    @ANSWERS
    def test_it_is_one_finite_number(self, objective: Objective, answers: str) -> None:
        value = objective.measure(self.measurement(answers))
        assert isinstance(value, float), f"it is a {type(value).__name__}: return float(...)"
        assert math.isfinite(value)

    def test_its_unit_and_its_format_can_be_written(self, objective: Objective) -> None:
        value = objective.measure(self.measurement())
        assert isinstance(objective.unit, str)
        assert Notation(objective.unit, objective.format).value(value)

    @ANSWERS
    def test_its_error_is_no_negative_number(self, objective: Objective, answers: str) -> None:
        error = objective.error(self.measurement(answers))
        assert error is None or (math.isfinite(error) and error >= 0)

    @ANSWERS
    def test_it_is_the_same_each_time(self, objective: Objective, answers: str) -> None:
        with no_global_randomness():
            first = objective.measure(self.measurement(answers))
            assert first == objective.measure(self.measurement(answers))

    def test_the_order_of_the_images_makes_no_difference(self, objective: Objective) -> None:
        one = self.measurement()
        order = np.random.Generator(np.random.PCG64(1)).permutation(len(one.labels))
        other = Measurement(_locked(one.logits[order]), _locked(one.labels[order]), one.facts)
        assert objective.measure(other) == pytest.approx(objective.measure(one), rel=1e-5)

    def test_it_leaves_the_measurement_as_it_is(self, objective: Objective) -> None:
        one = self.measurement()
        logits, labels, facts = one.logits.copy(), one.labels.copy(), dict(one.facts)
        objective.measure(one)
        assert np.array_equal(one.logits, logits)
        assert np.array_equal(one.labels, labels)
        assert dict(one.facts) == facts

    def test_right_answers_are_not_worse_than_wrong_ones(self, objective: Objective) -> None:
        right, wrong = (objective.measure(self.measurement(answers)) for answers in ("right", "wrong"))
        assert right >= wrong if objective.direction == "max" else right <= wrong

    def test_it_does_no_input_or_output(self, objective: Objective) -> None:
        objective.measure(self.measurement())
        with no_io():
            objective.measure(self.measurement())


def _locked(values: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    values.flags.writeable = False
    return values
