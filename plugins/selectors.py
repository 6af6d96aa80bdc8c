"""NSGA-II for parents, SPEA-2 for elites, on the engine's fronts and crowding distances. What truncates a
front is DEAP's, with plain data around it.

No `creator` class and no global random state: an individual's losses are wrapped for one call.
"""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from deap.tools import emo

from ge_engine.contracts import Direction, Individual, Selector
from ge_engine.hookspecs import hookimpl
from ge_engine.pareto import Point, clipped, crowding, fronts, in_unit, losses, strengths


@dataclass(slots=True, eq=False)
class Fitness:
    """What DEAP reads of a fitness when it truncates a front."""

    values: Point

    def dominates(self, _: Fitness) -> bool:
        """Nobody on a front dominates another."""
        return False


@dataclass(slots=True, eq=False)
class Wrapped:
    """One of a front, as DEAP wants it."""

    index: int
    fitness: Fitness


@dataclass(frozen=True, slots=True)
class Ranked:
    """A place in a population, with the number of its front and its crowding distance there."""

    index: int
    front: int
    crowding: float


def ranked(points: Sequence[Point]) -> list[Ranked]:
    """Fronts and crowding distances of `points` (less is better), in their own order."""
    numbers = fronts(points)
    distances = [0.0] * len(points)
    for number in set(numbers):
        mine = [index for index, one in enumerate(numbers) if one == number]
        for index, distance in zip(mine, crowding([points[index] for index in mine]), strict=True):
            distances[index] = distance
    return [Ranked(index, *pair) for index, pair in enumerate(zip(numbers, distances, strict=True))]


class Nsga2(Selector):
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


class Spea2(Selector):
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
        points = finite_losses(individuals, directions)
        if k >= len(points):
            return list(individuals)
        kept = environmental_selection(scaled(points), max(k, 0), strengths(points))
        return [individuals[index] for index in kept]


def environmental_selection(points: Sequence[Point], k: int, raw: Sequence[float] | None = None) -> list[int]:
    """Indices, rising, of the `k` points (less is better, scaled) that SPEA-2 keeps. `raw` is the fitness of
    the points before they were scaled, which can make a dominated one equal to what dominates it."""
    raw = strengths(points) if raw is None else raw
    front = [index for index, value in enumerate(raw) if value == 0]
    if len(front) == k or k == 0:
        return front if k else []
    if len(front) > k:
        wrapped = [Wrapped(index, Fitness(points[index])) for index in front]
        return sorted(one.index for one in emo.selSPEA2(wrapped, k))
    rest = [index for index, value in enumerate(raw) if value > 0]
    rest.sort(key=lambda index: (raw[index] + density(points, index), index))
    return sorted(front + rest[: k - len(front)])


def density(points: Sequence[Point], index: int) -> float:
    """D(i) = 1 / (distance to the k-th nearest other + 2), k = floor(sqrt(n))."""
    distances = sorted(math.dist(points[index], other) for j, other in enumerate(points) if j != index)
    nearest = max(1, math.isqrt(len(points)))
    return 1.0 / (distances[nearest - 1] + 2.0)


def scaled(points: Sequence[Point]) -> list[Point]:
    """Each loss stretched to 0..1 over the population; 0 where all are equal."""
    if not points:
        return []
    lows, highs = (tuple(map(end, zip(*points, strict=True))) for end in (min, max))
    return [in_unit(point, lows, highs) for point in points]


def finite_losses(individuals: Sequence[Individual], directions: Mapping[str, Direction]) -> list[Point]:
    """Losses of the scored individuals. Raises ValueError on one without a finite score."""
    points = []
    for one in individuals:
        if not one.scored or not all(math.isfinite(one.objectives[name]) for name in directions):
            raise ValueError(f"{one.id} has no finite score and cannot be compared")
        points.append(clipped(losses(one.objectives, directions)))
    return points


def _winner(first: Ranked, second: Ranked, rng: random.Random) -> Ranked:
    if first.front != second.front:
        return first if first.front < second.front else second
    if first.crowding != second.crowding:
        return first if first.crowding > second.crowding else second
    return first if rng.random() < 0.5 else second


@hookimpl
def ge_selectors() -> list[Selector]:
    return [Nsga2(), Spea2()]
