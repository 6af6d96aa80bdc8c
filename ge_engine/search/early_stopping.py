"""Early stopping by learning curves: a training ends where it is behind others at the same epoch.

A training pauses after each quarter of its epochs, where its figures are measured as at its end. They are
compared with those of others after as many epochs, and of others alone that had ended when the child's
generation began. A decision depends on nothing that ends in the meantime, so that a resumed run decides
alike. Nobody is stopped in the first quarter, where curves cross.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from statistics import fmean, median
from typing import Protocol

from ge_engine.config import RunConfig
from ge_engine.contracts import Job
from ge_engine.evaluation.constraints import BEFORE_TRAINING
from ge_engine.ledger import Ledger
from ge_engine.ledger.score_key import ScoreKey
from ge_engine.noise import beyond_noise, clearly_better
from ge_engine.outcome import Scored
from ge_engine.pareto import Direction, advantage
from ge_engine.population import SEED_ID, generation_of

QUARTERS = 4
LEAST_CURVES = 5
"""Ended trainings without which there is no median: the default of Optuna's MedianPruner."""
LATEST_CURVES = 200
"""Of the children that have ended, those that are compared with: a long run does not read all anew."""
HELD = 2048


def quarters_of(config: RunConfig) -> tuple[int, ...]:
    """The epochs, rising, after which a training pauses: quarters of all of them, rounded up. Empty without a
    rule."""
    epochs = config.recipe.epochs
    if config.budget_rule == "none":
        return ()
    quarters = {-(-epochs * quarter // QUARTERS) for quarter in range(1, QUARTERS)}
    return tuple(sorted(quarters - {epochs}))


class Curves:
    """The figures of trainings after each quarter, from the run database."""

    def __init__(self, ledger: Ledger, epochs: Sequence[int]) -> None:
        self._ledger = ledger
        self._epochs = epochs
        self._of = lru_cache(HELD)(self._read)
        self._trained = lru_cache(HELD)(self._was_trained)
        self._latest = lru_cache(2)(self._read_latest)

    def front(self, generation: int, epochs: int) -> dict[str, Scored]:
        """By id, the figures after so many epochs of the front as it was when a generation began."""
        ids = self._ledger.fronts(generation - 1) if generation else (SEED_ID,)
        curves = {one: self._of(one) for one in ids}
        return {one: curve[epochs] for one, curve in curves.items() if epochs in curve}

    def ended(self, generation: int, epochs: int) -> list[tuple[Scored, ...]]:
        """The curves until `epochs` of the seed model and of the latest children that had been trained to the
        end when a generation began."""
        return [tuple(_until(curve, epochs)) for curve in self._latest(generation) if epochs in curve]

    def so_far(self, job: Job) -> list[Scored]:
        """The figures of this training before the pause of `job`."""
        return list(_until(self._stored(job.genome.digest), job.epochs - 1))

    def _read_latest(self, generation: int) -> list[Mapping[int, Scored]]:
        ids = self._ledger.merged_before(generation, LATEST_CURVES)
        return [self._of(one) for one in (SEED_ID, *ids) if self._trained(one)]

    def _was_trained(self, identity: str) -> bool:
        return isinstance(self._ledger.outcome(identity), Scored)

    def _read(self, identity: str) -> Mapping[int, Scored]:
        return self._stored(self._ledger.digest_of(identity))

    def _stored(self, digest: str) -> Mapping[int, Scored]:
        known = {epochs: self._ledger.score(digest, ScoreKey(epochs=epochs)) for epochs in self._epochs}
        return {
            epochs: Scored(one.objectives, errors=one.errors)
            for epochs, one in known.items()
            if isinstance(one, Scored)
        }


class Rule(Protocol):
    def objection(self, job: Job, outcome: Scored) -> str:
        """Behind whom a training is after the epochs of `job`; "" for one that goes on."""


class Front:
    """Stops what somebody on the front was clearly better than after as many epochs: better beyond noise in
    what is learned, and no worse in all else, such as parameters."""

    def __init__(self, curves: Curves, directions: Mapping[str, Direction]) -> None:
        self._curves = curves
        self._directions = directions

    def objection(self, job: Job, outcome: Scored) -> str:
        others = self._curves.front(generation_of(job.key), job.epochs)
        for identity, other in others.items():
            if self._ahead(other, outcome, len(others)):
                figures = ", ".join(f"{name} {value:.6g}" for name, value in other.objectives.items())
                return f"behind {identity} there ({figures})"
        return ""

    def _ahead(self, other: Scored, mine: Scored, comparisons: int) -> bool:
        signs = beyond_noise(other, mine, self._directions, comparisons)
        ahead = any(signs[name] > 0 for name in learned(mine))
        return ahead and clearly_better(other, mine, self._directions, comparisons)


class Median:
    """The median stopping rule: a training ends whose best figure so far is worse than the median of the
    running averages of those that have ended, until the same epoch (Golovin et al., Google Vizier: A Service
    for Black-Box Optimization, KDD 2017, section 3.2.1). Here of every objective that is learned, and among
    those alone that are no worse in all else: a small network is not compared with large ones."""

    def __init__(self, curves: Curves, directions: Mapping[str, Direction]) -> None:
        self._curves = curves
        self._directions = directions

    def objection(self, job: Job, outcome: Scored) -> str:
        names = learned(outcome)
        size = {name: how for name, how in self._directions.items() if name not in names}
        others = [
            curve
            for curve in self._curves.ended(generation_of(job.key), job.epochs)
            if min(beyond_noise(curve[-1], outcome, size).values(), default=0) >= 0
        ]
        if len(others) < LEAST_CURVES:
            return ""
        mine = [*self._curves.so_far(job), outcome]
        medians = {
            name: median(fmean(one.objectives[name] for one in curve) for curve in others) for name in names
        }
        if not all(self._worse(name, mine, level) for name, level in medians.items()):
            return ""
        levels = ", ".join(f"{name} {level:.6g}" for name, level in medians.items())
        return f"behind the median of {len(others)} others until there ({levels})"

    def _worse(self, name: str, mine: Sequence[Scored], level: float) -> bool:
        how = self._directions[name]
        return all(advantage(one.objectives[name], level, how) < 0 for one in mine)


RULES: Mapping[str, type[Front] | type[Median]] = {"front": Front, "median": Median}


def rule_of(config: RunConfig, ledger: Ledger, directions: Mapping[str, Direction]) -> Rule | None:
    """The rule of the settings; None where they have none."""
    if config.budget_rule == "none":
        return None
    return RULES[config.budget_rule](Curves(ledger, quarters_of(config)), directions)


def learned(outcome: Scored) -> list[str]:
    """The objectives that training moves: those that chance moves, and where no error is known, all that are
    not known before."""
    known = [name for name in outcome.objectives if outcome.errors.get(name)]
    return known or [name for name in outcome.objectives if name not in BEFORE_TRAINING]


def _until(curve: Mapping[int, Scored], epochs: int) -> Iterator[Scored]:
    return (one for after, one in sorted(curve.items()) if after <= epochs)
