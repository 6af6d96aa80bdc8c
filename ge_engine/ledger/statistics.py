"""What worked: how children did by operator, mutation type, persona, grammar, model, block and island."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise

from ge_engine.contracts import OperatorStats
from ge_engine.ledger.checked import reading
from ge_engine.ledger.history import History
from ge_engine.ledger.records import from_json, steps_from_json
from ge_engine.noise import improves
from ge_engine.outcome import SCREEN, Rejected
from ge_engine.pareto import Point, losses, volumes
from ge_engine.population import HAND, Step

REPAIRED = re.compile(r"(?:^|; )repaired ([\w-]+)")
"""In the notes of steps, each of which ends before a semicolon: a reason's own words are not counted."""
OF_STEP: Mapping[str, str] = {
    "operator": "operator",
    "intent": "intent",
    "persona": "persona",
    "grammar": "grammar",
}
"""Dimensions of a step that have one value, and the name of the field that holds it."""
DIMENSIONS = ("operator", "intent", "persona", "grammar", "model", "block", "island")
"""Islands only of a run that has several."""
Factor = tuple[str, str]
"""Something that has a part in children: (dimension, value), such as ("persona", "expert")."""
_CHILDREN = """
SELECT i.id, i.parents, i.steps, i.stage, i.island FROM individuals i LEFT JOIN merged m ON m.id = i.id
WHERE i.slot >= 0 AND i.stage IS NOT ?2
  AND (?1 IS NULL OR m.generation < ?1 OR (i.stage IS NOT NULL AND i.generation < ?1))
ORDER BY i.generation, i.slot
"""


@dataclass(frozen=True, slots=True)
class _Child:
    """The result of a child, and what helped to make it, each factor once."""

    id: str
    factors: tuple[Factor, ...]
    admitted: bool
    scored: bool
    better: bool


def operator_stats(
    history: History, before: int | None = None, gains: Mapping[str, float] | None = None
) -> dict[Factor, OperatorStats]:
    """How the children of each factor did, without those that `screen` left untrained; with `before`, those
    alone that had a verdict when that generation began. `gains` are hypervolumes by child."""
    children: dict[Factor, list[_Child]] = defaultdict(list)
    for child in _children(history, before):
        for factor in child.factors:
            children[factor].append(child)
    return {
        factor: OperatorStats(
            children=len(mine),
            better=sum(child.better for child in mine),
            admitted=sum(child.admitted for child in mine),
            scored=sum(child.scored for child in mine),
            gain=sum((gains or {}).get(child.id, 0.0) for child in mine),
        )
        for factor, mine in children.items()
    }


def factors_of(step: Step) -> Iterator[Factor]:
    """What had a part in a step, "" where nothing had; each of several blocks is a factor of its own."""
    yield from ((dimension, getattr(step, field)) for dimension, field in OF_STEP.items())
    yield from (("block", address) for address in step.addresses or ("",))


def statistics(history: History) -> dict[Factor, OperatorStats]:
    """All children's, with their gains, in the order of `DIMENSIONS`, the largest gain first."""
    found = operator_stats(history, gains=gained(_points(history)))
    return dict(sorted(found.items(), key=lambda one: (DIMENSIONS.index(one[0][0]), -one[1].gain, one[0][1])))


def repairs(history: History) -> Mapping[str, tuple[int, int]]:
    """By the check that had rejected a reply: children whose reply was sent back, and of them those that the
    checks then let pass, trained or not. A child that was sent back by two checks counts at both."""
    counts: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    for one in history.individuals():
        notes = "; ".join(step.note for step in one.steps if step.operator != HAND)
        for stage in dict.fromkeys(REPAIRED.findall(notes)):
            counts[stage][0] += 1
            counts[stage][1] += not isinstance(one.outcome, Rejected) or one.outcome.stage == SCREEN
    return {stage: (sent, saved) for stage, (sent, saved) in sorted(counts.items())}


def gained(points: Mapping[str, Point]) -> dict[str, float]:
    """The normalised hypervolume that each point added to those before it."""
    grown = [0.0, *volumes(list(points.values()))]
    return dict(zip(points, (now - before for before, now in pairwise(grown)), strict=True))


def trace(history: History) -> list[tuple[int, float]]:
    """(evaluations so far, normalised hypervolume) after each scored individual, the baseline first."""
    return list(enumerate(volumes(list(_points(history).values())), 1))


def _points(history: History) -> dict[str, Point]:
    directions = history.directions
    return {identity: losses(values, directions) for identity, _, values in history.scored_points()}


def _children(history: History, before: int | None) -> Iterator[_Child]:
    directions, several = history.directions, history.config.islands > 1
    scores = {identity: score for identity, _, score in history.scored()}
    models: dict[str, list[str]] = defaultdict(list)
    for individual, model in history.query("SELECT DISTINCT individual, model FROM calls"):
        models[individual].append(model)
    for identity, parents, steps, stage, island in history.query(_CHILDREN, before, SCREEN):
        with reading(f"individual {identity!r}"):
            known = [scores[parent] for parent in from_json(parents) if parent in scores]
            factors = [("model", model) for model in models[identity]]
            factors += [factor for step in steps_from_json(steps) for factor in factors_of(step)]
            factors += [("island", str(island))] if several else []
            better = identity in scores and improves(scores[identity], known, directions)
            named = tuple(dict.fromkeys(factor for factor in factors if factor[1]))
            yield _Child(identity, named, stage is None, identity in scores, better)
