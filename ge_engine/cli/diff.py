"""`ge diff`: what changed between two files or individuals, block by block."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated

import typer
from rich.text import Text

from ge_engine import api
from ge_engine.changes import to_json
from ge_engine.cli.changes import print_changes, print_lines, print_parameters, print_stat, print_words
from ge_engine.cli.completion import individuals
from ge_engine.cli.options import BlockedPlugins, PluginModules
from ge_engine.errors import SeedError
from ge_engine.notation import written
from ge_engine.runs.references import Side, sides_of
from ge_engine.views.console import err, out


def diff(
    a: Annotated[
        str,
        typer.Argument(
            metavar="A", help="A file, folder, RUN:ID or REVISION:FILE.", autocompletion=individuals
        ),
    ],
    b: Annotated[
        str | None,
        typer.Argument(
            metavar="[B]", help="A file, folder, RUN:ID or REVISION:FILE.", autocompletion=individuals
        ),
    ] = None,
    stat: Annotated[bool, typer.Option("--stat", help="Only count lines, block by block.")] = False,
    word: Annotated[bool, typer.Option("--word", help="Mark changed words within the whole block.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="The changes as JSON.")] = False,
    static: Annotated[bool, typer.Option("--static", help="With --stat: run nothing.")] = False,
    plugin: PluginModules = None,
    no_plugin: BlockedPlugins = None,
) -> None:
    """Compare two files or individuals block by block: exit code 0 when equal, 1 when they differ.

    A lone RUN:ID is compared with its seed model. REVISION:FILE is what git show takes. --stat builds both
    models in an isolated process to count the parameters of their classes; what cannot be built is left out.

    Examples:

      ge diff runs/demo:g1s3

      ge diff old.py new.py --stat

      ge diff HEAD~1:model.py model.py
    """
    before, after = sides_of(a, b)
    changes = api.diff(before.genome, after.genome)
    if as_json:
        typer.echo(json.dumps({**_as_data(before, after), "changes": to_json(changes)}, indent=2))
    elif stat:
        _print_figures(before, after)
        print_stat(changes)
        if changes and not static:
            print_parameters(*(_parameters(side, plugin or [], no_plugin or []) for side in (before, after)))
    else:
        _print_figures(before, after)
        print_changes(changes, print_words if word else print_lines)
    if changes:
        raise typer.Exit(1)


def _as_data(before: Side, after: Side) -> dict[str, object]:
    """What the sides are called, and the scores of those that are individuals."""
    sides = {"a": before, "b": after}
    scores = {
        f"{name}_scores": {"objectives": dict(one.objectives), "errors": dict(one.errors)}
        for name, side in sides.items()
        if (one := side.scored)
    }
    return {**{name: side.label for name, side in sides.items()}, **scores}


def _print_figures(*sides: Side) -> None:
    """The scores of those that are individuals."""
    for side in sides:
        if one := side.scored:
            figures = written(one.objectives, side.notations, one.errors)
            out.print(Text(f"{side.label}  {figures}", style="dim"))


def _parameters(side: Side, plugins: list[str], no_plugins: list[str]) -> Mapping[str, int]:
    """Empty, with a word on standard error, where the model cannot be built."""
    try:
        return api.class_parameters(side, plugins=plugins, no_plugins=no_plugins)
    except SeedError as error:
        err.print(Text(f"no parameter counts of {side.label}: {error.message}", style="yellow"))
        return {}
