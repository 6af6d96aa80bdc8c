"""Successive halving: who goes on after each rung of a training.

Scores of one rung are compared with each other alone, never with those of another. Sources: Jamieson and
Talwalkar, Non-stochastic Best Arm Identification, 2016 (a whole cohort at once); Li et al., A System for
Massively Parallel Hyperparameter Tuning, 2020 (one at a time, as each arrives; here in its stopping form:
what does not go on at once is stopped, so that no worker waits and no place is kept).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from ge_engine.config import RunConfig
from ge_engine.contracts import Job
from ge_engine.ledger import Ledger
from ge_engine.ledger.score_key import ScoreKey
from ge_engine.outcome import Scored
from ge_engine.pareto import Direction, Point, best_first, losses
from ge_engine.population import Individual
from ge_engine.search.scoring import Scoring


def rungs_of(config: RunConfig) -> tuple[int, ...]:
    """The epochs, rising, after which a training pauses: all of them divided by the rate again and again,
    rounded up. Empty without halving, or where there is one epoch."""
    epochs, rungs = config.recipe.epochs, set[int]()
    while config.halving and epochs > 1:
        epochs = -(-epochs // config.halving_rate)
        rungs.add(epochs)
    return tuple(sorted(rungs - {config.recipe.epochs}))


def survivors(points: Sequence[Point], rate: int) -> list[int]:
    """Indices, rising, of the better `1 / rate` of the points, rounded up."""
    return sorted(best_first(points)[: -(-len(points) // rate)])


class Halving:
    """Decides from what the run database holds of a rung, so that a resumed run decides alike."""

    def __init__(
        self, config: RunConfig, ledger: Ledger, scoring: Scoring, directions: Mapping[str, Direction]
    ) -> None:
        self._rate = config.halving_rate
        self._random_seed = config.random_seed
        self._ledger = ledger
        self._scoring = scoring
        self._directions = directions

    def whole_cohort(self, born: Sequence[Individual], interrupted: Callable[[], bool]) -> bool:
        """Take a cohort whose first rung is trained to the end, rung by rung; False when it was
        interrupted between two of them."""
        for epochs in self._scoring.rungs:
            jobs, points = self._at(born, epochs)
            kept = set(survivors(points, self._rate))
            for index, job in enumerate(jobs):
                if index not in kept:
                    self._scoring.stop(job)
            if interrupted():
                return False
            for index in sorted(kept):
                self._scoring.go_on(jobs[index])
            self._scoring.drain()
        for one in born:
            self._scoring.discard(one.genome)
        return True

    def _at(self, born: Sequence[Individual], epochs: int) -> tuple[list[Job], list[Point]]:
        jobs, points = [], []
        for one in born:
            reached = self._ledger.score(one.genome.digest, ScoreKey(epochs=epochs))
            if isinstance(reached, Scored):
                jobs.append(Job(one.id, one.genome, self._random_seed, epochs=epochs))
                points.append(losses(reached.objectives, self._directions))
        return jobs, points

    def one_by_one(self, job: Job, outcome: Scored) -> bool:
        """Whether a training goes on: it is among the better part of all that have reached its rung."""
        before = self._ledger.scores(ScoreKey(epochs=job.epochs))
        before.pop(job.genome.digest, None)
        points = [losses(o.objectives, self._directions) for o in before.values() if isinstance(o, Scored)]
        points.append(losses(outcome.objectives, self._directions))
        return len(points) - 1 in survivors(points, self._rate)


def as_recorded(
    recorded: Callable[[str, ScoreKey], bool | None], decide: Callable[[Job, Scored], bool]
) -> Callable[[Job, Scored], bool]:
    """`decide`, but where another run's database holds the decision, that one."""

    def decided(job: Job, outcome: Scored) -> bool:
        there = recorded(job.genome.digest, ScoreKey(epochs=job.epochs))
        return decide(job, outcome) if there is None else there

    return decided
