"""`ge export`: an individual as an ordinary Python file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ge_engine.api import Run
from ge_engine.cli import options as o
from ge_engine.runs.references import split_reference
from ge_engine.views.console import out


def export(
    individual: Annotated[str, o.individual("The individual to write.")],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FILE", help="Where to write it.")],
    force: Annotated[bool, typer.Option("--force", help="Overwrite an existing file.")] = False,
    weights: Annotated[
        bool,
        typer.Option("--weights", help="With the weights that the run kept, as a new folder; see ge train."),
    ] = False,
    header: Annotated[
        bool, typer.Option(help="Put a comment on top that says where the file came from.")
    ] = True,
) -> None:
    """Write an individual as a Python file, or with its weights.

    Examples:

      ge export runs/demo:g1s3 -o better.py

      ge export runs/demo:g1s3 --weights -o better
    """
    folder, identity = split_reference(individual)
    if weights:
        Run(folder).export_trained(identity, output)
        out.print(f"wrote {output}: model.py, its weights, and predict.py")
        return
    Run(folder).export(identity, output, force=force, header=header)
    out.print(f"wrote {output}")
