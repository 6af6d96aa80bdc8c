"""What worked: success and hypervolume gain by operator, intent, persona, grammar, model, block, island."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise

from ge_engine.outcome import Rejected
from ge_engine.pareto import Point, box, growth, improves, losses
from ge_engine.population import SEED_ID, Individual
from ge_engine.store.history import History

REPAIRED = re.compile(r"\brepaired ([\w-]+)")
DIMENSIONS = ("operator", "intent", "persona", "grammar", "model", "block", "island")
"""Islands only of a run that has several."""


@dataclass(frozen=True, slots=True)
class Row:
    """Counts of one value of one dimension.

    `children` that it had a part in, of them `admitted` by the ladder, `scored`, and `better`: not
    dominated by any parent and dominating one. `gain` is the hypervolume that they added when they were born,
    as a share of the box around all that the run has scored.
    """

    dimension: str
    value: str
    children: int
    admitted: int
    scored: int
    better: int
    gain: float


def statistics(history: History) -> list[Row]:
    """Rows in the order of `DIMENSIONS`, the largest gain first."""
    directions = history.directions
    points = {i: losses(values, directions) for i, _, values in history.scored_points()}
    scores = {i: values for i, _, values in history.scored_points()}
    gains = gained(points)
    several = history.config.islands > 1
    counts: dict[tuple[str, str], list[float]] = defaultdict(lambda: [0, 0, 0, 0, 0.0])
    for one in history.individuals():
        if one.id == SEED_ID:
            continue
        models = {call.reply.model for call in history.calls(one.id)}
        parents = [scores[parent] for parent in one.parents if parent in scores]
        better = one.scored and improves(one.objectives, parents, directions)
        admitted = not isinstance(one.outcome, Rejected)
        where = [("island", str(one.island))] if several else []
        for key in (*_values(one, models), *where):
            count = counts[key]
            for place, amount in enumerate((1, admitted, one.scored, better, gains.get(one.id, 0.0))):
                count[place] += amount
    rows = [
        Row(dimension, value, int(c[0]), int(c[1]), int(c[2]), int(c[3]), c[4])
        for (dimension, value), c in counts.items()
    ]
    return sorted(rows, key=lambda row: (DIMENSIONS.index(row.dimension), -row.gain, row.value))


def repairs(history: History) -> Mapping[str, tuple[int, int]]:
    """By the rung that had rejected a reply: children whose reply was sent back, and of them those that the
    ladder then admitted. A child that was sent back at two rungs counts at both."""
    counts: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    for one in history.individuals():
        notes = "; ".join(step.note for step in one.steps)
        for stage in dict.fromkeys(REPAIRED.findall(notes)):
            counts[stage][0] += 1
            counts[stage][1] += not isinstance(one.outcome, Rejected)
    return {stage: (sent, saved) for stage, (sent, saved) in sorted(counts.items())}


def gained(points: Mapping[str, Point]) -> dict[str, float]:
    """The normalised hypervolume that each point added to those before it."""
    volumes = [0.0, *_volumes(points)]
    return dict(zip(points, (now - before for before, now in pairwise(volumes)), strict=True))


def trace(history: History) -> list[tuple[int, float]]:
    """(evaluations so far, normalised hypervolume) after each scored individual, the seed first."""
    directions = history.directions
    points = {i: losses(values, directions) for i, _, values in history.scored_points()}
    return list(enumerate(_volumes(points), 1))


def _volumes(points: Mapping[str, Point]) -> list[float]:
    return growth(points.values(), *box(list(points.values()))) if points else []


def _values(one: Individual, models: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Each value once, however many steps it took part in."""
    found = [("model", model) for model in models]
    for step in one.steps:
        found += [
            ("operator", step.operator),
            ("intent", step.intent),
            ("persona", step.persona),
            ("grammar", step.grammar),
            ("block", step.address),
        ]
    yield from dict.fromkeys(pair for pair in found if pair[1])
