"""Finalists trained again with further random seeds: mean, spread, whether an improvement shows."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ge_engine.ledger.history import History
from ge_engine.ledger.records import outcome_from_json
from ge_engine.notation import Notations
from ge_engine.outcome import Failed, Outcome, Scored
from ge_engine.pareto import advantage
from ge_engine.population import SEED_ID, Direction

ROUNDING = 1e-12
"""Of a figure, what a difference of two may be off."""


@dataclass(frozen=True, slots=True)
class Spread:
    """An objective over `count` random seeds. `deviation` is the sample's standard deviation (n - 1).

    `gain` is the improvement over the baseline, the mean of the differences of trainings with the same random
    seed, positive where better; `gain_deviation` their standard deviation and `gain_error` the standard error
    of their mean; `claimed` is the improvement that the run itself showed, in validation. All are None for
    the seed model. With one random seed, spreads are None: unknown.
    """

    mean: float
    deviation: float | None
    count: int
    gain: float | None = None
    gain_deviation: float | None = None
    gain_error: float | None = None
    claimed: float | None = None

    @property
    def refuted(self) -> bool:
        """The run showed an improvement, and further random seeds show none."""
        return self.claimed is not None and self.claimed > 0 and self.gain is not None and self.gain <= 0

    @property
    def within(self) -> bool:
        """An improvement that is no larger than the spread of the differences, or whose spread is unknown."""
        if self.gain is None or self.gain <= 0:
            return False
        return self.gain_deviation is None or self.gain <= self.gain_deviation


@dataclass(frozen=True, slots=True)
class Replicates:
    """One finalist. `failed` counts the further trainings that gave no score."""

    validation: Mapping[str, Spread]
    test: Mapping[str, Spread]
    failed: int = 0

    def told(self, notations: Notations) -> str:
        """One line, of the objectives that the random seed of a training moves."""
        parts = []
        for split, side in (("validation", self.validation), ("test", self.test)):
            for name, spread in side.items():
                if spread.deviation is None or spread.deviation > 0:
                    mark = ", improvement within the spread" if spread.within else ""
                    mark += ", the run's improvement not reproduced" if spread.refuted else ""
                    figures = notations[name].measured(spread.mean, spread.deviation)
                    parts.append(f"{split} {name} {figures}{mark}")
        return "; ".join(parts)


def longer_trainings(history: History) -> list[int]:
    """The epochs of trainings with further random seeds that were longer than the run's, ascending."""
    sql = "SELECT DISTINCT epochs FROM scores WHERE seed > 0 AND epochs > 0 ORDER BY epochs"
    return [epochs for (epochs,) in history.query(sql)]


def replicates(history: History, epochs: int = 0) -> dict[str, dict[int, dict[str, Outcome]]]:
    """Outcomes by individual, number of the further random seed, and split, of what has both splits: after as
    many epochs as in the run (0), or of trainings of so many more."""
    sql = (
        "SELECT i.id, s.seed, s.split, s.outcome FROM scores s JOIN individuals i ON i.digest = s.digest"
        " WHERE s.seed > 0 AND s.epochs = ? AND i.stage IS NULL"
        " ORDER BY i.generation, i.slot, s.split, s.seed"
    )
    found: dict[str, dict[int, dict[str, Outcome]]] = {}
    for identity, number, split, text in history.query(sql, epochs):
        found.setdefault(identity, {}).setdefault(number, {})[split] = outcome_from_json(text)
    return {
        identity: {number: splits for number, splits in sorted(by_seed.items()) if len(splits) == 2}
        for identity, by_seed in found.items()
    }


def spreads(history: History, epochs: int = 0) -> dict[str, Replicates]:
    """What rescoring says of each finalist, the seed model first; empty without rescoring. `epochs` as in
    `replicates`."""
    if not (outcomes := replicates(history, epochs)):
        return {}
    directions = history.directions
    reference = outcomes.get(SEED_ID, {})
    scores = {identity: objectives for identity, _, objectives in history.scored_points()}
    result = {}
    for identity, by_seed in outcomes.items():
        sides = {
            split: _spread(
                _scores(by_seed, split),
                _scores(reference, split) if identity != SEED_ID else {},
                directions,
            )
            for split in ("validation", "test")
        }
        sides["validation"] = {
            name: replace(spread, claimed=_gain(name, scores[identity], scores[SEED_ID], directions))
            if identity != SEED_ID
            else spread
            for name, spread in sides["validation"].items()
        }
        failed = sum(any(isinstance(o, Failed) for o in splits.values()) for splits in by_seed.values())
        result[identity] = Replicates(sides["validation"], sides["test"], failed)
    return result


def mean_scores(history: History, split: str) -> dict[str, tuple[int, Scored]]:
    """By individual: the number of its further trainings, and their mean on a split. Its error has two parts,
    added in squares: that of the split's images, which all trainings share, and that of the trainings' random
    numbers, their standard deviation over the root of their number."""
    found = {}
    for identity, by_seed in replicates(history).items():
        scores = [one for splits in by_seed.values() if isinstance(one := splits[split], Scored)]
        if scores:
            found[identity] = len(scores), _mean(scores, history.directions)
    return found


def _mean(scores: Sequence[Scored], names: Iterable[str]) -> Scored:
    means: dict[str, float] = {}
    errors: dict[str, float] = {}
    for name in names:
        values = [one.objectives[name] for one in scores]
        means[name] = statistics.fmean(values)
        shared = [one.errors[name] for one in scores if name in one.errors]
        own = (_deviation(values, max(map(abs, values))) or 0.0) / math.sqrt(len(values))
        if shared or own:
            errors[name] = math.hypot(statistics.fmean(shared) if shared else 0.0, own)
    return Scored(means, scores[0].details, errors)


def as_data(one: Replicates) -> dict[str, Any]:
    """Plain data for JSON."""
    return {
        "failed": one.failed,
        **{
            split: {
                name: {
                    "mean": spread.mean,
                    "deviation": spread.deviation,
                    "seeds": spread.count,
                    "gain": spread.gain,
                    "gain_deviation": spread.gain_deviation,
                    "gain_error": spread.gain_error,
                    "within_spread": spread.within,
                    "refuted": spread.refuted,
                }
                for name, spread in side.items()
            }
            for split, side in (("validation", one.validation), ("test", one.test))
        },
    }


def _scores(by_seed: Mapping[int, Mapping[str, Outcome]], split: str) -> dict[int, Mapping[str, float]]:
    return {
        number: outcome.objectives
        for number, splits in by_seed.items()
        if isinstance(outcome := splits[split], Scored)
    }


def _spread(
    mine: Mapping[int, Mapping[str, float]],
    reference: Mapping[int, Mapping[str, float]],
    directions: Mapping[str, Direction],
) -> dict[str, Spread]:
    found = {}
    for name in directions:
        values = [scores[name] for scores in mine.values()]
        if not values:
            continue
        gains = [_gain(name, mine[n], reference[n], directions) for n in mine if n in reference]
        deviation = _deviation(gains, max(map(abs, values)))
        found[name] = Spread(
            statistics.fmean(values),
            _deviation(values),
            len(values),
            statistics.fmean(gains) if gains else None,
            deviation,
            deviation / math.sqrt(len(gains)) if deviation is not None else None,
        )
    return found


def _gain(
    name: str, mine: Mapping[str, float], reference: Mapping[str, float], directions: Mapping[str, Direction]
) -> float:
    return advantage(mine[name], reference[name], directions[name])


def _deviation(values: Sequence[float], scale: float = 0.0) -> float | None:
    """The sample's standard deviation; 0 where figures of this `scale` differ by their rounding alone."""
    if len(values) < 2:
        return None
    deviation = statistics.stdev(values)
    return deviation if deviation > ROUNDING * scale else 0.0
