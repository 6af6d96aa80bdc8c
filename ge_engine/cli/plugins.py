"""`ge plugins`: what is installed, where it came from, what it registers and what a run would use."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ge_engine.cli.options import BlockedPlugins, PluginModules
from ge_engine.config import PRESETS, load_config
from ge_engine.registry import REGISTERING, Registry, in_use, load_registry
from ge_engine.views.console import out, print_table, table_of

Pairs = frozenset[tuple[str, str]]


def plugins(
    plugin: PluginModules = None,
    no_plugin: BlockedPlugins = None,
    names: Annotated[bool, typer.Option("--names", help="Also list every registered name.")] = False,
    preset: Annotated[str, typer.Option(help=f"The run's preset: {', '.join(PRESETS)}.")] = "demo",
    config: Annotated[Path | None, typer.Option(metavar="FILE", help="The run's settings in TOML.")] = None,
) -> None:
    """List the plugins: name, version, origin, hooks, and what a run of `--preset` and `--config` would use.

    Example: ge plugins --names --preset paper
    """
    registry = load_registry(plugin or (), no_plugin or ())
    used = in_use(registry, load_config(preset, config, {}))
    _print_plugins(registry, used)
    if names:
        out.print()
        _print_names(registry, used)


def _print_plugins(registry: Registry, used: Pairs) -> None:
    table = table_of("plugin", "version", "from", "hooks", "a run uses")
    for origin in registry.origins:
        mine = sorted(pair[1] for pair in used if registry.owners[pair] == origin.name)
        where = f"{origin.distribution or '--plugin'} ({origin.module})"
        table.add_row(
            origin.name, origin.version or "-", where, ", ".join(origin.hooks), ", ".join(mine) or "-"
        )
    print_table(table)


def _print_names(registry: Registry, used: Pairs) -> None:
    table = table_of("used", "hook", "name", "plugin")
    for pair in sorted(registry.owners, key=lambda pair: (REGISTERING.index(pair[0]), pair[1])):
        table.add_row("*" if pair in used else "", *pair, registry.owners[pair])
    print_table(table)
