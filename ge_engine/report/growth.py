"""The hypervolume after each of many evaluations, without computing it anew each time."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Sequence

from ge_engine.search.hypervolume import hypervolume

Point = tuple[float, ...]


def growth(points: Sequence[Point], ideal: Point, reference: Point) -> list[float]:
    """The hypervolume of `points[: n + 1]` (less is better) for each n, as a share of the box, 0..1.

    What a point adds is its own box less what the front has of it already: the exclusive hypervolume of
    While, Bradstreet and Barone, "A fast way of calculating exact hypervolumes", IEEE Transactions on
    Evolutionary Computation 16(1), 2012. `ideal` and `reference` bound all points.
    """
    spans = [worst - best for best, worst in zip(ideal, reference, strict=True)]
    unit = [tuple((v - b) / s for v, b, s in zip(p, ideal, spans, strict=True)) for p in points]
    front: list[Point] = []
    total, volumes = 0.0, []
    for point in unit:
        if len(point) == 2:
            total += _strip(point, front)
        elif not any(_covers(kept, point) for kept in front):
            total += math.prod(1.0 - value for value in point) - _shared(point, front)
            front = [kept for kept in front if not _covers(point, kept)]
            front.append(point)
        volumes.append(total)
    return volumes


def _shared(point: Point, front: Sequence[Point]) -> float:
    """What `front` dominates of the box from `point` to the reference at (1, ..., 1)."""
    limited = {tuple(max(a, b) for a, b in zip(point, kept, strict=True)) for kept in front}
    return hypervolume(sorted(limited), tuple(1.0 for _ in point))


def _strip(point: Point, front: list[Point]) -> float:
    """Two objectives: insert `point` into the front, sorted by the first, and return the area it adds."""
    x, y = point
    at = bisect_left(front, point)
    if at and front[at - 1][1] <= y:
        return 0.0
    ceiling = front[at - 1][1] if at else 1.0
    end = at
    area, left, top = 0.0, x, ceiling
    while end < len(front) and front[end][1] >= y:
        area += (front[end][0] - left) * (top - y)
        left, top = front[end]
        end += 1
    right = front[end][0] if end < len(front) else 1.0
    area += (right - left) * (top - y)
    front[at:end] = [point]
    return area


def _covers(a: Point, b: Point) -> bool:
    return all(x <= y for x, y in zip(a, b, strict=True))
