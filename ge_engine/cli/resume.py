"""`ge resume`: resumes a run with what its folder holds."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from ge_engine import api
from ge_engine.cli import options as o
from ge_engine.cli.ended import AsJson, carry_out
from ge_engine.config import changeable, settings
from ge_engine.views.console import command_line


@o.settings_as_flags(
    *(settings()[name].key for name in sorted(changeable())), "evaluator", "command", "llm_url"
)
def resume(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="The run's folder.")],
    *,
    plugin: o.PluginModules = None,
    no_plugin: o.BlockedPlugins = None,
    allow_changes: o.AllowChanges = False,
    as_json: AsJson = False,
    **flags: Any,
) -> None:
    """Resume a run with what its folder holds: seed model and settings.

    A program or function that scores the run, and a language model with an address or a path, have to be
    given again: what a run's folder names is neither started nor reached by itself.

    Examples:

      ge resume runs/demo

      ge resume runs/demo --generations 10
    """
    work = partial(
        api.resume,
        run,
        plugins=plugin or (),
        no_plugins=no_plugin or (),
        allow_changes=allow_changes,
        **o.chosen_settings(flags),
    )
    carry_out(work, f"`{command_line('resume', run)}` goes on with it.", as_json)
