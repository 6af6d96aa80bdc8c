"""What a run has learnt from its ledger until a generation began, and the draw that follows it."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

from ge_engine.config import RunConfig
from ge_engine.contracts import Trials, evenly
from ge_engine.pareto import improves
from ge_engine.store.history import History
from ge_engine.store.records import from_json

Known = Mapping[tuple[str, str], Trials]
STEP = {
    "operator": "operator",
    "persona": "persona",
    "intent": "intent",
    "grammar": "grammar",
    "block": "address",
}
"""Dimensions, and the name of their value in the record of a step."""


class Experience:
    """Draws evenly. What is known is read when it is asked for; without a ledger, nothing is."""

    def __init__(self, history: History | None = None, generation: int = 0) -> None:
        self._history = history
        self._generation = generation
        self._known: Known | None = None

    def trials(self, dimension: str, name: str) -> Trials:
        """How the children did that `name` had a part in, of those with a verdict by then."""
        if self._known is None:
            self._known = trials_of(self._history, self._generation) if self._history else {}
        return self._known.get((dimension, name), Trials())

    def prose(self, intent: str) -> Sequence[str]:
        """The replies of earlier generations to prompts of `intent` that asked for prose, oldest first."""
        if self._history is None:
            return ()
        sql = (
            "SELECT text FROM calls WHERE intent = ? AND generation < ? AND grammar_asked IS NULL"
            " AND finish <> 'error' ORDER BY generation, individual, key"
        )
        return tuple(row[0] for row in self._history.query(sql, intent, self._generation))

    def draw(self, rng: random.Random, dimension: str, names: Sequence[str]) -> str:
        return evenly(rng, dimension, names)

    def odds(self, _dimension: str, _name: str) -> float:
        """By how much a rate that the settings give is scaled for this name."""
        return 1.0


class Adaptive(Experience):
    """Draws what did well more often: Thompson sampling (Thompson, Biometrika 25, 1933; Chapelle and Li,
    NeurIPS 2011) with a Beta(1, 1) prior on the share of children that are better than their parents."""

    def draw(self, rng: random.Random, dimension: str, names: Sequence[str]) -> str:
        """The name whose success rate, drawn from its posterior, is largest."""

        def drawn(name: str) -> float:
            record = self.trials(dimension, name)
            return rng.betavariate(record.better + 1, record.children - record.better + 1)

        return max(names, key=drawn)

    def odds(self, dimension: str, name: str) -> float:
        return self.trials(dimension, name).rate


def experience_of(history: History, generation: int, config: RunConfig) -> Experience:
    """What is known when `generation` begins: the same in a resumed or replayed run."""
    if not generation:
        return Experience()
    return (Adaptive if config.adaptive else Experience)(history, generation)


def trials_of(history: History, generation: int) -> Known:
    """(dimension, name) -> how its children did, of those with a verdict when `generation` began."""
    counts: dict[tuple[str, str], list[int]] = defaultdict(lambda: [0, 0])
    directions = history.directions
    scores = {identity: values for identity, _, values in history.scored_points()}
    models = _models(history)
    sql = (
        "SELECT i.id, i.parents, i.steps FROM individuals i LEFT JOIN merged m ON m.id = i.id"
        " WHERE i.slot >= 0 AND (m.generation < ?1 OR (i.stage IS NOT NULL AND i.generation < ?1))"
    )
    for identity, parents, steps in history.query(sql, generation):
        bred_from = [scores[parent] for parent in from_json(parents) if parent in scores]
        better = identity in scores and improves(scores[identity], bred_from, directions)
        for key in {*_made(from_json(steps)), *(("model", model) for model in models[identity])}:
            counts[key][0] += 1
            counts[key][1] += better
    return {key: Trials(children, better) for key, (children, better) in counts.items()}


def _made(steps: Sequence[Mapping[str, str]]) -> Iterator[tuple[str, str]]:
    for step in steps:
        for dimension, name in STEP.items():
            if step[name]:
                yield dimension, step[name]


def _models(history: History) -> Mapping[str, set[str]]:
    found: dict[str, set[str]] = defaultdict(set)
    for individual, model in history.query("SELECT DISTINCT individual, model FROM calls"):
        found[individual].add(model)
    return found
