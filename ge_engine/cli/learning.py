"""What is said where the seed model was still learning when its training ended."""

from __future__ import annotations

import shlex

from rich.text import Text

from ge_engine.api import Run
from ge_engine.views.console import out, program


def print_still_rising(run: Run) -> None:
    """The remark, and the command that trains for longer; nothing where that was done or is uncalled for."""
    found = run.still_rising
    if found is None or run.rescored_longer:
        return
    words = [program(), "rescore", str(run.folder), "--epochs", str(2 * found.epochs)]
    out.print(Text(found.sentence, style="yellow"))
    out.print(Text(shlex.join(words), style="cyan"))
