"""Who breeds, who survives and whose thought is carried on, by scores alone."""

from __future__ import annotations

from typing import Any

import doubles

from ge_engine.outcome import Outcome, Scored
from ge_engine.population import Direction, Individual
from ge_engine.search.selection import Selection

DIRECTIONS: dict[str, Direction] = {"accuracy": "max", "parameters": "min"}
REGISTRY = doubles.registry()


def one(number: int, accuracy: float, parameters: float) -> Individual:
    outcome: Outcome = Scored({"accuracy": accuracy, "parameters": parameters})
    identity = "seed" if number < 0 else f"g0s{number}"
    return Individual(identity, 0, number, (), (), doubles.seed().genome, outcome)


SEED = one(-1, 0.8, 1000)
WORSE, EQUAL = one(0, 0.7, 1200), one(1, 0.8, 1000)
BETTER, SMALLER, BOTH = one(2, 0.9, 1500), one(3, 0.6, 900), one(4, 0.85, 950)
EVERYBODY = [SEED, WORSE, EQUAL, BETTER, SMALLER, BOTH]


def selection(**settings: Any) -> Selection:
    return Selection(doubles.config(**settings), REGISTRY, DIRECTIONS)


def ids(individuals: Any) -> set[str]:
    return {individual.id for individual in individuals}


def test_an_elite_that_gained_nothing_whose_thought_is_carried_on() -> None:
    pool = selection(eot_elites=6).pool(1, 0, 4, SEED, EVERYBODY)
    assert ids(pool.helpful) == ids([BETTER, SMALLER, BOTH])
    assert selection(eot_elites=6).pool(1, 0, 4, SEED, [SEED, WORSE, EQUAL]).helpful == ()


def test_more_elites_than_were_asked_for() -> None:
    assert len(selection(eot_elites=2).pool(1, 0, 4, SEED, EVERYBODY).helpful) == 2
    assert selection(eot_elites=0).pool(1, 0, 4, SEED, EVERYBODY).helpful == ()
    for elites in (1, 2, 3):
        kept = selection(elites=elites).elites(1, 0, EVERYBODY)
        assert len(kept) == elites
        assert ids(kept) <= ids([BETTER, SMALLER, BOTH])
    assert len(selection(migrants=2).travellers(1, 0, EVERYBODY)) == 2


def test_a_first_generation_from_anybody_but_the_seed() -> None:
    pool = selection().pool(0, 0, 4, SEED, EVERYBODY)
    assert pool.parents == (SEED,)
    assert pool.helpful == ()


def test_a_pool_that_is_too_small_or_drawn_the_same_again() -> None:
    """Two parents a slot; other generations and islands draw others, and the same ones the same."""
    draws = [
        [parent.id for parent in selection().pool(number, island, 6, SEED, EVERYBODY).parents]
        for number, island in ((1, 0), (2, 0), (1, 1), (1, 0))
    ]
    assert [len(draw) for draw in draws] == [12] * 4
    assert draws[0] == draws[3]
    assert draws[0] != draws[1]
    assert draws[0] != draws[2]
