"""`ge blame`: who brought in each line that differs from the seed, and what that did to the objectives."""

from __future__ import annotations

import json
from itertools import groupby
from typing import Annotated, Any

import typer
from rich.text import Text

from ge_engine.changes import Blame
from ge_engine.changes import blame as blame_lines
from ge_engine.cli.console import out
from ge_engine.cli.outcomes import number
from ge_engine.cli.refs import find_individual, require_genome, split_reference
from ge_engine.ledger import History
from ge_engine.population import Individual


def blame(
    individual: Annotated[str, typer.Argument(metavar="RUN:ID", help="The individual to explain.")],
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
) -> None:
    """For every line that differs from the seed: the individual, operator and persona that brought it in.

    The chain follows first parents, from which a child keeps all but the rewritten block.

    Example: ge blame runs/demo:g1s3
    """
    folder, identity = split_reference(individual)
    with History(folder) as history:
        chain = _chain(history, find_individual(history, identity))
    lines = blame_lines([require_genome(one) for one in chain])
    if as_json:
        for line in lines:
            typer.echo(json.dumps(_record(line, chain), allow_nan=False))
        return
    for index, group in groupby(lines, key=lambda line: line.index):
        out.print(Text(_origin(chain[index], chain[index - 1]), style="bold"))
        for line in group:
            out.print(Text.assemble((f"{line.line:6} ", "dim"), line.text))


def _chain(history: History, one: Individual) -> list[Individual]:
    """From the seed to `one`, each the first parent of the next."""
    chain = [one]
    while chain[-1].parents:
        chain.append(find_individual(history, chain[-1].parents[0]))
    return chain[::-1]


def _origin(one: Individual, parent: Individual) -> str:
    how = "; ".join(
        f"{s.operator} of {s.address} ({s.intent}, {'no persona' if s.persona == 'none' else s.persona})"
        for s in one.steps
    )
    return f"{one.id} from {parent.id}: {how}. {_effect(one, parent)}"


def _effect(one: Individual, parent: Individual) -> str:
    changes = _changes(one, parent)
    if not changes:
        return "Not scored."
    return ", ".join(f"{n} {number(n, old)} to {number(n, new)}" for n, (old, new) in changes.items()) + "."


def _changes(one: Individual, parent: Individual) -> dict[str, tuple[float, float]]:
    return {
        name: (parent.objectives[name], new)
        for name, new in one.objectives.items()
        if name in parent.objectives
    }


def _record(line: Blame, chain: list[Individual]) -> dict[str, Any]:
    one, parent = chain[line.index], chain[line.index - 1]
    return {
        "line": line.line,
        "text": line.text,
        "individual": one.id,
        "parent": parent.id,
        "operators": [s.operator for s in one.steps],
        "personas": [s.persona for s in one.steps],
        "intents": [s.intent for s in one.steps],
        "objectives": {
            name: {"before": old, "after": new} for name, (old, new) in _changes(one, parent).items()
        },
    }
