"""The one meaning of better: against hand-made fronts, the definitions written out, and DEAP."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pytest
from deap.tools import emo
from hypothesis import given
from hypothesis import strategies as st

from ge_engine.outcome import Failed, Outcome, Rejected, Scored
from ge_engine.pareto import (
    Direction,
    Point,
    best_first,
    box,
    crowding,
    dominates,
    fronts,
    gains,
    growth,
    hypervolume,
    losses,
    non_dominated,
    normalised,
    pareto_front,
    strengths,
)
from ge_engine.population import Individual

DIRECTIONS: dict[str, Direction] = {"accuracy": "max", "parameters": "min"}
VALUES = st.integers(0, 12).map(float)
FLOATS = st.one_of(st.integers(-5, 5).map(float), st.floats(-1e6, 1e6))


def several(size: int, value: st.SearchStrategy[float] = VALUES) -> st.SearchStrategy[list[Point]]:
    return st.lists(st.tuples(*[value] * size), min_size=1, max_size=12)


ANY = st.one_of([several(size, FLOATS) for size in (1, 2, 3)] + [several(size) for size in (1, 2, 3, 4)])


def individual(number: int, outcome: Outcome | None) -> Individual:
    return Individual(f"g0s{number}", 0, number, (), (), None, outcome)


def scored(number: int, accuracy: float, parameters: float) -> Individual:
    return individual(number, Scored({"accuracy": accuracy, "parameters": parameters}))


# --- the definitions, written out -----------------------------------------------------------------


def beats(a: Point, b: Point) -> bool:
    return a != b and all(x <= y for x, y in zip(a, b, strict=True))


def peeled(points: Sequence[Point]) -> list[int]:
    """Non-dominated sorting by its definition: take the front away until nobody is left."""
    numbers: dict[int, int] = {}
    while len(numbers) < len(points):
        left = [i for i in range(len(points)) if i not in numbers]
        front = [i for i in left if not any(beats(points[j], points[i]) for j in left)]
        numbers |= dict.fromkeys(front, max(numbers.values(), default=-1) + 1)
    return [numbers[i] for i in range(len(points))]


def volume_of(points: Sequence[Point], reference: Point) -> float:
    """The union of boxes by inclusion and exclusion."""
    total = 0.0
    for size in range(1, len(points) + 1):
        for chosen in itertools.combinations(points, size):
            corner = [max(column) for column in zip(*chosen, strict=True)]
            sides = [max(0.0, limit - value) for value, limit in zip(corner, reference, strict=True)]
            total += (-1) ** (size + 1) * math.prod(sides)
    return total


@dataclass(eq=False)
class Fitness:
    values: Point
    crowding_dist: float = 0.0


@dataclass(eq=False)
class Wrapped:
    fitness: Fitness


def of_deap(front: Sequence[Point]) -> list[float]:
    wrapped = [Wrapped(Fitness(point)) for point in front]
    emo.assignCrowdingDist(wrapped)
    return [one.fitness.crowding_dist for one in wrapped]


# --- dominance ------------------------------------------------------------------------------------


def test_a_direction_that_is_turned_around() -> None:
    good, bad = {"accuracy": 0.9, "parameters": 10.0}, {"accuracy": 0.8, "parameters": 10.0}
    assert dominates(good, bad, DIRECTIONS)
    assert not dominates(bad, good, DIRECTIONS)
    assert not dominates(good, good, DIRECTIONS)
    assert not dominates({"accuracy": 0.9, "parameters": 11.0}, bad, DIRECTIONS)


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


def test_a_gain_in_one_objective_that_a_loss_in_another_hides() -> None:
    seed = {"accuracy": 0.8, "parameters": 10.0}
    assert gains({"accuracy": 0.1, "parameters": 9.0}, seed, DIRECTIONS)
    assert gains({"accuracy": 0.9, "parameters": 99.0}, seed, DIRECTIONS)
    assert not gains(seed, seed, DIRECTIONS)
    assert not gains({"accuracy": 0.8, "parameters": 11.0}, seed, DIRECTIONS)


# --- fronts ---------------------------------------------------------------------------------------


@given(ANY)
def test_a_front_that_is_not_the_definitions(points: list[Point]) -> None:
    first = [i for i, p in enumerate(points) if p not in points[:i] and not any(beats(q, p) for q in points)]
    assert non_dominated(points) == first


@given(ANY)
def test_fronts_numbered_in_another_way_than_by_peeling(points: list[Point]) -> None:
    assert fronts(points) == peeled(points)


@given(ANY)
def test_crowding_distances_other_than_those_of_earlier_runs(points: list[Point]) -> None:
    """To the last bit, ties and twins included: they decided tournaments of runs that go on."""
    for number in range(max(fronts(points)) + 1):
        front = [point for point, own in zip(points, fronts(points), strict=True) if own == number]
        assert crowding(front) == of_deap(front)


@given(ANY)
def test_strengths_that_are_not_the_papers(points: list[Point]) -> None:
    beaten = [sum(beats(one, other) for other in points) for one in points]
    wanted = [sum(s for s, q in zip(beaten, points, strict=True) if beats(q, p)) for p in points]
    assert strengths(points) == wanted


def test_a_strength_that_is_not_the_papers() -> None:
    # 0 dominates 2, 3, 4; 1 dominates 3, 4; 2 dominates 4; 3 dominates 4.
    points = [(0.0, 1.0), (1.0, 0.0), (0.5, 1.5), (2.0, 1.0), (3.0, 3.0)]
    assert strengths(points) == [0, 0, 3, 5, 7]


@given(ANY)
def test_an_order_that_puts_what_is_dominated_before_what_dominates_it(points: list[Point]) -> None:
    order = best_first(points)
    assert sorted(order) == list(range(len(points)))
    for place, index in enumerate(order):
        assert not any(beats(points[later], points[index]) for later in order[place + 1 :])


def test_nobody_at_all() -> None:
    assert non_dominated([]) == fronts([]) == crowding([]) == best_first([]) == strengths([]) == []
    assert pareto_front([], DIRECTIONS) == []


@pytest.mark.parametrize("of", [non_dominated, fronts, strengths, best_first])
def test_a_point_that_is_not_a_number_and_stays_on_the_front_for_ever(of: Any) -> None:
    with pytest.raises(ValueError, match="not a number"):
        of([(math.nan, 0.0), (1.0, 1.0)])


def test_infinite_losses_that_make_a_crowding_distance_no_number() -> None:
    front = [(-math.inf, 3.0), (0.0, 2.0), (1.0, 1.0), (math.inf, 0.0)]
    assert fronts(front) == [0, 0, 0, 0]
    for distances in (crowding(front), crowding([(-1e308, 3.0), (0.0, 2.0), (1.0, 1.0), (1e308, 0.0)])):
        assert distances[0] == distances[3] == math.inf
        assert all(0 < value < math.inf for value in distances[1:3])


def test_twins_that_crowd_each_other_out() -> None:
    points = [(0.0, 1.0), (0.5, 0.5), (0.5, 0.5), (1.0, 0.0)]
    assert fronts(points) == [0, 0, 0, 0]
    assert non_dominated(points) == [0, 1, 3]
    assert best_first(points)[-1] == 2


@given(st.lists(st.tuples(st.floats(0, 1), st.integers(1, 50).map(float)), max_size=20), st.integers(0, 20))
def test_a_front_kept_up_to_date_that_differs_from_the_whole(
    points: list[tuple[float, float]], cut: int
) -> None:
    everybody = [scored(number, *point) for number, point in enumerate(points)]
    early = pareto_front(everybody[:cut], DIRECTIONS)
    assert pareto_front([*early, *everybody[cut:]], DIRECTIONS) == pareto_front(everybody, DIRECTIONS)


# --- volumes --------------------------------------------------------------------------------------


def test_a_staircase_that_counts_an_overlap_twice() -> None:
    assert hypervolume([(1.0, 2.0), (2.0, 1.0)], (3.0, 3.0)) == 3.0
    assert hypervolume([(1.0, 2.0), (2.0, 1.0), (2.0, 2.0), (1.0, 2.0)], (3.0, 3.0)) == 3.0


def test_a_point_beyond_the_reference_that_counts() -> None:
    assert hypervolume([(4.0, 0.0), (3.0, 1.0)], (3.0, 3.0)) == 0.0
    assert hypervolume([(4.0, 0.0), (2.0, 2.0)], (3.0, 3.0)) == 1.0
    assert hypervolume([], (3.0, 3.0)) == 0.0


@given(st.one_of([st.lists(st.tuples(*[VALUES] * size), min_size=1, max_size=7) for size in (1, 2, 3, 4)]))
def test_a_volume_that_is_not_the_union_of_boxes(points: list[Point]) -> None:
    reference = (11.0,) * len(points[0])
    assert hypervolume(points, reference) == pytest.approx(volume_of(points, reference))


@given(several(3))
def test_a_share_outside_0_to_1(points: list[Point]) -> None:
    ideal, reference = box(points)
    assert 0.0 <= normalised(points, ideal, reference) <= 1.0 + 1e-12


@given(ANY)
def test_growth_that_differs_from_the_hypervolume(points: list[Point]) -> None:
    ideal, reference = box(points)
    grown = growth(points, ideal, reference)
    wanted = [normalised(points[: n + 1], ideal, reference) for n in range(len(points))]
    assert grown == pytest.approx(wanted, abs=1e-9)
    assert grown == sorted(grown)


def test_a_box_of_nothing() -> None:
    with pytest.raises(ValueError, match="no points"):
        box([])


def test_a_box_without_room_for_its_worst_or_for_equals() -> None:
    assert box([(0.0, 10.0), (10.0, 0.0)]) == ((0.0, 0.0), (11.0, 11.0))
    assert box([(5.0, 1.0), (5.0, 3.0)]) == ((5.0, 1.0), (6.0, 3.2))


def test_losses_with_a_direction_turned_around() -> None:
    assert losses({"parameters": 5.0, "accuracy": 0.5}, DIRECTIONS) == (-0.5, 5.0)
