"""`ge ablate`: what each part of the method is worth, under equal budgets."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.text import Text

from ge_engine import api
from ge_engine.cli import completion
from ge_engine.cli import options as o
from ge_engine.views.console import err, out, print_table, table_of
from ge_engine.views.live import begun, line_of

POINTS = 5
TOLD = ("run_started", "generation_finished", "stopping", "remark")


@o.settings_as_flags(
    *("task", "skip_broken", "entry", "blocks", "objectives"),
    *("llm", "llm_url", "llm_key_env", "llm_extra", "llm_timeout", "llm_deadline", "llm_parallel"),
    *("generations", "population", "random_seed", "max_evaluations"),
    *("epochs", "batch_size", "lr", "train_limit", "image_size", "channels", "timeout", "workers"),
)
def ablate(
    seed_file: o.SeedFile,
    folder: Annotated[
        Path, typer.Option("--run", metavar="DIR", help="Where the runs go; finished ones stay.")
    ],
    arms: Annotated[
        str,
        typer.Option(metavar="A,B,...", help=f"Of {', '.join(api.ARMS)}.", autocompletion=completion.arms),
    ] = "full,no-eot,uniform",
    repeats: Annotated[int, typer.Option(help="Runs of each arm, with consecutive random seeds.")] = 3,
    preset: o.Preset = "demo",
    config: o.ConfigFile = None,
    *,
    plugin: o.PluginModules = None,
    no_plugin: o.BlockedPlugins = None,
    allow_changes: o.AllowChanges = False,
    **flags: Any,
) -> None:
    """Run arms of the method under equal budgets; print hypervolume over evaluations and a rank test.

    Example: ge ablate model.py --arms full,no-eot --repeats 5 --run runs/ablation
    """
    result = api.ablate(
        seed_file,
        folder,
        [name.strip() for name in arms.split(",") if name.strip()],
        repeats,
        preset=preset,
        config=config,
        plugins=plugin or (),
        no_plugins=no_plugin or (),
        observe=tell,
        allow_changes=allow_changes,
        **o.chosen_settings(flags),
    )
    print_arms(result)


def tell(arm: str, repeat: int, event: str, data: Mapping[str, Any]) -> None:
    """A line of an arm's run, which is called as its folder is."""
    line = _line_of(event, data) if event in TOLD else None
    if line is not None:
        err.print(Text.assemble((f"{arm}-{repeat}: ", "bold"), line))


def _line_of(event: str, data: Mapping[str, Any]) -> Text | None:
    """As of any run, but an arm's start tells no number of generations: it ends by its evaluations."""
    return begun(data) if event == "run_started" else line_of(event, data)


def print_arms(arms: list[api.Arm]) -> None:
    """One row per arm: mean hypervolume after some evaluations, the end with its spread, the verdict."""
    longest = min(len(trace) for arm in arms for trace in arm.traces)
    counts = sorted({max(1, round(longest * (i + 1) / POINTS)) for i in range(POINTS)})
    figures = [*(f"after {count}" for count in counts), "end", "spread", "repeats"]
    table = table_of("arm", right=figures, after=f"against {arms[0].name}")
    for arm in arms:
        means = [sum(trace[count - 1] for trace in arm.traces) / len(arm.traces) for count in counts]
        cells = [f"{value:.3f}" for value in (*means, arm.mean, arm.spread)]
        table.add_row(arm.name, *cells, str(len(arm.traces)), arm.verdict)
    out.print(
        "hypervolume (0 to 1, of the box around all that was scored) over evaluations, the baseline's first"
    )
    print_table(table)
    if short := api.too_few(arms):
        out.print(
            f"So few repeats cannot show a difference: the test gives p = {short[0]:.2f} at least. "
            f"Take --repeats {short[1]} or more."
        )
