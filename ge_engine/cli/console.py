"""Where the commands print: results to standard output, everything else to standard error."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from ge_engine.errors import GeError

PIPED_WIDTH = 120
out = Console(highlight=False, soft_wrap=True, width=None if sys.stdout.isatty() else PIPED_WIDTH)
err = Console(
    stderr=True, highlight=False, soft_wrap=True, width=None if sys.stderr.isatty() else PIPED_WIDTH
)


def program() -> str:
    """How this command is called from the present shell: `ge`, or the path of the one beside this Python."""
    beside = Path(sys.executable).with_name("ge")
    if shutil.which("ge") or not beside.is_file():
        return "ge"
    return os.path.relpath(beside)


def print_table(table: Table) -> None:
    """A table; where no terminal shows it, without the spaces that fill its last column."""
    if out.is_terminal:
        out.print(table)
        return
    with out.capture() as held:
        out.print(table)
    out.print(Text("\n".join(line.rstrip() for line in held.get().splitlines())))


def print_error(error: GeError) -> None:
    """One message, and the next step where there is one. Text of the error is never markup."""
    err.print(Text.assemble(("error: ", "bold red"), error.message))
    if error.hint:
        err.print(Text.assemble(("  try: ", "bold"), error.hint))
