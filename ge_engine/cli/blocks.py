"""`ge blocks`: the addresses of a file, which can be evolved, and which are ever executed."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.text import Text

from ge_engine import api
from ge_engine.api import Block
from ge_engine.cli.options import BlockedPlugins, PluginModules
from ge_engine.cli.profile import print_profile, profile_records
from ge_engine.contracts import Probe
from ge_engine.errors import ConfigError, OtherInputError, SeedError
from ge_engine.views.console import err, out, print_error, print_table, table_of

WITHOUT_RUNNING = "With --static the blocks are listed without running the model."


@dataclass(frozen=True, slots=True)
class Row:
    """What is printed of a block; `live`, whether it is executed, is None where nobody ran it."""

    address: str
    kind: str
    first: int
    last: int
    evolvable: bool
    reason: str
    live: bool | None
    chosen: bool


def blocks(
    seed_file: Annotated[Path, typer.Argument(metavar="FILE", help="A PyTorch model file.")],
    patterns: Annotated[
        list[str] | None,
        typer.Option("--blocks", metavar="PATTERN", help="Only these; globs, ! excludes (repeatable)."),
    ] = None,
    task: Annotated[str | None, typer.Option(metavar="NAME[:ARG]", help="The data to run it on.")] = None,
    entry: Annotated[str | None, typer.Option(help="What builds the model.")] = None,
    also: Annotated[
        list[str] | None, typer.Option("--also", metavar="FILE", help="This file, too (repeatable).")
    ] = None,
    package: Annotated[bool, typer.Option("--package", help="Its package's files, too.")] = False,
    static: Annotated[
        bool, typer.Option("--static", help="Do not run the file; which blocks are executed is not told.")
    ] = False,
    profile: Annotated[
        bool,
        typer.Option(
            "--profile", help="Also each module's shapes, parameters and FLOPs, and each block's sums."
        ),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object per line.")] = False,
    plugin: PluginModules = None,
    no_plugin: BlockedPlugins = None,
) -> None:
    """List the blocks of a file: executed or unused, and why a block cannot be evolved.

    A block is executed when building the model or one step of training runs it. The others are unused, and
    are evolved only where `ge evolve` is given --unused-blocks.

    Examples:

      ge blocks model.py --blocks 'Net*' --blocks '!*.__init__'

      ge blocks net.py --package --profile
    """
    if profile and static:
        raise ConfigError("--profile needs what --static leaves out: a run of the model.", "Leave one out.")
    seed = api.seed_model(seed_file, entry=entry or "", also=also or (), package=package)
    everything = api.blocks(seed)
    chosen = frozenset(api.blocks(seed, patterns or "*"))
    seen: Probe | None = None
    if not static:
        settings: Any = {"task": task, "entry": entry}
        try:
            seen = api.probe(seed, plugins=plugin or (), no_plugins=no_plugin or (), **settings)
        except SeedError as error:
            if profile:
                raise
            _print_unknown(error)
    executed = seen.executed if seen else None
    rows = [_row(block, chosen, executed) for block in everything.values()]
    if as_json:
        for row in rows:
            typer.echo(json.dumps(asdict(row)))
        for record in profile_records(seen.modules) if seen and profile else ():
            typer.echo(json.dumps(record))
        return
    _print_table(rows)
    if seen and profile:
        out.print()
        print_profile(seen.modules)


def _print_unknown(error: SeedError) -> None:
    """Why nothing is live or dead. A model of another kind is no mistake, and its list of blocks is right."""
    if isinstance(error, OtherInputError):
        err.print(Text(f"live and dead are unknown. {error.hint} {WITHOUT_RUNNING}", style="dim"))
        return
    err.print("which blocks are executed is unknown, because one step of training fails:")
    print_error(SeedError(error.message, f"{error.hint} {WITHOUT_RUNNING}".lstrip()))


def _row(block: Block, chosen: frozenset[str], executed: frozenset[str] | None) -> Row:
    live = None if executed is None else block.address in executed
    first, last = block.lines
    return Row(
        block.address, block.kind, first, last, not block.reason, block.reason, live, block.address in chosen
    )


def _print_table(rows: list[Row]) -> None:
    table = table_of("block", "kind", "lines", "use", "")
    states = {True: Text("executed", style="green"), False: Text("unused", style="dim"), None: Text("")}
    for row in rows:
        address = Text(row.address, style="" if row.chosen else "dim")
        note = row.reason or ("" if row.chosen else "left out by --blocks")
        table.add_row(
            address, row.kind, f"{row.first}-{row.last}", states[row.live], Text(note, style="yellow")
        )
    print_table(table)
