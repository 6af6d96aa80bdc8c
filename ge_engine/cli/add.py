"""`ge add`: changed copies of the seed model's file as children of a run."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from ge_engine.api import Run, open_run, shown
from ge_engine.cli import options as o
from ge_engine.cli.figures import LEGEND, row
from ge_engine.population import SEED_ID, Child, Individual
from ge_engine.views.console import command_line, err, out, print_table, table_of
from ge_engine.views.outcomes import describe


def add(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="The run's folder.")],
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Changed copies of the seed model.")],
    note: Annotated[str, typer.Option(metavar="TEXT", help="What is kept with them, for example why.")] = "",
    wait: Annotated[
        bool,
        typer.Option("--wait/--no-wait", help="Wait for the scores while the run is going on."),
    ] = True,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object per file.")] = False,
    evaluator: Annotated[str | None, o.plain("evaluator")] = None,
    command: o.Command = None,
    project: Annotated[str | None, o.plain("project")] = None,
    sandbox: Annotated[str | None, o.plain("sandbox")] = None,
    workers: Annotated[int | None, o.plain("workers")] = None,
    plugin: o.PluginModules = None,
    no_plugin: o.BlockedPlugins = None,
    allow_changes: o.AllowChanges = False,
) -> None:
    """Check, train and add children that you or an agent made.

    They go into the run's population.

    A FILE is the seed model's file with other blocks, and what these need: definitions, constants, imports.
    While the run is going on, it takes them in when it begins its next generation. A program or function that
    scores the run (--command, --evaluator) has to be given again. Exit code 1 when one of them has no score.

    Examples:

      ge add runs/demo mine.py --note "wider, with a residual"

      ge add runs/demo mine.py other.py --no-wait
    """
    opened = open_run(run)
    try:
        with shown(opened, plugin or (), no_plugin or ()) as observe:
            children = opened.add(
                *files,
                note=note,
                observe=observe,
                wait=wait,
                project=project or "",
                sandbox=sandbox or "auto",
                workers=workers,
                plugins=plugin or (),
                no_plugins=no_plugin or (),
                allow_changes=allow_changes,
                **o.evaluator_of(evaluator, command),
            )
    except KeyboardInterrupt:
        err.print(
            f"Interrupted. What was added stays with the run; `{command_line('log', run)}` tells of it."
        )
        raise typer.Exit(130) from None
    if as_json:
        baseline = dict(opened.seed.objectives)
        for file, child in zip(files, children, strict=True):
            record = next(iter(opened.records([child] if child else [])), {"id": None})
            told = {**record, "file": str(file), "baseline": baseline}
            typer.echo(json.dumps(told, allow_nan=False))
    else:
        _print(opened, files, children)
    if wait and not all(child is not None and child.scored for child in children):
        raise typer.Exit(1)


def _print(run: Run, files: list[Path], children: Sequence[Child | None]) -> None:
    """The baseline's figures, then a row per file: its figures beside them, or what became of it."""
    seed, notations, directions = run.seed, run.notations, run.directions
    tolerances = run.tolerances
    figures = [column for name, how in notations.items() for column in (how.title(name), "")]
    table = table_of("", "file", right=figures, after="")
    table.add_row(SEED_ID, "", *row(seed, seed, notations, directions, tolerances), "")
    for file, child in zip(files, children, strict=True):
        if child is None:
            table.add_row("", str(file), *[""] * len(figures), "waits for the run's next generation")
        elif isinstance(child, Individual) and child.scored:
            cells = row(child, seed, notations, directions, tolerances)
            table.add_row(child.id, str(file), *cells, "")
        else:
            table.add_row(child.id, str(file), *[""] * len(figures), describe(child, notations))
    print_table(table)
    out.print(Text(LEGEND, style="dim"))
