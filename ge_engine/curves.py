"""The curve of a training, as an evaluator of anybody's may have told it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import islice
from numbers import Real
from typing import Any, TypeGuard

MOST_POINTS, MOST_NAMES, LONGEST_NAME = 500, 16, 80
"""Of one curve: a page of 5,000 children with the longest curves stays one that opens."""
Curve = tuple[Mapping[str, float], ...]


def read_curve(details: Mapping[str, Any]) -> Curve:
    """The training curve of an outcome's details: {epoch, name: value, ...} each epoch.

    An evaluator of a third party may give plain numbers, one per epoch, or nothing that is a curve. Of one
    that is longer than a page can show, points at even distances stay, the last among them; of more names
    than it can show, the first.
    """
    raw = details.get("curve")
    every = raw if isinstance(raw, (list, tuple)) else ()
    names: dict[str, None] = {}
    points: list[Mapping[str, float]] = []
    for epoch in spaced(len(every), MOST_POINTS):
        point = every[epoch]
        named = point if isinstance(point, Mapping) else {"value": point}
        numbers: dict[str, float] = {}
        for key, value in islice(named.items(), MOST_NAMES):
            name = str(key)[:LONGEST_NAME]
            if _is_figure(value) and (name in names or len(names) < MOST_NAMES):
                names[name] = None
                numbers[name] = float(value)
        points.append({"epoch": float(epoch + 1), **numbers})
    return tuple(points)


def ends_of(details: Mapping[str, Any]) -> tuple[int, Curve]:
    """How many epochs the curve has, and the first and the last of them, () of a shorter one than two."""
    raw = details.get("curve")
    if not isinstance(raw, (list, tuple)) or len(raw) < 2:
        return 0, ()
    return len(raw), read_curve({"curve": [raw[0], raw[-1]]})


def spaced(count: int, most: int) -> list[int]:
    """At most `most` (two or more) places of 0..count-1 at even distances, with the first and the last."""
    if count <= most:
        return list(range(count))
    return [place * (count - 1) // (most - 1) for place in range(most)]


def _is_figure(value: object) -> TypeGuard[float]:
    try:
        return isinstance(value, Real) and math.isfinite(value)
    except OverflowError:
        return False
