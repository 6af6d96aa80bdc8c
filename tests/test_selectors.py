"""Exact fronts, crowding distances and truncations, by hand and against another library."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ge_engine.contracts import Direction, Individual
from ge_engine.outcome import Failed, Outcome, Scored
from ge_engine.pareto import Point
from ge_plugins.selectors import (
    Nsga2,
    Spea2,
    _winner,
    density,
    environmental_selection,
    ranked,
)

DIRECTIONS: dict[str, Direction] = {"a": "max", "b": "min"}
VALUES = st.one_of(st.integers(-5, 5).map(float), st.floats(-1e6, 1e6))
POINTS = st.lists(st.tuples(VALUES, VALUES), min_size=1, max_size=25)


def individual(number: int, outcome: Outcome) -> Individual:
    return Individual(f"g0s{number}", 0, number, (), (), None, outcome)


def population(points: Sequence[tuple[float, float]]) -> list[Individual]:
    return [individual(n, Scored({"a": -x, "b": y})) for n, (x, y) in enumerate(points)]


def numbers(individuals: Sequence[Individual]) -> list[int]:
    return [one.slot for one in individuals]


def test_a_crowding_distance_that_is_not_the_papers() -> None:
    points = [(0.0, 4.0), (1.0, 2.0), (3.0, 1.0), (4.0, 0.0), (5.0, 5.0)]
    first = [one.crowding for one in ranked(points)]
    # Deb et al. sum the normalised side lengths; DEAP divides the sum by the number of objectives.
    assert first == [math.inf, (3 / 4 + 3 / 4) / 2, (3 / 4 + 2 / 4) / 2, math.inf, math.inf]


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 7, 10, 11, 44])
def test_a_tournament_that_wants_multiples_of_four(size: int) -> None:
    rng = random.Random(size)
    everybody = population([(rng.random(), rng.random()) for _ in range(size)])
    for k in (0, 1, size, size + 3, 4 * size):
        assert len(Nsga2().select(everybody, k, DIRECTIONS, random.Random(1))) == k


def test_a_tournament_that_lets_the_worst_win() -> None:
    everybody = population([(0.0, 0.0), (1.0, 1.0), (2.0, 2.0), (3.0, 3.0)])
    chosen = numbers(Nsga2().select(everybody, 400, DIRECTIONS, random.Random(0)))
    counts = [chosen.count(n) for n in range(4)]
    assert counts[3] == 0
    assert counts[0] == 200
    assert counts == sorted(counts, reverse=True)


def test_a_tournament_that_prefers_the_crowded() -> None:
    """One front, in which the fifth is crowded by the fourth: the lonelier wins, the ends before all."""
    points = [(0.0, 10.0), (2.0, 7.0), (4.0, 5.0), (9.0, 0.9), (9.1, 0.8), (10.0, 0.0)]
    distances = [one.crowding for one in ranked(points)]
    assert distances[2] > distances[3] > distances[1] > distances[4]
    chosen = numbers(Nsga2().select(population(points), 600, DIRECTIONS, random.Random(0)))
    counts = [chosen.count(n) for n in range(6)]
    assert counts[4] == 0, "everybody is lonelier than the most crowded"
    assert min(counts[0], counts[5]) > counts[2] > counts[3] > counts[1] > 0


def test_a_choice_that_is_no_longer_the_one_of_version_0_1_0() -> None:
    """Runs go on where they stopped: the same population and random numbers choose the same parents."""
    rng = random.Random(5)
    everybody = population([(rng.randint(0, 4) / 4, rng.randint(0, 9) / 9) for _ in range(16)])
    parents = numbers(Nsga2().select(everybody, 20, DIRECTIONS, random.Random(3)))
    assert parents == [9, 2, 5, 15, 6, 3, 10, 4, 12, 2, 3, 15, 6, 7, 9, 4, 0, 4, 9, 6]
    assert numbers(Spea2().select(everybody, 9, DIRECTIONS, random.Random(3))) == [
        2,
        3,
        4,
        6,
        7,
        9,
        10,
        12,
        15,
    ]
    assert numbers(Spea2().select(everybody, 3, DIRECTIONS, random.Random(3))) == [2, 3, 9]


def test_equals_of_which_the_first_always_wins() -> None:
    """Two ends of a front, none more crowded: the pairing is even, so the coin is what gives both half."""
    first, second = ranked([(0.0, 1.0), (1.0, 0.0)])
    winners = [_winner(first, second, random.Random(n)).index for n in range(200)]
    assert 70 < winners.count(0) < 130


def test_a_choice_that_ignores_its_random_numbers() -> None:
    everybody = population([(float(n), -float(n)) for n in range(10)])
    once = Nsga2().select(everybody, 20, DIRECTIONS, random.Random(3))
    random.seed(99)
    assert Nsga2().select(everybody, 20, DIRECTIONS, random.Random(3)) == once
    assert Nsga2().select(everybody, 20, DIRECTIONS, random.Random(4)) != once


def test_a_density_that_reads_half_of_the_distances() -> None:
    points = [(0.0, 0.0), (3.0, 4.0), (6.0, 8.0), (0.0, 1.0)]
    assert density(points, 0) == 1 / (5.0 + 2)
    assert density(points, 2) == 1 / (math.dist((6, 8), (0, 1)) + 2)


def test_a_fill_that_prefers_the_crowded() -> None:
    # One leader; of four that it alone dominates, equally strong, the lonely one comes first.
    points = [(0.0, 0.0), (0.50, 0.52), (0.51, 0.51), (0.52, 0.50), (0.1, 0.9)]
    assert environmental_selection(points, 2) == [0, 4]


def test_a_truncation_that_drops_an_end() -> None:
    points = [(0.0, 1.0), (0.1, 0.9), (0.15, 0.85), (0.6, 0.4), (1.0, 0.0)]
    assert environmental_selection(points, 4) == [0, 2, 3, 4]  # 1 and 2 are nearest, 1 has the nearer second
    assert environmental_selection(points, 3) == [0, 3, 4]
    assert environmental_selection(points, 2) == [0, 4]


def truncated(points: Sequence[Point], k: int) -> int:
    """By definition: as long as there are too many, drop one whose sorted distances come first."""
    kept = list(range(len(points)))
    while len(kept) > k:
        kept.remove(min(kept, key=lambda i: sorted(math.dist(points[i], points[j]) for j in kept if j != i)))
    return len(kept)


@given(st.lists(st.floats(0.01, 0.99), min_size=4, max_size=14, unique=True), st.data())
def test_a_truncation_that_is_not_by_nearest_neighbours(xs: list[float], data: st.DataObject) -> None:
    points = [(x, (1 - x) ** 2) for x in sorted(xs)]
    k = data.draw(st.integers(2, len(points)))
    kept = environmental_selection(points, k)
    assert len(kept) == truncated(points, k) == k

    def closest(chosen: Sequence[int]) -> float:
        return min(math.dist(points[i], points[j]) for i in chosen for j in chosen if i < j)

    everybody = list(range(len(points)))
    assert closest(kept) >= closest(everybody)
    if k == len(points) - 1:
        (dropped,) = set(everybody) - set(kept)
        mine = sorted(math.dist(points[dropped], points[j]) for j in everybody if j != dropped)
        for other in kept:
            theirs = sorted(math.dist(points[other], points[j]) for j in everybody if j != other)
            assert mine[0] <= theirs[0] + 1e-12


@example([(0.0, 0.0), (0.0, 2.2981317602611457e-49), (1.0, -1.0)], 2)
@given(POINTS, st.integers(0, 30))
def test_elites_that_lose_the_front(points: list[tuple[float, float]], k: int) -> None:
    everybody = population(points)
    chosen = numbers(Spea2().select(everybody, k, DIRECTIONS, random.Random(0)))
    assert len(chosen) == min(k, len(points))
    assert len(set(chosen)) == len(chosen)
    front = {one.index for one in ranked(points) if one.front == 0}
    assert front <= set(chosen) or set(chosen) <= front


def test_a_distance_that_is_one_of_parameter_counts_alone() -> None:
    # Along 0..1000 parameters the third and fourth are neighbours; scaled, the first two are.
    points = [(0.00, 1000.0), (0.01, 900.0), (0.50, 20.0), (1.00, 0.0)]
    assert numbers(Spea2().select(population(points), 3, DIRECTIONS, random.Random(0))) == [0, 2, 3]


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("selector", [Nsga2(), Spea2()])
def test_a_score_that_is_not_finite_in_a_comparison(value: float, selector: Nsga2 | Spea2) -> None:
    sick = [*population([(0.0, 1.0)]), individual(1, Scored({"a": value, "b": 1.0}))]
    with pytest.raises(ValueError, match="g0s1"):
        selector.select(sick, 1, DIRECTIONS, random.Random(0))


def test_a_failed_individual_in_a_comparison() -> None:
    sick = [*population([(0.0, 1.0)]), individual(1, Failed("train", "crash", "it died"))]
    with pytest.raises(ValueError, match="g0s1"):
        Nsga2().select(sick, 1, DIRECTIONS, random.Random(0))


@pytest.mark.parametrize("selector", [Nsga2(), Spea2()])
def test_a_span_that_overflows(selector: Nsga2 | Spea2) -> None:
    everybody = population([(-1.7e308, 1.7e308), (1.7e308, -1.7e308), (0.0, 0.0)])
    assert len(selector.select(everybody, 2, DIRECTIONS, random.Random(0))) == 2


def test_a_global_creator_class() -> None:
    from deap import creator

    assert not [name for name in vars(creator) if name.startswith(("Fitness", "Individual"))]
