"""How an outcome reads in one line."""

from __future__ import annotations

from typing import Protocol

from rich.text import Text

from ge_engine.notation import Notations, written
from ge_engine.outcome import Failed, Outcome, Rejected, Scored, shown_rejection


def counted(count: int, noun: str) -> str:
    """ "1 epoch", "2 epochs"."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def describe_outcome(outcome: Outcome | None, notations: Notations) -> Text:
    match outcome:
        case Scored():
            return Text(written(outcome.objectives, notations, outcome.errors), style="green")
        case Rejected(stage=stage, reason=reason):
            return Text(f"{shown_rejection(stage)}: {reason}", style="yellow")
        case Failed(stage=stage, kind=kind, reason=reason):
            return Text(f"failed in {stage} ({kind}): {reason}", style="red")
        case None:
            return Text("not scored yet", style="dim")


class HasOutcome(Protocol):
    """An individual, or a child without a genome."""

    @property
    def outcome(self) -> Outcome | None: ...


def describe(individual: HasOutcome, notations: Notations) -> Text:
    return describe_outcome(individual.outcome, notations)
