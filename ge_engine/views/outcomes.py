"""How an outcome reads in one line."""

from __future__ import annotations

from rich.text import Text

from ge_engine.outcome import Failed, Outcome, Rejected, Scored
from ge_engine.population import Child


def number(name: str, value: float) -> str:
    """A share as a percentage, a count with separators, anything else with four digits."""
    if name == "accuracy":
        return f"{100 * value:.2f} %"
    return f"{int(value):,}" if value == int(value) else f"{value:.4g}"


def counted(count: int, noun: str) -> str:
    """ "1 epoch", "2 epochs"."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def describe_outcome(outcome: Outcome | None) -> Text:
    match outcome:
        case Scored(objectives=objectives):
            scores = ", ".join(f"{name} {number(name, value)}" for name, value in objectives.items())
            return Text(scores, style="green")
        case Rejected(stage=stage, reason=reason):
            return Text(f"rejected at {stage}: {reason}", style="yellow")
        case Failed(stage=stage, kind=kind, reason=reason):
            return Text(f"failed in {stage} ({kind}): {reason}", style="red")
        case None:
            return Text("not scored yet", style="dim")


def describe(individual: Child) -> Text:
    return describe_outcome(individual.outcome)
