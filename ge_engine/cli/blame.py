"""`ge blame`: who brought in each line that differs from the seed, and what that did to the objectives."""

from __future__ import annotations

import json
from collections.abc import Mapping
from itertools import groupby
from typing import Annotated, Any

import typer
from rich.text import Text

from ge_engine.changes import Blame
from ge_engine.changes import blame as blame_lines
from ge_engine.cli.console import out
from ge_engine.cli.outcomes import number
from ge_engine.cli.refs import find_individual, require_genome, split_reference
from ge_engine.errors import LedgerError
from ge_engine.ledger import History
from ge_engine.population import SEED_ID, Child
from ge_engine.store.checked import HINT


def blame(
    individual: Annotated[str, typer.Argument(metavar="RUN:ID", help="The individual to explain.")],
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
) -> None:
    """For every line that differs from the seed: the individual, operator and persona that brought it in.

    A child keeps all of its first parent but the rewritten block; what a mating took from the second parent
    is traced back through that one.

    Example: ge blame runs/demo:g1s3
    """
    folder, identity = split_reference(individual)
    with History(folder) as history:
        family = _family(history, find_individual(history, identity))
    place = {one.id: at for at, one in enumerate(family)}
    lines = blame_lines(
        [require_genome(one) for one in family], [[place[name] for name in one.parents] for one in family]
    )
    if as_json:
        for line in lines:
            typer.echo(json.dumps(_record(line, family, place), allow_nan=False))
        return
    for index, group in groupby(lines, key=lambda line: line.index):
        one = family[index]
        out.print(Text(_origin(one, family[place[one.parents[0]]]), style="bold"))
        for line in group:
            out.print(Text.assemble((f"{line.line:6} ", "dim"), line.text))


def _family(history: History, one: Child) -> list[Child]:
    """`one` and all its ancestors, the seed first, parents before children. Raises LedgerError where a parent
    is no older than its child."""
    found = {one.id: one}
    waiting = list(one.parents)
    while waiting:
        name = waiting.pop()
        if name not in found:
            found[name] = find_individual(history, name)
            waiting += found[name].parents
    family = sorted(found.values(), key=lambda member: (member.id != SEED_ID, member.generation, member.slot))
    before: set[str] = set()
    for member in family:
        if (member.id == SEED_ID) == bool(member.parents) or not before.issuperset(member.parents):
            raise LedgerError(f"The ledger holds a damaged individual {member.id!r}: its parents.", HINT)
        before.add(member.id)
    return family


def _origin(one: Child, parent: Child) -> str:
    how = "; ".join(
        f"{s.operator} of {s.address} ({s.intent}, {'no persona' if s.persona == 'none' else s.persona})"
        for s in one.steps
    )
    return f"{one.id} from {parent.id}: {how}. {_effect(one, parent)}"


def _effect(one: Child, parent: Child) -> str:
    changes = _changes(one, parent)
    if not changes:
        return "Not scored."
    return ", ".join(f"{n} {number(n, old)} to {number(n, new)}" for n, (old, new) in changes.items()) + "."


def _changes(one: Child, parent: Child) -> dict[str, tuple[float, float]]:
    return {
        name: (parent.objectives[name], new)
        for name, new in one.objectives.items()
        if name in parent.objectives
    }


def _record(line: Blame, family: list[Child], place: Mapping[str, int]) -> dict[str, Any]:
    one = family[line.index]
    parent = family[place[one.parents[0]]]
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
