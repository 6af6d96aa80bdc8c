"""`ge git-diff`: git's differences block by block, as its external diff driver."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.text import Text

from ge_engine.cli.changes import print_changes, print_diff_line
from ge_engine.runs.external_diff import GivenDiff
from ge_engine.views.console import out


def git_diff(
    words: Annotated[
        list[str],
        typer.Argument(metavar="PATH OLD HEX MODE NEW HEX MODE", help="What git gives, also of a rename."),
    ],
) -> None:
    """Show git's differences block by block: git calls this as its external diff driver.

    Other files than Python's, those that are new or gone, and those that cannot be cut into blocks are shown
    line by line, as git does. To set it up: git config diff.ge.command "ge git-diff --", and the line
    "*.py diff=ge" in .gitattributes.

    Example: ge git-diff -- model.py old.py 0 100644 new.py 0 100644
    """
    given = GivenDiff.of(words)
    for line in given.header():
        out.print(Text(line, style="bold"))
    changes = given.blocks()
    print_changes(changes)
    for line in () if changes else given.lines():
        print_diff_line(line)
