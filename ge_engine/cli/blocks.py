"""`ge blocks`: the addresses of a file and which of them can be evolved."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from ge_engine.blocks import Block, Seed, select_addresses
from ge_engine.cli.console import out


def blocks(
    seed_file: Annotated[Path, typer.Argument(metavar="SEED", help="A PyTorch model file.")],
    patterns: Annotated[
        list[str] | None,
        typer.Option("--blocks", metavar="PATTERN", help="Only these; globs, ! excludes (repeatable)."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
) -> None:
    """List the blocks of a file: address, kind, lines, and why a block cannot be evolved.

    Example: ge blocks examples/exquisitenet_v2.py --blocks 'DFSEB*' --blocks '!*.__init__'
    """
    genome = Seed.load(seed_file).genome
    chosen = set(select_addresses(genome, tuple(patterns or ())))
    if as_json:
        for block in genome.blocks.values():
            typer.echo(json.dumps(_record(block, block.address in chosen)))
        return
    table = Table(box=None, header_style="bold", pad_edge=False)
    for column in ("block", "kind", "lines", ""):
        table.add_column(column)
    for block in genome.blocks.values():
        note = block.reason or ("" if block.address in chosen else "left out by --blocks")
        style = "" if block.address in chosen else "dim"
        first, last = block.lines
        table.add_row(Text(block.address, style=style), block.kind, f"{first}-{last}", Text(note, style="yellow"))
    out.print(table)


def _record(block: Block, chosen: bool) -> dict[str, object]:
    return {
        "address": block.address,
        "kind": block.kind,
        "lines": list(block.lines),
        "evolvable": not block.reason,
        "reason": block.reason,
        "chosen": chosen,
    }
