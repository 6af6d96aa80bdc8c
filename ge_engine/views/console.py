"""Where the commands print: results to standard output, everything else to standard error."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import sys
import unicodedata
from collections.abc import Iterable
from io import TextIOWrapper
from pathlib import Path
from typing import Any, TextIO

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderableType
from rich.measure import Measurement
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from ge_engine.errors import GeError
from ge_engine.outcome import storable

PIPED_WIDTH = 120
UNSEEN = frozenset(("Cc", "Cf", "Cs", "Zl", "Zp"))
"""Categories of Unicode that command a terminal, turn the order of what it shows, or show nothing."""


class PlainConsole(Console):
    """A console that only the engine commands: text shows its control characters, and is never markup."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(highlight=False, markup=False, emoji=False, soft_wrap=True, **settings)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        for segment in super().render(renderable, options):
            yield segment if segment.control else Segment(visible(segment.text), segment.style)


def visible(text: str) -> str:
    """`text` in which an escape sequence, a bidirectional override or the like stands as \\x1b or \\u202e.

    Line ends and tabs stay what they are.
    """
    return re.sub(r"[^\x20-\x7e\n\t]", lambda match: _seen(match[0]), text)


def one_line(text: str, longest: int) -> str:
    """`text` as one visible line of at most `longest` characters, for what is no terminal."""
    line = visible(" ".join(storable(text).split()))
    return line if len(line) <= longest else f"{line[: longest - 3]}..."


def _seen(character: str) -> str:
    if unicodedata.category(character) not in UNSEEN:
        return character
    return character.encode("unicode_escape", "surrogatepass").decode("ascii")


def _console(stream: TextIO, *, stderr: bool) -> PlainConsole:
    if isinstance(stream, TextIOWrapper):  # what its encoding lacks is shown as \\xb1, and costs no command
        stream.reconfigure(errors="backslashreplace")
    return PlainConsole(stderr=stderr, width=None if stream.isatty() else PIPED_WIDTH)


out = _console(sys.stdout, stderr=False)
err = _console(sys.stderr, stderr=True)


def program() -> str:
    """How this command is called from the present shell: `ge`, or the path of the one beside this Python."""
    beside = Path(sys.executable).with_name("ge")
    if shutil.which("ge") or not beside.is_file():
        return "ge"
    return os.path.relpath(beside)


def command_line(*words: object) -> str:
    """`ge` with `words`, as the present shell takes it: to be copied as it stands."""
    return shlex.join([program(), *map(str, words)])


def table_of(*left: str, right: Iterable[str] = (), after: str | None = None) -> Table:
    """A table without lines: its columns stand to the left, then to the `right`, then one `after` them."""
    table = Table(box=None, header_style="bold", pad_edge=False)
    for name in left:
        table.add_column(name, overflow="fold")
    for name in right:
        table.add_column(name, justify="right", no_wrap=True)
    if after is not None:
        table.add_column(after, overflow="fold")
    return table


def print_table(table: Table) -> None:
    """A table; where no terminal shows it, without the spaces that fill its last column. A terminal that is
    too narrow for its figures breaks its lines: fitted, it would lose digits or whole columns."""
    if out.is_terminal:
        wide = PlainConsole(width=PIPED_WIDTH)
        (out if _least_width(table, wide) <= out.width else wide).print(table)
        return
    with out.capture() as held:
        out.print(table)
    out.print(Text("\n".join(line.rstrip() for line in held.get().splitlines())))


def _least_width(table: Table, console: Console) -> int:
    """The columns of a terminal that show each figure in one line."""
    for column in table.columns:
        if column.no_wrap:
            column.min_width = max(cell_len(str(cell)) for cell in (column.header, *column.cells))
    return Measurement.get(console, console.options, table).minimum


def print_error(error: GeError) -> None:
    """One message, and the next step where there is one. Text of the error is never markup."""
    err.print(Text.assemble(("error: ", "bold red"), error.message))
    if error.hint:
        err.print(Text.assemble(("  try: ", "bold"), error.hint))
