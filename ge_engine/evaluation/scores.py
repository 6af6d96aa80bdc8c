"""From a worker's report of a training to an outcome: the labels and the objectives stay here."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ge_engine.contracts import Dataset, Measurement, Objective
from ge_engine.errors import GeError
from ge_engine.evaluation.constraints import Feasibility
from ge_engine.evaluation.executor import WorkerExit
from ge_engine.evaluation.protocol.messages import WorkerReport
from ge_engine.outcome import MEASURED_BESIDES, Failed, Outcome, Scored

Labels = np.ndarray[Any, Any]


def labels_of(data: Dataset) -> dict[str, Labels]:
    """The labels that answers are scored on, by split."""
    labels = {name: getattr(data, name).labels.numpy().astype(np.int64) for name in ("validation", "test")}
    labels["both"] = np.concatenate([labels["validation"], labels["test"]])
    return labels


@dataclass(frozen=True, slots=True)
class Scorer:
    """`labels` are those of the splits "validation", "test" and "both", int64 of shape (m,)."""

    objectives: Sequence[Objective]
    labels: Mapping[str, Labels]
    classes: int
    feasibility: Feasibility

    def outcome(self, report: WorkerReport, split: str, facts: Mapping[str, float]) -> Outcome:
        """The score of a report whose training went through; of "both", the test scores are a detail."""
        labels = self.labels[split]
        wanted = labels.size * self.classes
        if len(report.logits) != 4 * wanted:
            answered = f"it answered with {len(report.logits) / 4:g} numbers"
            return Failed("predict", "error", f"{answered}; {labels.size} x {self.classes} are wanted")
        logits = np.frombuffer(report.logits, np.float32).reshape(labels.size, self.classes)
        wrong = int((~np.isfinite(logits).all(axis=1)).sum())
        if wrong:
            return Failed("predict", "not finite", f"{wrong} of {labels.size} answers are NaN or infinite")
        if split != "both":
            return self._score(Measurement(logits, labels, facts), report)
        first = len(self.labels["validation"])
        outcome = self._score(Measurement(logits[:first], labels[:first], facts), report)
        tested = self._score(Measurement(logits[first:], labels[first:], facts), report)
        if isinstance(outcome, Scored) and isinstance(tested, Scored):
            return replace(outcome, details={**outcome.details, "test": tested})
        return tested if isinstance(outcome, Scored) else outcome

    def _score(self, measurement: Measurement, report: WorkerReport) -> Outcome:
        scores: dict[str, float] = {}
        errors: dict[str, float] = {}
        for objective in self.objectives:
            try:
                scores[objective.name] = value = float(objective.measure(measurement))
                if (spread := objective.error(measurement)) is not None:
                    errors[objective.name] = float(spread)
            except Exception as error:
                own = isinstance(error, GeError)
                said = str(error).rstrip(".") if own else f"{type(error).__name__}: {error}"
                reason = f"the objective {objective.name!r} failed: {said}"
                return Failed("score", "error", reason, "engine")
            if not math.isfinite(value):
                return Failed("score", "not finite", f"the objective {objective.name!r} is {value}")
        broken = self.feasibility.broken_after({**measurement.facts, **scores})
        if broken is not None:
            return broken
        finite = {name: value for name, value in measurement.facts.items() if math.isfinite(value)}
        curve = [dict(point) for point in report.curve]
        besides = {name: finite[name] for name in MEASURED_BESIDES if name in finite and name not in scores}
        details = {"curve": curve, "facts": finite, "figures": besides, "images": len(measurement.labels)}
        return Scored(scores, details, errors)


def outcome_on(ended: WorkerExit, outcome: Outcome) -> Outcome:
    """The outcome with the machine that it is from, where that is not the engine's: figures differ between
    processors."""
    if not ended.host or not isinstance(outcome, Scored):
        return outcome
    return replace(outcome, details={**outcome.details, "host": ended.host, "processor": ended.processor})
