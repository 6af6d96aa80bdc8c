"""Dominance and fronts of individuals."""

from __future__ import annotations

import moocore
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ge_engine.outcome import Failed, Outcome, Rejected, Scored
from ge_engine.population import (
    Direction,
    Individual,
    Population,
    dominates,
    improves,
    non_dominated,
    pareto_front,
)

DIRECTIONS: dict[str, Direction] = {"accuracy": "max", "parameters": "min"}


def individual(number: int, outcome: Outcome | None) -> Individual:
    return Individual(f"g0s{number}", 0, number, (), (), None, outcome)


def scored(number: int, accuracy: float, parameters: float) -> Individual:
    return individual(number, Scored({"accuracy": accuracy, "parameters": parameters}))


def test_a_direction_that_is_turned_around() -> None:
    good, bad = {"accuracy": 0.9, "parameters": 10.0}, {"accuracy": 0.8, "parameters": 10.0}
    assert dominates(good, bad, DIRECTIONS)
    assert not dominates(bad, good, DIRECTIONS)
    assert not dominates(good, good, DIRECTIONS)
    assert not dominates({"accuracy": 0.9, "parameters": 11.0}, bad, DIRECTIONS)


@pytest.mark.parametrize(
    ("child", "parents", "better"),
    [
        ((0.9, 90.0), [(0.8, 100.0)], True),
        ((0.8, 100.0), [(0.8, 100.0)], False),
        ((0.9, 110.0), [(0.8, 100.0)], False),
        ((0.7, 110.0), [(0.8, 100.0)], False),
        ((0.9, 90.0), [(0.8, 100.0), (0.95, 120.0)], True),
        ((0.9, 90.0), [(0.8, 100.0), (0.95, 80.0)], False),
        ((0.9, 110.0), [(0.8, 100.0), (0.95, 120.0)], False),
        ((0.9, 90.0), [], False),
    ],
)
def test_a_child_that_counts_as_better_and_is_not(
    child: tuple[float, float], parents: list[tuple[float, float]], better: bool
) -> None:
    """Better: it dominates a parent, and none dominates it."""
    named = [dict(zip(DIRECTIONS, values, strict=True)) for values in (child, *parents)]
    assert improves(named[0], named[1:], DIRECTIONS) is better


def test_a_front_with_twins_or_the_unscored() -> None:
    everybody = [
        scored(0, 0.5, 100),
        individual(1, Failed("train", "crash", "it died")),
        scored(2, 0.7, 100),
        scored(3, 0.7, 100),
        scored(4, 0.4, 50),
        individual(5, Rejected("names", "undefined")),
        individual(6, None),
    ]
    assert [one.id for one in pareto_front(everybody, DIRECTIONS)] == ["g0s2", "g0s4"]


@given(st.lists(st.tuples(*[st.integers(0, 6).map(float)] * 3), max_size=25))
def test_a_front_that_another_library_disagrees_with(points: list[tuple[float, ...]]) -> None:
    expected = moocore.is_nondominated(np.array(points).reshape(-1, 3)) if points else []
    assert non_dominated(points) == [index for index, kept in enumerate(expected) if kept]


@given(st.lists(st.tuples(st.floats(0, 1), st.integers(1, 50).map(float)), max_size=20), st.integers(0, 20))
def test_a_front_kept_up_to_date_that_differs_from_the_whole(
    points: list[tuple[float, float]], cut: int
) -> None:
    everybody = [scored(number, *point) for number, point in enumerate(points)]
    early = pareto_front(everybody[:cut], DIRECTIONS)
    assert pareto_front([*early, *everybody[cut:]], DIRECTIONS) == pareto_front(everybody, DIRECTIONS)


def test_a_population_that_loses_somebody() -> None:
    population = Population([scored(0, 0.5, 1), individual(1, None)])
    assert [one.id for one in population] == ["g0s0", "g0s1"]
    assert population.get("g0s1") is population[1]
    assert population.get("g9s9") is None
    assert [one.id for one in population.scored()] == ["g0s0"]
