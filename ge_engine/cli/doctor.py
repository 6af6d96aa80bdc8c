"""`ge doctor`: what this installation has, and what is missing."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.text import Text

from ge_engine.api import findings
from ge_engine.views.console import out

STYLE = {"ok": "green", "note": "yellow", "missing": "red"}


def doctor(
    llm_url: Annotated[
        list[str] | None,
        typer.Option(metavar="URL", help="Also see whether this server can answer (repeatable)."),
    ] = None,
) -> None:
    """Show versions, device, model cache and sandbox; exit code 1 when something is missing.

    Examples:

      ge doctor

      ge doctor --llm-url http://gpu1:8000/v1 --llm-url http://gpu2:8000/v1
    """
    found = findings(llm_url or ())
    for state, name, value in found:
        out.print(Text.assemble((f"{state:8}", STYLE[state]), (f"{name:14}", "bold"), value))
    if any(state == "missing" for state, _, _ in found):
        raise typer.Exit(1)
