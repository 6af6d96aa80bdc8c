"""`ge compare`: runs side by side."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.text import Text

from ge_engine.api import Comparison, comparison_page
from ge_engine.api import compare as compare_runs
from ge_engine.cli.figures import LEGEND, figure, row
from ge_engine.notation import front_title
from ge_engine.population import Individual
from ge_engine.views.console import err, out, print_table, table_of

LONGEST = 40
"""Characters of a setting that are shown."""


def compare(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN...", help="The runs' folders.")],
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
    page: Annotated[
        Path | None,
        typer.Option("--html", metavar="FILE", help="Also write it as a page with fronts and curves drawn."),
    ] = None,
) -> None:
    """Show runs side by side: verdicts, hypervolumes, one Pareto front of all, and what was set differently.

    Examples:

      ge compare runs/uniform runs/smollm2

      ge compare runs/uniform runs/smollm2 --html both.html
    """
    found = compare_runs(*runs)
    if page is not None:
        err.print(Text(f"wrote {comparison_page(found, page)}"))
    if as_json:
        typer.echo(json.dumps(_as_data(found), allow_nan=False))
        return
    if found.warning:
        out.print(Text(f"{found.warning}\n", style="yellow"))
    _print_runs(found)
    _print_front(found)
    _print_differences(found)


def _print_runs(found: Comparison) -> None:
    names = list(found.notations)
    baselines = [f"baseline {found.notations[name].title(name)}" for name in names]
    table = table_of("run", right=(*baselines, "scored", "hypervolume", "tokens"), after="verdict")
    for one in found.runs:
        cells = [figure(name, found.notations[name], one.seed) for name in names]
        counts = [f"{one.scored} of {one.children}", f"{one.hypervolume:.3f}", f"{sum(one.tokens):,}"]
        table.add_row(Text(str(one.folder), style="bold"), *cells, *counts, Text(one.verdict))
    print_table(table)
    out.print(Text("hypervolume: 0 to 1, of the box around all that was scored in these runs", style="dim"))
    out.print()


def _print_front(found: Comparison) -> None:
    runs = {one.folder: one for one in found.runs}
    figures = [column for name, how in found.notations.items() for column in (how.title(name), "")]
    table = table_of(f"{front_title(found.directions)} of all", right=figures)
    for folder, one in found.front:
        run = runs[folder]
        cells = row(one, run.seed, found.notations, found.directions, run.tolerances)
        table.add_row(f"{folder}:{one.id}", *cells)
    print_table(table)
    out.print(Text(f"{LEGEND} of the same run", style="dim"))


def _print_differences(found: Comparison) -> None:
    if not found.differences:
        return
    out.print()
    table = table_of("set differently", *(str(one.folder) for one in found.runs))
    for name, values in found.differences.items():
        table.add_row(name, *(Text(_short(value)) for value in values))
    print_table(table)


def _short(value: Any) -> str:
    text = ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]} ..."


def _as_data(found: Comparison) -> dict[str, Any]:
    return {
        "directions": dict(found.directions),
        "warning": found.warning,
        "runs": [
            {
                "run": str(one.folder),
                "baseline": _scores(one.seed),
                "best": {"id": one.best.id, **_scores(one.best)} if one.best else None,
                "children": one.children,
                "scored": one.scored,
                "hypervolume": one.hypervolume,
                "tokens": dict(zip(("input", "output"), one.tokens, strict=True)),
                "verdict": one.verdict,
                "stopped_because": one.stopped_because,
            }
            for one in found.runs
        ],
        "front": [{"run": str(folder), "id": one.id, **_scores(one)} for folder, one in found.front],
        "differences": {name: list(values) for name, values in found.differences.items()},
    }


def _scores(one: Individual) -> dict[str, Any]:
    return {"objectives": dict(one.objectives), "errors": dict(one.errors)}
