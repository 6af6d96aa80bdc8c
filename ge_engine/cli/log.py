"""`ge log`: what happened in a run."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from ge_engine.cli.console import out
from ge_engine.cli.outcomes import describe, number
from ge_engine.ledger import History
from ge_engine.outcome import Failed, Rejected, Scored
from ge_engine.population import Individual, pareto_front
from ge_engine.registry import Registry, load_registry


def log(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="The run's folder.")],
    front: Annotated[bool, typer.Option("--front", help="Only the Pareto front.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
) -> None:
    """List every individual of a run with what became of it.

    Example: ge log runs/demo --front
    """
    registry = load_registry()
    with History(run) as history:
        individuals = list(history.individuals())
        best = pareto_front(individuals, directions(history, registry))
        shown = best if front else individuals
        if as_json:
            for one in shown:
                typer.echo(json.dumps(as_record(one, best), allow_nan=False))
            return
        _print_table(shown, best)
        _print_summary(history)


def directions(history: History, registry: Registry) -> Mapping[str, Any]:
    return {name: registry.objectives[name].direction for name in history.config.objectives}


def as_record(one: Individual, front: list[Individual]) -> dict[str, Any]:
    """An individual as plain data for --json."""
    outcome = one.outcome
    record: dict[str, Any] = {
        "id": one.id,
        "generation": one.generation,
        "parents": list(one.parents),
        "steps": [
            {"operator": s.operator, "intent": s.intent, "persona": s.persona, "address": s.address}
            for s in one.steps
        ],
        "digest": one.genome.digest if one.genome else None,
        "outcome": type(outcome).__name__.lower() if outcome else None,
        "front": any(one.id == other.id for other in front),
    }
    match outcome:
        case Scored(objectives=objectives):
            record["objectives"] = dict(objectives)
        case Rejected(stage=stage, reason=reason) | Failed(stage=stage, reason=reason):
            record |= {"stage": stage, "reason": reason}
    return record


def _print_table(shown: list[Individual], front: list[Individual]) -> None:
    best = {one.id for one in front}
    table = Table(box=None, header_style="bold", pad_edge=False)
    for column in ("", "id", "parents", "operator", "block", "outcome"):
        table.add_column(column, no_wrap=column != "outcome")
    for one in shown:
        operators = "+".join(f"{s.operator}:{s.intent}" for s in one.steps)
        blocks = ", ".join(dict.fromkeys(s.address for s in one.steps))
        mark = Text("*" if one.id in best else "", style="bold green")
        table.add_row(mark, one.id, ", ".join(one.parents), operators, blocks, describe(one))
    out.print(table)


def _print_summary(history: History) -> None:
    rejected = history.rejections()
    prompt, completion = history.tokens()
    out.print()
    if rejected:
        out.print("rejected: " + ", ".join(f"{count} at {stage}" for stage, count in rejected.items()))
    out.print(f"tokens: {number('', prompt)} read, {number('', completion)} written")
    out.print(history.stopped_because or "not finished; the same `ge evolve` command goes on with it")
