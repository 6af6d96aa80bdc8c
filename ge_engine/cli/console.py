"""Where the commands print: results to standard output, everything else to standard error."""

from __future__ import annotations

from rich.console import Console
from rich.text import Text

from ge_engine.errors import GeError

out = Console(highlight=False, soft_wrap=True)
err = Console(stderr=True, highlight=False, soft_wrap=True)


def print_error(error: GeError) -> None:
    """One message, and the next step where there is one. Text of the error is never markup."""
    err.print(Text.assemble(("error: ", "bold red"), error.message))
    if error.hint:
        err.print(Text.assemble(("  try: ", "bold"), error.hint))
