"""`ge rescore`: the finalists of a run that has ended, trained again with further random seeds."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ge_engine.api import open_run, shown
from ge_engine.cli import options as o
from ge_engine.cli.summary import print_summary
from ge_engine.views.console import err


def rescore(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="The run's folder.")],
    seeds: Annotated[
        int | None,
        typer.Option(
            min=1, help="Further random seeds for each finalist.", show_default="3; 1 with --epochs"
        ),
    ] = None,
    epochs: Annotated[
        int | None, typer.Option(min=1, help="Train for longer than the run did: so many epochs.")
    ] = None,
    evaluator: Annotated[str | None, o.plain("evaluator")] = None,
    command: o.Command = None,
    project: Annotated[str | None, o.plain("project")] = None,
    sandbox: Annotated[str | None, o.plain("sandbox")] = None,
    workers: Annotated[int | None, o.plain("workers")] = None,
    plugin: o.PluginModules = None,
    no_plugin: o.BlockedPlugins = None,
    allow_changes: o.AllowChanges = False,
) -> None:
    """Train the Pareto front and the seed model again, and show mean and spread.

    With --epochs it trains for longer than the run did: whether short trainings misled.

    A program or function that scores the run (--command, --evaluator) has to be given again: what a run's
    folder names is not started by itself.

    Examples:

      ge rescore runs/demo --seeds 3

      ge rescore runs/demo --epochs 20
    """
    finished = open_run(run)
    try:
        with shown(finished, plugin or (), no_plugin or ()) as observe:
            finished.rescore(
                seeds or (1 if epochs else 3),
                observe,
                epochs=epochs or 0,
                project=project or "",
                sandbox=sandbox or "auto",
                workers=workers,
                plugins=plugin or (),
                no_plugins=no_plugin or (),
                allow_changes=allow_changes,
                **o.evaluator_of(evaluator, command),
            )
    except KeyboardInterrupt:
        err.print("Interrupted. Rerun the same command to resume.")
        raise typer.Exit(130) from None
    print_summary(finished)
