"""`ge plugins`: what is installed, where it came from, what it registers and what a run would use."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ge_engine import api
from ge_engine.cli.completion import presets
from ge_engine.cli.options import BlockedPlugins, PluginModules
from ge_engine.config import PRESETS
from ge_engine.views.console import out, print_table, table_of


def plugins(
    plugin: PluginModules = None,
    no_plugin: BlockedPlugins = None,
    names: Annotated[bool, typer.Option("--names", help="Also list every registered name.")] = False,
    preset: Annotated[
        str, typer.Option(help=f"The run's preset: {', '.join(PRESETS)}.", autocompletion=presets)
    ] = "demo",
    config: Annotated[Path | None, typer.Option(metavar="FILE", help="The run's settings in TOML.")] = None,
) -> None:
    """List the plugins: name, version, origin, hooks, and what a run of `--preset` and `--config` would use.

    Example: ge plugins --names --preset paper
    """
    found = api.plugins(plugin or (), no_plugin or (), preset=preset, config=config)
    _print_plugins(found)
    if names:
        out.print()
        _print_names(found)


def _print_plugins(found: api.Plugins) -> None:
    table = table_of("plugin", "version", "from", "hooks", "a run uses")
    for origin in found.origins:
        mine = sorted(pair[1] for pair in found.used if found.owners[pair] == origin.name)
        where = f"{origin.distribution or '--plugin'} ({origin.module})"
        table.add_row(
            origin.name, origin.version or "-", where, ", ".join(origin.hooks), ", ".join(mine) or "-"
        )
    print_table(table)


def _print_names(found: api.Plugins) -> None:
    table = table_of("used", "hook", "name", "plugin")
    for pair, owner in found.owners.items():
        table.add_row("*" if pair in found.used else "", *pair, owner)
    print_table(table)
