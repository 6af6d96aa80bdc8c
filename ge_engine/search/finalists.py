"""The end of a run: front and seed model are trained again, for the test split and further random seeds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ge_engine.ledger import Ledger
from ge_engine.ledger.replicates import replicates
from ge_engine.outcome import Outcome
from ge_engine.population import SEED_ID, Individual, Population
from ge_engine.search.run_state import RunState
from ge_engine.search.scoring import Scoring


@dataclass(frozen=True, slots=True)
class Result:
    """How a run stands. `tests` are outcomes on the test split by id; `rejections` count by stage.

    `message` is a sentence on what was found, or why nothing was.
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


def all_scored_on_test(state: RunState, ledger: Ledger, seeds: int) -> bool:
    """Whether all finalists have their scores on the test split and of `seeds` further random seeds."""
    tested, again = ledger.test_outcomes(), replicates(ledger)
    return all(one.id in tested and len(again.get(one.id, {})) >= seeds for one in finalists(state))


def score_finalists(state: RunState, scoring: Scoring, seeds: int) -> None:
    """Train the finalists once more and score them on the test split, then with `seeds` further seeds."""
    for one in finalists(state):
        scoring.score(one.id, one.genome, "test")
    scoring.drain()
    for one in finalists(state):
        scoring.rescore(one.id, one.genome, seeds)
    scoring.drain()


def result_of(state: RunState, ledger: Ledger, stopped_because: str) -> Result:
    """What the ledger holds, in one object."""
    rejections = ledger.rejections()
    return Result(
        seed=state.seed,
        population=Population(state.population),
        front=tuple(state.front),
        tests=ledger.test_outcomes(),
        rejections=rejections,
        stopped_because=stopped_because,
        message=_message(state.front, rejections),
    )


def _message(front: Sequence[Individual], rejections: Mapping[str, int]) -> str:
    found = [one.id for one in front if one.id != SEED_ID]
    if found:
        dominated = "" if len(front) > len(found) else "; the seed is dominated"
        return f"{len(found)} on the Pareto front{dominated or ' besides the seed'}."
    if not rejections:
        return "No child was better than the seed in any objective."
    reasons = ", ".join(f"{count} by {stage}" for stage, count in rejections.items())
    when = "" if "constraint" in rejections else " before training"
    return f"Nothing better than the seed was found. Rejected{when}: {reasons}."
