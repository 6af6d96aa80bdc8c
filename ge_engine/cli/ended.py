"""How `ge evolve` and `ge resume` end: a summary or JSON, and the exit code."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Annotated

import typer

from ge_engine.api import Run
from ge_engine.cli.summary import print_summary
from ge_engine.views.console import command_line, err

AsJson = Annotated[bool, typer.Option("--json", help="Print the end as one JSON object.")]


def carry_out(work: Callable[[], Run], again: str, as_json: bool) -> None:
    """Do what makes or resumes a run, and print what it came to.

    Raises:
        typer.Exit: 130 interrupted, 1 no child could be scored.
    """
    try:
        run = work()
    except KeyboardInterrupt:
        err.print(f"The run was ended at once. {again}")
        raise typer.Exit(130) from None
    if as_json:
        typer.echo(json.dumps(run.as_data(), allow_nan=False))
    else:
        print_summary(run)
    if run.interrupted:
        err.print(again)
        raise typer.Exit(130)
    if run.scored_nothing:
        err.print(f"No child could be scored. `{command_line('log', run.folder)}` tells why of each.")
        raise typer.Exit(1)
