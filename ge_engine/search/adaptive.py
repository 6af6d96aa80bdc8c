"""Draws what worked more often: success rates of operators and personas as weights of the next draw."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from ge_engine.population import Direction, dominates
from ge_engine.store.history import History
from ge_engine.store.records import from_json

Weights = Mapping[tuple[str, str], float]


def success_weights(history: History, generation: int) -> Weights:
    """(dimension, name) -> posterior mean of its success rate, of what was known when `generation` began.

    A success is a child that dominates one of its parents and is dominated by none. The mean is that of a
    Beta(1, 1) prior, (successes + 1) / (children + 2), so that what was never drawn has a half and what
    failed often keeps a chance: probability matching (Thompson, Biometrika 25, 1933) on the means.
    """
    tried: Counter[tuple[str, str]] = Counter()
    won: Counter[tuple[str, str]] = Counter()
    directions = history.directions
    scores = {identity: values for identity, _, values in history.scored_points()}
    sql = (
        "SELECT i.id, i.parents, i.steps FROM individuals i LEFT JOIN merged m ON m.id = i.id"
        " WHERE i.slot >= 0 AND (m.generation < ?1 OR (i.stage IS NOT NULL AND i.generation < ?1))"
    )
    for identity, parents, steps in history.query(sql, generation):
        made = {
            (dimension, step[dimension]) for step in from_json(steps) for dimension in ("operator", "persona")
        }
        tried.update(made)
        if _better(directions, scores.get(identity), [scores[p] for p in from_json(parents) if p in scores]):
            won.update(made)
    return {key: (won[key] + 1) / (count + 2) for key, count in tried.items()}


def _better(
    directions: Mapping[str, Direction],
    mine: Mapping[str, float] | None,
    parents: list[Mapping[str, float]],
) -> bool:
    if mine is None:
        return False
    beats = any(dominates(mine, parent, directions) for parent in parents)
    return beats and not any(dominates(parent, mine, directions) for parent in parents)
