"""`ge blame`: who brought in each line that the seed model does not have, with what effect."""

from __future__ import annotations

import json
from itertools import groupby
from typing import Annotated, Any

import typer
from rich.text import Text

from ge_engine.api import Run
from ge_engine.cli import options as o
from ge_engine.notation import PLAIN, Notations
from ge_engine.population import Child
from ge_engine.runs.lineage import Origin
from ge_engine.runs.references import split_reference
from ge_engine.views.console import out


def blame(
    individual: Annotated[str, o.individual("The individual to explain.")],
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object per line.")] = False,
) -> None:
    """Tell who brought in each line that differs from the seed model: individual, operator and persona.

    A child keeps all of its first parent but the rewritten block; what a mating took from the second parent
    is traced back through that one.

    Example: ge blame runs/demo:g1s3
    """
    folder, identity = split_reference(individual)
    run = Run(folder)
    lines = run.blame(identity)
    if as_json:
        for line in lines:
            typer.echo(json.dumps(_record(line), allow_nan=False))
        return
    notations = run.notations
    for _, group in groupby(lines, key=lambda line: (line.file, line.individual.id)):
        first, *rest = group
        where = f"{first.file}: " if first.file else ""
        out.print(Text(where + _heading(first.individual, first.parent, notations), style="bold"))
        for line in (first, *rest):
            out.print(Text.assemble((f"{line.line:6} ", "dim"), line.text))


def _heading(one: Child, parent: Child, notations: Notations) -> str:
    how = "; ".join(
        f"{s.operator} of {s.address} ({s.intent}"
        f"{f', {s.persona}' if s.persona not in ('', 'none') else ', no persona'})"
        for s in one.steps
    )
    return f"{one.id} from {parent.id}: {how}. {_effect(one, parent, notations)}"


def _effect(one: Child, parent: Child, notations: Notations) -> str:
    changes = _changes(one, parent)
    if not changes:
        return "Not scored."
    told = (
        f"{name} {notations.get(name, PLAIN).value(old)} to {notations.get(name, PLAIN).measured(new)}"
        for name, (old, new) in changes.items()
    )
    return ", ".join(told) + "."


def _changes(one: Child, parent: Child) -> dict[str, tuple[float, float]]:
    return {
        name: (parent.objectives[name], new)
        for name, new in one.objectives.items()
        if name in parent.objectives
    }


def _record(line: Origin) -> dict[str, Any]:
    one = line.individual
    return {
        **({"file": line.file} if line.file else {}),
        "line": line.line,
        "text": line.text,
        "individual": one.id,
        "parent": line.parent.id,
        "operators": [s.operator for s in one.steps],
        "personas": [s.persona for s in one.steps],
        "intents": [s.intent for s in one.steps],
        "objectives": {
            name: {"before": old, "after": new} for name, (old, new) in _changes(one, line.parent).items()
        },
    }
