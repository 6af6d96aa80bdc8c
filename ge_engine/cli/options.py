"""Options that several commands share."""

from __future__ import annotations

from typing import Annotated

import typer

PluginModules = Annotated[
    list[str] | None,
    typer.Option(
        "--plugin", metavar="MODULE", help="Also load this importable module as a plugin (repeatable)."
    ),
]
BlockedPlugins = Annotated[
    list[str] | None,
    typer.Option("--no-plugin", metavar="NAME", help="Leave this plugin out (repeatable)."),
]
