"""`ge diff`: what changed between two files or individuals, block by block."""

from __future__ import annotations

from typing import Annotated

import typer

from ge_engine.cli.changes import print_changes
from ge_engine.cli.refs import is_individual, load_side, load_with_seed
from ge_engine.diff import diff_genomes
from ge_engine.errors import ConfigError


def diff(
    a: Annotated[str, typer.Argument(metavar="A", help="A file or RUN:ID.")],
    b: Annotated[str | None, typer.Argument(metavar="[B]", help="A file or RUN:ID.")] = None,
) -> None:
    """Compare two files or individuals block by block. Exit code 1 when they differ.

    A lone RUN:ID is compared with its seed.

    Examples:

      ge diff runs/demo:g1s3

      ge diff old.py new.py
    """
    if b is not None:
        before, after = load_side(a), load_side(b)
    elif is_individual(a):
        before, after = load_with_seed(a)
    else:
        raise ConfigError(f"There is nothing to compare {a} with.", "Name a second file, or RUN:ID alone.")
    changes = diff_genomes(before.genome, after.genome)
    print_changes(changes)
    if changes:
        raise typer.Exit(1)
