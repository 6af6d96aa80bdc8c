"""`ge log`: what happened in a run."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from itertools import groupby, islice
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from ge_engine.api import Listed, Run, open_run
from ge_engine.cli.learning import print_still_rising
from ge_engine.cli.rescored import print_rescored
from ge_engine.cli.stats import print_stats, print_stats_as_json
from ge_engine.notation import Notations
from ge_engine.outcome import counted_rejections
from ge_engine.population import SEED_ID, Child
from ge_engine.views.console import command_line, one_line, out, print_table
from ge_engine.views.outcomes import describe

POLL_SECONDS = 1.0
LONGEST_TABLE = 2000
"""Rows of a table, which has to see all of them to set its columns. Of a larger run each individual is a line
of its own as soon as it is read."""
LONGEST_LINE = 400


def log(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="The run's folder.")],
    front: Annotated[bool, typer.Option("--front", help="Only the Pareto front.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object per line.")] = False,
    stats: Annotated[
        bool, typer.Option("--stats", help="What worked: operators, mutation types, ...")
    ] = False,
    check: Annotated[
        bool, typer.Option("--check", help="Verify the whole run database; exit code 1 on faults.")
    ] = False,
    follow: Annotated[
        bool, typer.Option("--follow", help="Keep printing while the run is going on.")
    ] = False,
) -> None:
    """List every individual of a run with what became of it.

    Examples:

      ge log runs/demo --front

      ge log runs/demo --stats --json
    """
    opened = open_run(run)
    if check:
        _check(opened)
    elif follow:
        notations = opened.notations
        for one in _arriving(opened):
            out.print(Text.assemble(f"{one.id:8} ", _how(one), "  ", describe(one, notations)))
    elif not as_json and not opened.size:
        _print_unscored(opened)
    elif stats:
        (print_stats_as_json if as_json else print_stats)(opened)
    elif as_json:
        for record in opened.records(opened.front if front else opened.individuals):
            typer.echo(json.dumps(record, allow_nan=False))
    else:
        if front or opened.size <= LONGEST_TABLE:
            _print_table(opened, front)
        else:
            _print_lines(opened)
        _print_moves(opened)
        for part in opened.parts:
            out.print(Text(part))
        out.print()
        print_rescored(opened)
        out.print(Text(opened.verdict.sentence))
        print_still_rising(opened)
        _print_summary(opened)


def _print_unscored(run: Run) -> None:
    """What a run came to that has not even its baseline."""
    out.print("The baseline has no score yet. Unless the run is going on, resume it:")
    out.print(Text(command_line("resume", run.folder), style="cyan"), soft_wrap=True)


def _check(run: Run) -> None:
    faults = run.check()
    for fault in faults:
        out.print(Text(fault, style="red"))
    out.print(Text(f"{len(faults)} faults" if faults else "the run database is sound"))
    if faults:
        raise typer.Exit(1)


def _arriving(run: Run) -> Iterator[Child]:
    """Individuals as their outcomes come, until the run ends. Ctrl-C ends it, too."""
    told: set[str] = set()
    while True:
        ended = bool(run.stopped_because)
        fresh = [one for one in run.individuals if one.outcome is not None and one.id not in told]
        yield from fresh
        told.update(one.id for one in fresh)
        if ended:
            return
        time.sleep(POLL_SECONDS)


def _how(one: Child | Listed) -> str:
    return "+".join(f"{s.operator}:{s.intent} {s.address}".rstrip() for s in one.steps)


def _print_lines(run: Run) -> None:
    """What the table tells, without its columns, in parts that are quick to print."""
    best, notations, islands = {one.id for one in run.front}, run.notations, run.config.islands > 1
    lines = (_line(one, one.id in best, islands, notations) for one in run.listed())
    while some := list(islice(lines, LONGEST_TABLE)):
        typer.echo("\n".join(some))


def _line(one: Listed, best: bool, islands: bool, notations: Notations) -> str:
    island = f"island {one.island}" if islands and one.id != SEED_ID else ""
    told = (", ".join(one.parents), island, _how(one), describe(one, notations).plain)
    shown = (one_line(part, LONGEST_LINE) for part in told if part)
    return "  ".join((f"{'*' if best else ' '} {one.id:8}", *shown))


def _print_table(run: Run, front_alone: bool) -> None:
    """The island that each was generated on is a column of its own where there are several."""
    front, notations, islands = run.front, run.notations, run.config.islands > 1
    best = {one.id for one in front}
    table = Table(box=None, header_style="bold", pad_edge=False)
    for column in ("", "id", *(["island"] if islands else []), "parents", "operator", "block", "outcome"):
        table.add_column(column, no_wrap=column not in ("operator", "block", "outcome"))
    for one in front if front_alone else run.listed():
        operators = "+".join(f"{s.operator}:{s.intent}" for s in one.steps)
        blocks = ", ".join(dict.fromkeys(address for step in one.steps for address in step.addresses))
        mark = Text("*" if one.id in best else "", style="bold green")
        island = [] if not islands else ["" if one.id == SEED_ID else str(one.island)]
        table.add_row(
            mark, one.id, *island, ", ".join(one.parents), operators, blocks, describe(one, notations)
        )
    print_table(table)


def _print_moves(run: Run) -> None:
    for generation, moves in groupby(run.moves, key=lambda pair: pair[0]):
        told = ", ".join(f"{move.id} from island {move.source} to {move.target}" for _, move in moves)
        out.print(f"migrated after generation {generation}: {told}")


def _print_summary(run: Run) -> None:
    rejected = run.rejections
    prompt, completion = run.tokens
    if rejected:
        out.print(", ".join(counted_rejections(count, stage) for stage, count in rejected.items()))
    out.print(f"tokens: {prompt:,} input, {completion:,} output")
    out.print(run.stopped_because or "not finished; rerun the same `ge evolve` command to resume")
