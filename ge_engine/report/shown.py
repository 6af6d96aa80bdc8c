"""Whom a page shows one by one. Of a large run these are some: a browser draws thousands of points and holds
their texts, not hundreds of thousands."""

from __future__ import annotations

import random
from collections.abc import Collection, Iterable, Mapping, Sequence

from ge_engine.pareto import Direction, losses
from ge_engine.population import SEED_ID
from ge_engine.report.rows import Row

MOST = 6000
"""Individuals that are shown one by one, each with whatever it descends from."""


def shown_of(
    everybody: Sequence[Row], tested: Collection[str], directions: Mapping[str, Direction]
) -> list[Row]:
    """All of a run that has no more than `MOST`. Of others the seed model, the front, the best of each
    objective and the `tested`, however many; then as many as there is room for, drawn at random and always
    alike."""
    if len(everybody) <= MOST:
        return list(everybody)
    known = {row.id: row for row in everybody}
    chosen: set[str] = set()
    for name in _named(everybody, tested, directions):
        chosen |= _with_ancestors(name, known, chosen)
    for row in random.Random(0).sample(everybody, len(everybody)):
        more = _with_ancestors(row.id, known, chosen)
        if len(chosen) + len(more) > MOST:
            break
        chosen |= more
    return [row for row in everybody if row.id in chosen]


def _named(
    everybody: Sequence[Row], tested: Iterable[str], directions: Mapping[str, Direction]
) -> Iterable[str]:
    """Those that a page speaks of."""
    yield SEED_ID
    yield from (row.id for row in everybody if row.front)
    yield from tested
    scored = [row for row in everybody if row.state == "scored"]
    yield from (_best(scored, {name: direction}) for name, direction in directions.items() if scored)


def _best(scored: Iterable[Row], objective: Mapping[str, Direction]) -> str:
    return min(scored, key=lambda row: losses(row.objectives, objective)).id


def _with_ancestors(name: str, known: Mapping[str, Row], chosen: Collection[str]) -> set[str]:
    """An individual and all that it descends from, without those that are `chosen`, whose ancestors are."""
    found: set[str] = set()
    waiting = [name]
    while waiting:
        one = waiting.pop()
        if one in known and one not in chosen and one not in found:
            found.add(one)
            waiting.extend(known[one].parents)
    return found
