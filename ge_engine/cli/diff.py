"""`ge diff`: what changed between two files or individuals, block by block."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from ge_engine.cli.changes import print_changes, print_lines, print_stat, print_words
from ge_engine.cli.refs import Side, is_individual, load_side, load_with_seed
from ge_engine.changes import diff_genomes, to_json
from ge_engine.errors import ConfigError


def diff(
    a: Annotated[str, typer.Argument(metavar="A", help="A file or RUN:ID.")],
    b: Annotated[str | None, typer.Argument(metavar="[B]", help="A file or RUN:ID.")] = None,
    stat: Annotated[bool, typer.Option("--stat", help="Only count lines, block by block.")] = False,
    word: Annotated[bool, typer.Option("--word", help="Mark changed words within the whole block.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="The changes as JSON.")] = False,
) -> None:
    """Compare two files or individuals block by block: exit code 0 when equal, 1 when they differ.

    A lone RUN:ID is compared with its seed.

    Examples:

      ge diff runs/demo:g1s3

      ge diff old.py new.py --stat
    """
    before, after = _sides(a, b)
    changes = diff_genomes(before.genome, after.genome)
    if as_json:
        typer.echo(json.dumps({"a": before.label, "b": after.label, "changes": to_json(changes)}, indent=2))
    elif stat:
        print_stat(changes)
    else:
        print_changes(changes, print_words if word else print_lines)
    if changes:
        raise typer.Exit(1)


def _sides(a: str, b: str | None) -> tuple[Side, Side]:
    if b is not None:
        return load_side(a), load_side(b)
    if is_individual(a):
        return load_with_seed(a)
    raise ConfigError(f"There is nothing to compare {a} with.", "Name a second file, or RUN:ID alone.")
