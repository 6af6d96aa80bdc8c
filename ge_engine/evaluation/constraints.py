"""Constraints on individuals. Those on figures known before training are checked before training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ge_engine.conditions import Condition, parse_condition
from ge_engine.outcome import Rejected

BEFORE_TRAINING = ("parameters", "flops", "size_on_disk")


@dataclass(frozen=True, slots=True)
class Feasibility:
    """Conditions with their texts: those on figures of the untrained model, and all."""

    before: tuple[tuple[str, Condition], ...] = ()
    after: tuple[tuple[str, Condition], ...] = ()

    def broken_before(self, facts: Mapping[str, float]) -> Rejected | None:
        """The first condition that the untrained model breaks."""
        return _broken(self.before, facts)

    def broken_after(self, figures: Mapping[str, float]) -> Rejected | None:
        """The first condition that the trained model breaks; `figures` are facts and scores."""
        return _broken(self.after, figures)


def parse_constraints(
    texts: Sequence[str], objectives: Sequence[str], early: Sequence[str] = BEFORE_TRAINING
) -> Feasibility:
    """Read conditions such as "parameters<=518230"; `early` names the figures known before training.

    Raises:
        ConfigError: a condition cannot be read or names neither an objective nor a figure.
    """
    names = list(dict.fromkeys((*objectives, *early)))
    after = tuple((text, parse_condition(text, names)) for text in texts)
    later = [name for name in names if name not in early]
    before = tuple((text, test) for text, test in after if not any(name in text for name in later))
    return Feasibility(before, after)


def _broken(conditions: Sequence[tuple[str, Condition]], figures: Mapping[str, float]) -> Rejected | None:
    for text, holds in conditions:
        if not holds(figures):
            known = ", ".join(f"{n} is {figures[n]:g}" for n in figures if n in text)
            return Rejected("constraint", f"{text} does not hold: {known}")
    return None
