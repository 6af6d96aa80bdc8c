"""`ge export`: an individual as an ordinary Python file, or as a patch."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from ge_engine.api import Run
from ge_engine.cli import options as o
from ge_engine.errors import ConfigError
from ge_engine.runs.references import split_reference
from ge_engine.views.console import err, out


def export(
    individual: Annotated[str, o.individual("The individual to write.")],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FILE", help="Where to write it.")],
    force: Annotated[bool, typer.Option("--force", help="Overwrite an existing file.")] = False,
    weights: Annotated[
        bool,
        typer.Option("--weights", help="With the weights that the run kept, as a new folder; see ge train."),
    ] = False,
    patch: Annotated[
        bool, typer.Option("--patch", help="What changed from the seed model, as a patch for git apply.")
    ] = False,
    header: Annotated[
        bool, typer.Option(help="Put a comment on top that says where the file came from.")
    ] = True,
) -> None:
    """Write an individual as a Python file, with its weights, or as a patch.

    Examples:

      ge export runs/demo:g1s3 -o better.py

      ge export runs/demo:g1s3 --weights -o better

      ge export runs/demo:g1s3 --patch -o better.patch
    """
    folder, identity = split_reference(individual)
    if weights and patch:
        raise ConfigError("--weights and --patch write different things.", "Give one of the two.")
    if patch:
        _write_patch(folder, identity, output, force, header)
        return
    if weights:
        Run(folder).export_trained(identity, output)
        out.print(f"wrote {output}: the model, its weights, and predict.py")
        return
    Run(folder).export(identity, output, force=force, header=header)
    out.print(f"wrote {output}")


def _write_patch(folder: Path, identity: str, output: Path, force: bool, header: bool) -> None:
    patch = Run(folder).export_patch(identity, output, force=force, header=header)
    out.print(f"wrote {output}; apply it with")
    command = ["git", "-C", str(patch.root), "apply", str(output.absolute())]
    out.print(Text(shlex.join(command), style="cyan"), soft_wrap=True)
    if not patch.fresh:
        told = f"{patch.path} is not there as the run read it: the patch may not apply."
        err.print(Text(told, style="yellow"))
