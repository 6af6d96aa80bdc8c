"""`ge train`: an individual trained in full, into a folder that answers images without the engine."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from ge_engine.api import Run, TrainedModel
from ge_engine.cli import options as o
from ge_engine.notation import written
from ge_engine.runs.references import split_reference
from ge_engine.views.console import err, out
from ge_engine.views.epochs import EpochsView


def train(
    individual: Annotated[str, typer.Argument(metavar="RUN:ID", help="The individual to train.")],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="DIR", help="A new folder for it.")],
    epochs: Annotated[
        int | None, typer.Option(min=1, help="Epochs to train.", show_default="the run's")
    ] = None,
    data: Annotated[
        str, typer.Option(metavar="train|both", help="What to train on; both: the validation images, too.")
    ] = "train",
    train_limit: Annotated[
        int | None,
        typer.Option(min=0, help="Train on this many images at most; 0: all.", show_default="the run's"),
    ] = None,
    threads: Annotated[
        int | None, typer.Option(min=1, help="Cores that the training uses.", show_default="the run's")
    ] = None,
    timeout: Annotated[
        float | None,
        typer.Option(
            help="Seconds from one checkpoint to the next.", show_default="the run's, by the epochs"
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the end as one JSON object.")] = False,
    sandbox: Annotated[str | None, o.plain("sandbox")] = None,
    plugin: o.PluginModules = None,
    no_plugin: o.BlockedPlugins = None,
) -> None:
    """Train an individual in full and write it with its weights.

    A script beside them answers images. It trains as the run did, isolated as there, with checkpoints: after
    Ctrl-C or a kill the same command resumes. DIR then holds model.py (of several modules src),
    model.safetensors, preprocessing.json and predict.py, which needs no ge_engine.

    Examples:

      ge train runs/demo:g1s3 -o trained

      ge train runs/demo:g1s3 --epochs 40 --data both -o trained
    """
    folder, identity = split_reference(individual)
    try:
        trained = Run(folder).train(
            identity,
            output,
            epochs=epochs,
            data=data,
            train_limit=train_limit,
            threads=threads,
            timeout=timeout,
            observe=EpochsView().observe,
            sandbox=sandbox or "auto",
            plugins=plugin or (),
            no_plugins=no_plugin or (),
        )
    except KeyboardInterrupt:
        err.print("Interrupted. Rerun the same command to resume from the last checkpoint.")
        raise typer.Exit(130) from None
    if as_json:
        typer.echo(json.dumps(trained.as_data(), allow_nan=False))
    else:
        _print(Run(folder), trained)


def _print(run: Run, trained: TrainedModel) -> None:
    notations = run.notations
    for split, score in (("validation", trained.validation), ("test", trained.test)):
        if score is not None:
            out.print(Text(f"{split:12}{written(score.objectives, notations, score.errors)}"))
    out.print(Text(f"{trained.folder} holds the trained model. To ask it:"))
    out.print(Text(shlex.join(["python", str(trained.script), "IMAGE"]), style="cyan"))
