"""What is better: dominance, fronts, crowding and hypervolume, with one meaning for all of the engine.

A point is a tuple of losses (less is better); `losses` makes one of objectives. Fronts and volumes are
moocore's, which is imported when it is first needed: it brings numpy along.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, Protocol, TypeVar

Direction = Literal["min", "max"]
Point = tuple[float, ...]
LARGEST = 1e150
"""Values beyond it count as it, so that differences and their squares stay finite."""


class Compared(Protocol):
    """What can stand on a front; `objectives` are its scores once it is `scored`."""

    @property
    def objectives(self) -> Mapping[str, float]: ...
    @property
    def scored(self) -> bool: ...


One = TypeVar("One", bound=Compared)


def advantage(a: float, b: float, direction: Direction) -> float:
    """By how much the figure `a` is better than `b`; negative where it is worse."""
    return a - b if direction == "max" else b - a


def dominates(a: Mapping[str, float], b: Mapping[str, float], directions: Mapping[str, Direction]) -> bool:
    """Pareto dominance: `a` is nowhere worse than `b` and somewhere better."""
    better = False
    for name, direction in directions.items():
        gain = advantage(a[name], b[name], direction)
        if gain < 0:
            return False
        better = better or gain > 0
    return better


def gains(a: Mapping[str, float], b: Mapping[str, float], directions: Mapping[str, Direction]) -> bool:
    """Whether `a` is better than `b` in some objective, whatever it is in the others."""
    return any(dominates(a, b, {name: direction}) for name, direction in directions.items())


def losses(objectives: Mapping[str, float], directions: Mapping[str, Direction]) -> Point:
    """The objectives in the order of `directions`, signed so that less is better."""
    return tuple(-objectives[n] if d == "max" else objectives[n] for n, d in directions.items())


def clipped(point: Point) -> Point:
    """The point with every value within `LARGEST`."""
    return tuple(max(-LARGEST, min(LARGEST, value)) for value in point)


# --- fronts ---------------------------------------------------------------------------------------


def non_dominated(points: Sequence[Point]) -> list[int]:
    """Indices, rising, of the points that no other dominates; of equals the first.

    Raises ValueError on NaN, which nothing would ever dominate.
    """
    if not points:
        return []
    import moocore

    return [index for index, kept in enumerate(moocore.is_nondominated(_comparable(points))) if kept]


def fronts(points: Sequence[Point]) -> list[int]:
    """The number of each point's front, 0 the best; equal points share one.

    Non-dominated sorting: Deb, Pratap, Agarwal and Meyarivan, "A fast and elitist multiobjective genetic
    algorithm: NSGA-II", IEEE Transactions on Evolutionary Computation 6(2), 2002, section III-A.
    Raises ValueError on NaN.
    """
    if not points:
        return []
    import moocore

    return [int(number) for number in moocore.pareto_rank(_comparable(points))]


def crowding(points: Sequence[Point]) -> list[float]:
    """Crowding distances within one front (Deb et al., section III-B): the sides of the box between a point's
    neighbours, as shares of the front's extent, divided by the number of objectives; infinite at the ends.

    Points that are equal in an objective stand in the order of the one before it.
    """
    points = [clipped(point) for point in points]
    distances = [0.0] * len(points)
    order = list(range(len(points)))
    for axis in range(len(points[0]) if points else 0):
        order.sort(key=lambda index: points[index][axis])
        along = [points[index][axis] for index in order]
        distances[order[0]] = distances[order[-1]] = math.inf
        if along[0] == along[-1]:
            continue
        norm = len(points[0]) * (along[-1] - along[0])
        for place in range(1, len(order) - 1):
            distances[order[place]] += (along[place + 1] - along[place - 1]) / norm
    return distances


def best_first(points: Sequence[Point]) -> list[int]:
    """Indices by fronts, within one by crowding distance, then by order. Of equal points the earlier stands
    in the better front."""
    left = list(range(len(points)))
    order: list[int] = []
    while left:
        front = [left[place] for place in non_dominated([points[index] for index in left])]
        distance = dict(zip(front, crowding([points[index] for index in front]), strict=True))
        order += sorted(front, key=lambda index: (-distance[index], index))
        left = [index for index in left if index not in distance]
    return order


def strengths(points: Sequence[Point]) -> list[int]:
    """R(i) of SPEA-2: the summed strengths of those that dominate i, where one's strength is how many it
    dominates (Zitzler, Laumanns and Thiele, 2001, section 3.1). 0 on the front."""
    if not points:
        return []
    array = _comparable(points)
    no_worse = (array[:, None, :] <= array[None, :, :]).all(axis=2)
    beats = no_worse & ~no_worse.T
    return [int(value) for value in beats.sum(axis=1) @ beats]


def pareto_front(individuals: Iterable[One], directions: Mapping[str, Direction]) -> list[One]:
    """The scored individuals that no other dominates; of equal scores, the earliest stays."""
    scored = [one for one in individuals if one.scored]
    return [scored[i] for i in non_dominated([losses(one.objectives, directions) for one in scored])]


# --- volumes --------------------------------------------------------------------------------------


def hypervolume(points: Sequence[Point], reference: Point) -> float:
    """The volume that `points` dominate up to `reference`, exactly, in up to 31 objectives.

    Points that do not lie below the reference everywhere add nothing.
    """
    inside = [point for point in points if all(v < limit for v, limit in zip(point, reference, strict=True))]
    if not inside:
        return 0.0
    import moocore
    import numpy as np

    return float(moocore.hypervolume(np.asarray(inside, dtype=np.float64), ref=np.asarray(reference)))


def box(points: Sequence[Point]) -> tuple[Point, Point]:
    """Ideal and reference point of all that was seen: the best, and a tenth of the span beyond the worst.

    Raises ValueError without points.
    """
    columns = list(zip(*points, strict=True))
    if not columns:
        raise ValueError("no points")
    ideal = tuple(min(column) for column in columns)
    worst = [max(column) for column in columns]
    reference = tuple(w + (0.1 * (w - b) or 1.0) for w, b in zip(worst, ideal, strict=True))
    return ideal, reference


def normalised(points: Sequence[Point], ideal: Point, reference: Point) -> float:
    """The hypervolume as a share of the box between `ideal` and `reference`, 0..1."""
    return hypervolume([in_unit(point, ideal, reference) for point in points], (1.0,) * len(ideal))


def growth(points: Iterable[Point], ideal: Point, reference: Point) -> list[float]:
    """`normalised` of the first point, of the first two, and so on: it never shrinks."""
    front: list[Point] = []
    volume, volumes = 0.0, []
    for point in (in_unit(point, ideal, reference) for point in points):
        if not any(_covers(kept, point) for kept in front):
            front = [kept for kept in front if not _covers(point, kept)] + [point]
            volume = max(volume, hypervolume(front, (1.0,) * len(ideal)))
        volumes.append(volume)
    return volumes


def volumes(points: Sequence[Point]) -> list[float]:
    """`growth` within the box around all of `points`."""
    return growth(points, *box(points)) if points else []


def in_unit(point: Point, ideal: Point, reference: Point) -> Point:
    """The point in the box from `ideal` at 0 to `reference` at 1; 0 where the box is flat."""
    sides = zip(point, ideal, reference, strict=True)
    return tuple((v - best) / (worst - best) if worst != best else 0.0 for v, best, worst in sides)


def _covers(a: Point, b: Point) -> bool:
    return all(x <= y for x, y in zip(a, b, strict=True))


def _comparable(points: Sequence[Point]) -> Any:
    """A row each. Raises ValueError on NaN."""
    import numpy as np

    array = np.asarray(points, dtype=np.float64)
    if np.isnan(array).any():
        raise ValueError("a point that is not a number cannot be compared")
    return array
