"""Counts what a run's events say. No printing."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ge_engine.notation import Notation
from ge_engine.outcome import SCREEN


@dataclass(slots=True)
class Progress:
    """What a run has done so far. `asked`, `answered`, ... count the present generation only. `admitted` are
    all that passed the checks, also those that `screen` left untrained."""

    started: float = field(default_factory=time.monotonic)
    first: int = 0
    generation: int = 0
    generations: int = 0
    notations: dict[str, Notation] = field(default_factory=dict)
    size: int = 0
    asked: int = 0
    answered: int = 0
    admitted: int = 0
    settled: int = 0
    training: int = 0
    trained: int = 0
    rejected: Counter[str] = field(default_factory=Counter)
    front: list[tuple[str, dict[str, float]]] = field(default_factory=list)
    errors: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    phase: str = "starting"

    def update(self, name: str, data: Mapping[str, Any]) -> None:
        handler = getattr(self, f"_{name}", None)
        if handler is not None:
            handler(data)

    def _run_started(self, data: Mapping[str, Any]) -> None:
        self.first = data["generation"]
        self.generations = data["generations"]
        self.notations = {name: Notation(**one) for name, one in data["notations"].items()}

    def front_rows(self, most: int) -> list[list[str]]:
        """Id and figures of the first `most` on the front."""
        return [
            [identity, *self._written(objectives, self.errors.get(identity, {}))]
            for identity, objectives in self.front[:most]
        ]

    def titles(self) -> list[str]:
        """The objectives with their units."""
        return [notation.title(name) for name, notation in self.notations.items()]

    def _written(self, objectives: Mapping[str, float], errors: Mapping[str, float]) -> list[str]:
        return [how.spread(objectives[name], errors.get(name)) for name, how in self.notations.items()]

    def _generation_started(self, data: Mapping[str, Any]) -> None:
        self.generation, self.size = data["generation"], data["size"]
        self.asked = self.answered = self.admitted = self.settled = self.trained = self.training = 0
        self.phase = "generating children"

    def _asked(self, data: Mapping[str, Any]) -> None:
        self.asked += data["count"]
        self.answered += data["answered"]

    def _reply(self, _: Mapping[str, Any]) -> None:
        self.answered += 1

    def _rejected(self, data: Mapping[str, Any]) -> None:
        self.rejected[data["stage"]] += 1
        self.admitted += data["stage"] == SCREEN
        self.settled += 1

    def _admitted(self, _: Mapping[str, Any]) -> None:
        self.admitted += 1

    def _submitted(self, _: Mapping[str, Any]) -> None:
        self.training += 1

    def _outcome(self, data: Mapping[str, Any]) -> None:
        if data["kind"] != "stopped" and not data["split"].startswith("test/"):
            self.training = max(0, self.training - 1)
            self.trained += 1
        if data["split"] == "validation":
            self.settled += 1

    def _generation_finished(self, data: Mapping[str, Any]) -> None:
        self.front, self.errors = list(data["front"]), data["errors"]

    def _interrupted(self, data: Mapping[str, Any]) -> None:
        self.training = data["running"]

    def _stopping(self, _: Mapping[str, Any]) -> None:
        self.phase = "stopping"

    def _finalists(self, data: Mapping[str, Any]) -> None:
        self.phase = "testing"
        self.asked = self.answered = self.admitted = self.trained = 0
        self.size = self.settled = len(data["ids"])

    def _run_finished(self, data: Mapping[str, Any]) -> None:
        self.front, self.errors = list(data["front"]), data["errors"]
        self.phase = "finished"

    @property
    def share(self) -> float:
        """How much of this session's children are generated and trained, 0 to 1."""
        if self.phase == "finished":
            return 1.0
        todo = self.generations - self.first
        done = self.generation - self.first + (min(1.0, self.settled / self.size) if self.size else 0.0)
        return min(1.0, done / todo) if todo > 0 else 1.0

    @property
    def only_finalists_left(self) -> bool:
        """Whether all generations are done. How long their finalists take has no pace yet."""
        return self.generations > self.first and self.share == 1.0

    def seconds_left(self) -> float | None:
        """From the pace so far; None where there is none."""
        share = self.share
        elapsed = time.monotonic() - self.started
        return elapsed * (1 - share) / share if 0.02 < share < 1.0 else None
