"""`ge log --stats`: what worked in a run, as a table or as a JSON object per line."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

import typer
from rich.text import Text

from ge_engine.api import ALL, Readditions, Run
from ge_engine.notation import shown_dimension
from ge_engine.outcome import SCREEN, shown_stage
from ge_engine.views.console import out, print_table, table_of


def print_stats(run: Run) -> None:
    """A row for each operator, mutation type, ..., then what was saved, and lines added again."""
    counted = ("children", "passed checks", "scored", "better", "success", "hypervolume gain")
    table = table_of("", "", right=counted)
    last = ""
    for (dimension, value), stats in run.statistics.items():
        counts = [str(n) for n in (stats.children, stats.admitted, stats.scored, stats.better)]
        counts.append(f"{stats.better / stats.children:.0%}")
        head = shown_dimension(dimension) if dimension != last else ""
        table.add_row(Text(head, style="bold"), Text(value), *counts, f"{stats.gain:.4f}")
        last = dimension
    print_table(table)
    for stage, (sent, saved) in run.repairs.items():
        out.print(f"repairs: {saved} of {sent} replies sent back ({shown_stage(stage)}) were saved")
    _print_early_stops(run)
    _print_screen(run)
    _print_readditions(run.readditions)


def print_stats_as_json(run: Run) -> None:
    """The same, with the names of `OperatorStats` and `Readditions`; the name "" stands for all operators."""
    for record in _records(run):
        typer.echo(json.dumps(record, allow_nan=False))


def _print_early_stops(run: Run) -> None:
    config = run.config
    if config.in_stages and (found := run.early_stops).trained:
        by = "halving" if config.halving else f"the rule {config.budget_rule}"
        share = f"{found.saved} of {found.epochs} epochs saved ({found.saved / found.epochs:.0%})"
        out.print(f"stopped early: {found.stopped} of {found.trained} trained children by {by}, {share}")


def _print_screen(run: Run) -> None:
    if run.config.screen == 1:
        return
    found = run.screen_quality
    out.print(f"screen: {found.rejected} children that passed the checks were not trained")
    for name, one in found.rankings.items():
        who = "its ranking" if name == SCREEN else name
        out.print(
            f"  {who}: rank correlation {one.correlation:.2f} with the {found.objective} of {one.children} "
            f"trained children (p {one.p_value:.2g})"
        )
    if not found.rankings:
        out.print("  how well it ranked those that were trained is told of three and more")


def _print_readditions(found: dict[str, Readditions]) -> None:
    told = found[ALL]
    if not told.added:
        return
    others = ", ".join(f"{name} {_share(one)}" for name, one in found.items() if name != ALL and one.added)
    out.print(Text(f"added lines that an ancestor had and another deleted: {_share(told)}; {others}"))


def _share(one: Readditions) -> str:
    return f"{one.again:,} of {one.added:,} ({one.rate:.0%})"


def _records(run: Run) -> Iterator[dict[str, Any]]:
    for (dimension, value), stats in run.statistics.items():
        yield {"dimension": dimension, "name": value, **asdict(stats)}
    for stage, (sent, saved) in run.repairs.items():
        yield {"dimension": "repair", "name": stage, "sent": sent, "saved": saved}
    if run.config.in_stages:
        yield {"dimension": "early stops", "name": "", **asdict(run.early_stops)}
    if run.config.screen > 1:
        quality = run.screen_quality
        for name, found in quality.rankings.items():
            measured = {"objective": quality.objective, "rejected": quality.rejected}
            yield {"dimension": "screen", "name": "" if name == SCREEN else name, **measured, **asdict(found)}
    for operator, one in run.readditions.items():
        yield {"dimension": "added lines", "name": operator, **asdict(one), "rate": one.rate}
