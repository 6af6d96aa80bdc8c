"""The end of a run: front and seed model are trained again, for the test split and further random seeds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ge_engine.config import RunConfig
from ge_engine.ledger import Ledger
from ge_engine.ledger.replicates import replicates
from ge_engine.ledger.verdict import promising_of, verdict_of
from ge_engine.outcome import Outcome
from ge_engine.population import SEED_ID, Individual, Population
from ge_engine.search.run_state import RunState
from ge_engine.search.scoring import Scoring

SEEDS, SHARE, MOST_CHILDREN = 2, 0.5, 3


@dataclass(frozen=True, slots=True)
class Result:
    """How a run stands. `tests` are outcomes on the test split by id; `rejections` count by stage.

    `message` is the verdict in a sentence.
    """

    seed: Individual
    population: Population
    front: tuple[Individual, ...]
    tests: Mapping[str, Outcome]
    rejections: Mapping[str, int]
    stopped_because: str
    message: str


def finalists(state: RunState) -> list[Individual]:
    """The seed model, and the front without it."""
    return [state.seed, *(one for one in state.front if one.id != SEED_ID)]


def trained_again(state: RunState, ledger: Ledger, config: RunConfig) -> tuple[list[Individual], int]:
    """Who is trained with further random seeds, and with how many. Where the settings leave it open, `SEEDS`
    for the seed model and the children that are best by validation, as far as that takes `SHARE` of the
    run's trainings at most: it follows from the run database alone."""
    if config.rescore_seeds >= 0:
        return finalists(state), config.rescore_seeds
    room = int(SHARE * ledger.evaluations()) // SEEDS - 1
    if room < 1 or config.max_seconds:
        return [], 0
    best = promising_of(ledger, [one.id for one in state.front])[: min(MOST_CHILDREN, room)]
    known = {one.id: one for one in state.front}
    return [state.seed, *(known[name] for name in best)] if best else [], SEEDS


def all_scored_on_test(state: RunState, ledger: Ledger, config: RunConfig) -> bool:
    """Whether all finalists have their scores on the test split and of further random seeds."""
    tested, again = ledger.test_outcomes(), replicates(ledger)
    individuals, seeds = trained_again(state, ledger, config)
    return all(one.id in tested for one in finalists(state)) and all(
        len(again.get(one.id, {})) >= seeds for one in individuals
    )


def score_finalists(state: RunState, ledger: Ledger, scoring: Scoring, config: RunConfig) -> None:
    """Train the finalists once more and score them on the test split, then with further random seeds."""
    for one in finalists(state):
        scoring.score(one.id, one.genome, "test")
    scoring.drain()
    individuals, seeds = trained_again(state, ledger, config)
    for one in individuals:
        scoring.rescore(one.id, one.genome, seeds)
    scoring.drain()


def train_longer(state: RunState, scoring: Scoring, seeds: int, epochs: int) -> None:
    """Train the finalists for `epochs`, those of the scoring's evaluation, with further random seeds."""
    for one in finalists(state):
        scoring.rescore(one.id, one.genome, seeds, epochs)
    scoring.drain()


def result_of(state: RunState, ledger: Ledger, stopped_because: str) -> Result:
    """What the run database holds, in one object."""
    rejections = ledger.rejections()
    verdict = verdict_of(ledger, [one.id for one in state.front])
    return Result(
        seed=state.seed,
        population=Population(state.population),
        front=tuple(state.front),
        tests=ledger.test_outcomes(),
        rejections=rejections,
        stopped_because=stopped_because,
        message=verdict.sentence,
    )
