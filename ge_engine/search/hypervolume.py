"""How much of the space between a front and a reference point is dominated, in any number of objectives."""

from __future__ import annotations

from collections.abc import Sequence

from ge_engine.population import non_dominated

Point = tuple[float, ...]


def hypervolume(points: Sequence[Point], reference: Point) -> float:
    """The volume that `points` (less is better) dominate up to `reference`.

    Exact, by slices along the last objective (While, Hingston, Barone and Huband, "A faster algorithm for
    calculating hypervolume", IEEE Transactions on Evolutionary Computation 10(1), 2006). Points that do not
    lie below the reference everywhere add nothing.
    """
    inside = [p for p in points if all(value < limit for value, limit in zip(p, reference, strict=True))]
    return _volume([inside[index] for index in non_dominated(inside)], reference)


def _volume(front: Sequence[Point], reference: Point) -> float:
    if not front:
        return 0.0
    if len(reference) == 1:
        return reference[0] - min(point[0] for point in front)
    ordered = sorted(front, key=lambda point: point[-1])
    if len(reference) == 2:
        return _area(ordered, reference)
    total = 0.0
    ends = [point[-1] for point in ordered[1:]] + [reference[-1]]
    for count, (point, end) in enumerate(zip(ordered, ends, strict=True), 1):
        if end > point[-1]:
            slab = [one[:-1] for one in ordered[:count]]
            kept = [slab[index] for index in non_dominated(slab)]
            total += (end - point[-1]) * _volume(kept, reference[:-1])
    return total


def _area(ordered: Sequence[Point], reference: Point) -> float:
    """Two objectives: strips of a staircase, sorted by the second."""
    total, edge = 0.0, reference[0]
    for x, y in ordered:
        if x < edge:
            total += (edge - x) * (reference[1] - y)
            edge = x
    return total


def normalised(points: Sequence[Point], ideal: Point, reference: Point) -> float:
    """The hypervolume as a share of the box between `ideal` and `reference`, 0..1."""
    spans = [worst - best for best, worst in zip(ideal, reference, strict=True)]
    unit = [
        tuple((v - best) / span if span else 0.0 for v, best, span in zip(p, ideal, spans, strict=True))
        for p in points
    ]
    return hypervolume(unit, tuple(1.0 for _ in spans))


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
