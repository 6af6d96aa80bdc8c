"""NSGA-II for parents, SPEA-2 for elites, on DEAP's functions with plain data around them.

No `creator` class and no global random state: an individual's losses are wrapped for one call.
"""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from deap.tools import emo

from ge_engine.contracts import Direction, Individual, Selector
from ge_engine.hookspecs import hookimpl

Point = tuple[float, ...]
LARGEST = 1e150


@dataclass(slots=True, eq=False)
class Fitness:
    """What DEAP reads of a fitness. `values` are losses, `wvalues` gains; equal and hashed by value."""

    values: Point
    wvalues: Point = field(init=False)
    crowding_dist: float = 0.0

    def __post_init__(self) -> None:
        self.wvalues = tuple(-value for value in self.values)

    def dominates(self, other: Fitness) -> bool:
        return self.values != other.values and all(
            a <= b for a, b in zip(self.values, other.values, strict=True)
        )

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Fitness) and self.values == other.values

    def __hash__(self) -> int:
        return hash(self.values)


@dataclass(slots=True, eq=False)
class Ranked:
    """A place in a population, with its fitness and, after sorting, the number of its front."""

    index: int
    fitness: Fitness
    front: int = 0


def ranked(points: Sequence[Point]) -> list[Ranked]:
    """Fronts and crowding distances of `points` (less is better), in their own order.

    Deb, Pratap, Agarwal and Meyarivan, "A fast and elitist multiobjective genetic algorithm: NSGA-II",
    IEEE Transactions on Evolutionary Computation 6(2), 2002, sections III-A and III-B.
    """
    all_ranked = [Ranked(index, Fitness(point)) for index, point in enumerate(points)]
    one_objective = bool(points) and len(points[0]) == 1
    sort = emo.sortNondominated if one_objective else emo.sortLogNondominated
    fronts = sort(all_ranked, len(all_ranked)) if all_ranked else []
    for number, front in enumerate(fronts):
        front.sort(key=lambda one: one.index)
        emo.assignCrowdingDist(front)
        for one in front:
            one.front = number
    return all_ranked


class Nsga2:
    """Binary tournaments by front, then crowding distance, then a coin.

    Each round of tournaments pairs a fresh shuffle of everybody, so that nobody fights twice before all
    have fought; an odd one out meets the first of the next shuffle. Any size, any `k`, repeats allowed.
    """

    name = "nsga2"

    def select(
        self,
        individuals: Sequence[Individual],
        k: int,
        directions: Mapping[str, Direction],
        rng: random.Random,
    ) -> list[Individual]:
        contenders = ranked(finite_losses(individuals, directions))
        if not contenders or k <= 0:
            return []
        chosen: list[Individual] = []
        queue: list[Ranked] = []
        while len(chosen) < k:
            while len(queue) < 2:
                queue += rng.sample(contenders, len(contenders))
            first, second = queue.pop(0), queue.pop(0)
            chosen.append(individuals[_winner(first, second, rng).index])
        return chosen


class Spea2:
    """Environmental selection of SPEA-2, each individual at most once.

    Zitzler, Laumanns and Thiele, "SPEA2: Improving the Strength Pareto Evolutionary Algorithm", 2001,
    sections 3.1 and 3.2. Losses are scaled to 0..1 first: a distance over accuracies and parameter counts
    would be one of parameter counts alone. DEAP truncates a front that is too large; the fill of one that
    is too small is ours, since DEAP's density reads only half of the distances.
    """

    name = "spea2"

    def select(
        self,
        individuals: Sequence[Individual],
        k: int,
        directions: Mapping[str, Direction],
        rng: random.Random,  # noqa: ARG002 (part of the contract)
    ) -> list[Individual]:
        points = scaled(finite_losses(individuals, directions))
        if k >= len(points):
            return list(individuals)
        return [individuals[index] for index in environmental_selection(points, max(k, 0))]


def environmental_selection(points: Sequence[Point], k: int) -> list[int]:
    """Indices, rising, of the `k` points (less is better, scaled) that SPEA-2 keeps."""
    raw = raw_fitness(points)
    front = [index for index, value in enumerate(raw) if value == 0]
    if len(front) == k or k == 0:
        return front if k else []
    if len(front) > k:
        wrapped = [Ranked(index, Fitness(points[index])) for index in front]
        return sorted(one.index for one in emo.selSPEA2(wrapped, k))
    rest = [index for index, value in enumerate(raw) if value > 0]
    rest.sort(key=lambda index: (raw[index] + density(points, index), index))
    return sorted(front + rest[: k - len(front)])


def raw_fitness(points: Sequence[Point]) -> list[int]:
    """R(i): the summed strengths of those that dominate i; the strength is how many one dominates."""
    if not points:
        return []
    losses = np.asarray(points, dtype=np.float64)
    no_worse = (losses[:, None, :] <= losses[None, :, :]).all(axis=2)
    beats = no_worse & ~no_worse.T
    return [int(value) for value in beats.sum(axis=1) @ beats]


def density(points: Sequence[Point], index: int) -> float:
    """D(i) = 1 / (distance to the k-th nearest other + 2), k = floor(sqrt(n))."""
    distances = sorted(math.dist(points[index], other) for j, other in enumerate(points) if j != index)
    nearest = max(1, math.isqrt(len(points)))
    return 1.0 / (distances[nearest - 1] + 2.0)


def scaled(points: Sequence[Point]) -> list[Point]:
    """Each loss stretched to 0..1 over the population; 0 where all are equal."""
    if not points:
        return []
    lows = [min(column) for column in zip(*points, strict=True)]
    spans = [max(column) - low for column, low in zip(zip(*points, strict=True), lows, strict=True)]
    return [
        tuple(
            (value - low) / span if span else 0.0 for value, low, span in zip(point, lows, spans, strict=True)
        )
        for point in points
    ]


def finite_losses(individuals: Sequence[Individual], directions: Mapping[str, Direction]) -> list[Point]:
    """Losses of the scored individuals. Raises ValueError on one without a finite score."""
    points = []
    for one in individuals:
        if not one.scored or not all(math.isfinite(one.objectives[name]) for name in directions):
            raise ValueError(f"{one.id} has no finite score and cannot be compared")
        points.append(tuple(_bounded(one.objectives[n], d) for n, d in directions.items()))
    return points


def _bounded(value: float, direction: Direction) -> float:
    """The loss, far enough from the largest float that a difference of two stays finite."""
    return max(-LARGEST, min(LARGEST, -value if direction == "max" else value))


def _winner(first: Ranked, second: Ranked, rng: random.Random) -> Ranked:
    if first.front != second.front:
        return first if first.front < second.front else second
    if first.fitness.crowding_dist != second.fitness.crowding_dist:
        return first if first.fitness.crowding_dist > second.fitness.crowding_dist else second
    return first if rng.random() < 0.5 else second


@hookimpl
def ge_selectors() -> list[Selector]:
    return [Nsga2(), Spea2()]
