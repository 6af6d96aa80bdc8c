"""`ge plugin new`: an installable package to write one's own operator, persona, check and objective in."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ge_engine.api import new_plugin
from ge_engine.cli.command import Command
from ge_engine.views.console import out

plugin = typer.Typer(
    help="Write a plugin of your own.\n\nExample: ge plugin new tiny-heads", no_args_is_help=True
)


@plugin.command(cls=Command)
def new(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The plugin's name, for example tiny-heads.")],
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="DIR", help="The folder to put it in.")
    ] = Path(),
) -> None:
    """Make an installable package with an operator, a persona, a check, an objective and passing tests.

    Example: ge plugin new demo && pip install -e ./demo && pytest demo
    """
    folder = new_plugin(name, output)
    out.print(f"wrote {folder}; next:")
    out.print(f"  pip install -e ./{folder}" if not folder.is_absolute() else f"  pip install -e {folder}")
    out.print(f"  pytest {folder}")
    out.print(f"  ge evolve model.py --operators {name}")
