"""`ge rescore`: the finalists of a run that has ended, trained again with further seeds."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ge_engine import loop as engine
from ge_engine.cli import options as o
from ge_engine.cli.summary import print_summary
from ge_engine.cli.view import open_view
from ge_engine.ledger import History
from ge_engine.registry import load_registry
from ge_engine.search.rescoring import OwnSettings


def rescore(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="The run's folder.")],
    seeds: Annotated[int, typer.Option("--seeds", min=1, help="Further seeds for each finalist.")] = 3,
    evaluator: o.EvaluatorName = None,
    command: o.Command = None,
    sandbox: o.Sandbox = None,
    workers: o.Workers = None,
    plugin: o.PluginModules = None,
    no_plugin: o.BlockedPlugins = None,
    allow_changes: o.AllowChanges = False,
) -> None:
    """Train the Pareto front and the seed model again, and show mean and spread.

    A program or function that scores the run (--command, --evaluator) has to be given again: what a run's
    folder names is not started by itself.

    Example: ge rescore runs/demo --seeds 3
    """
    registry = load_registry(plugin or (), no_plugin or ())
    name, argument = o.evaluator_of(evaluator, command)
    own = OwnSettings(name or "train", argument, sandbox or "auto", workers)
    with History(run) as history:
        config = history.config
    with open_view(run, config) as view:
        engine.rescore(run, seeds, registry, view.observe, own, allow_changes=allow_changes)
    print_summary(run)
