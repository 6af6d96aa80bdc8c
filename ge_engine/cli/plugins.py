"""`ge plugins`: what is installed, where it came from, and what it registers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

import typer
from rich.table import Table

from ge_engine.cli.console import out
from ge_engine.cli.options import BlockedPlugins, PluginModules
from ge_engine.registry import REGISTERING, load_registry


def plugins(
    plugin: PluginModules = None,
    no_plugin: BlockedPlugins = None,
    names: Annotated[bool, typer.Option("--names", help="Also list every registered name.")] = False,
) -> None:
    """List the plugins: name, version, origin and hooks.

    Example: ge plugins --names
    """
    registry = load_registry(plugin or (), no_plugin or ())
    table = Table(box=None, header_style="bold", pad_edge=False)
    for column in ("plugin", "version", "from", "hooks"):
        table.add_column(column)
    for origin in registry.origins:
        source = origin.distribution or "--plugin"
        table.add_row(
            origin.name, origin.version or "-", f"{source} ({origin.module})", ", ".join(origin.hooks)
        )
    out.print(table)
    if names:
        _print_names(registry.owners)


def _print_names(owners: Mapping[tuple[str, str], str]) -> None:
    table = Table(box=None, header_style="bold", pad_edge=False)
    for column in ("hook", "name", "plugin"):
        table.add_column(column)
    for (hook, name), owner in sorted(
        owners.items(), key=lambda item: (REGISTERING.index(item[0][0]), item[0][1])
    ):
        table.add_row(hook, name, owner)
    out.print()
    out.print(table)
