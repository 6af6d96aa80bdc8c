"""`ge init`: the settings of a run as a file to begin with."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.text import Text

from ge_engine import api
from ge_engine.cli import options as o
from ge_engine.views.console import command_line, out


@o.settings_as_flags()
def init(
    seed_file: o.SeedFile,
    preset: o.Preset = "demo",
    config: o.ConfigFile = None,
    *,
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FILE", help="The file to write.")] = Path(
        "ge.toml"
    ),
    force: Annotated[bool, typer.Option("--force", help="Overwrite the file.")] = False,
    **flags: Any,
) -> None:
    """Write the settings of a run as a TOML file that explains each.

    Examples:

      ge init model.py

      ge init model.py --task folder:images.zip --epochs 8 -o mine.toml
    """
    chosen = o.chosen_settings(flags)
    written = api.settings_file(seed_file, output, preset=preset, config=config, force=force, **chosen)
    out.print(Text(f"{written} is written. Begin with it:"))
    out.print(Text(command_line("evolve", seed_file, "--config", written), style="cyan"))
