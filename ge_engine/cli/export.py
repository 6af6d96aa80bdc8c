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
    header: Annotated[
        bool, typer.Option(help="Put a comment on top that says where the file came from.")
    ] = True,
) -> None:
    """Write an individual as a Python file.

    Example: ge export runs/demo:g1s3 -o better.py
    """
    folder, identity = split_reference(individual)
    Run(folder).export(identity, output, force=force, header=header)
    out.print(f"wrote {output}")
