"""`ge evolve`: a new run, or an old one that is resumed."""

from __future__ import annotations

import shlex
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from ge_engine import api
from ge_engine.cli import options as o
from ge_engine.cli.ended import AsJson, carry_out

RunFolder = Annotated[
    Path | None,
    typer.Option(
        "--run", metavar="DIR", help="The run's folder; an existing run is resumed.", rich_help_panel=o.RUN
    ),
]


@o.settings_as_flags()
def evolve(
    seed_file: o.SeedFile,
    preset: o.Preset = "demo",
    config: o.ConfigFile = None,
    *,
    run: RunFolder = None,
    plugin: o.PluginModules = None,
    no_plugin: o.BlockedPlugins = None,
    allow_changes: o.AllowChanges = False,
    as_json: AsJson = False,
    **flags: Any,
) -> None:
    """Evolve the blocks of a model file and print the Pareto front.

    Examples:

      ge evolve examples/plain_cnn.py

      ge evolve model.py --task folder:images.zip --generations 5 --run runs/mine
    """
    folder = run or api.new_folder(seed_file)
    again = f"The same command goes on with it{'' if run else f', given --run {shlex.quote(str(folder))}'}."
    work = partial(
        api.evolve,
        seed_file,
        run=folder,
        preset=preset,
        config=config,
        plugins=plugin or (),
        no_plugins=no_plugin or (),
        allow_changes=allow_changes,
        **o.chosen_settings(flags),
    )
    carry_out(work, again, as_json)
