"""`ge plugin new`: an installable package to write one's own operator, persona, check and objective in."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from ge_engine.api import new_plugin
from ge_engine.cli.command import Command, Group
from ge_engine.views.console import command_line, out

plugin = typer.Typer(
    cls=Group, help="Write a plugin of your own.\n\nExample: ge plugin new tiny-heads", no_args_is_help=True
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
    place = str(folder) if folder.is_absolute() else f"./{folder}"
    out.print(f"  {shlex.join(['pip', 'install', '-e', place])}")
    out.print(f"  {shlex.join(['pytest', str(folder)])}")
    out.print(f"  {command_line('evolve', 'model.py', '--operators', name)}")
