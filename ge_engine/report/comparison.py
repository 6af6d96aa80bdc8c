"""Several runs on one page: their fronts in one plane, their hypervolumes in one box, and tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import plotly.graph_objects as go

from ge_engine.notation import front_title
from ge_engine.pareto import Point, box, growth, losses
from ge_engine.report.data import RunData
from ge_engine.report.drawing import Drawing, made_by, short
from ge_engine.report.page import assemble, drawn, themes
from ge_engine.report.pareto import axes, set_axis, value_of
from ge_engine.report.rows import Row
from ge_engine.report.theme import RUN_COLOURS, colour, label

SYMBOLS = ("circle", "diamond", "square", "triangle-up", "cross", "x")
SCRIPTS = ("decode.js", "theme.js", "format.js", "charts.js", "comparison.js")
Runs = Mapping[str, RunData]
"""Runs of the same objectives by what they are called."""


@dataclass(frozen=True, slots=True)
class Table:
    """Cells as text; those of the columns in `numbers` stand to the right."""

    title: str
    heads: Sequence[str]
    rows: Sequence[Sequence[str]]
    numbers: frozenset[int] = frozenset()


def comparison_page(runs: Runs, tables: Sequence[Table]) -> str:
    """The whole HTML file; it needs nothing but a browser."""
    figures = {"fronts": fronts(runs), "hypervolumes": hypervolumes(runs)}
    index = {"tables": [_as_data(one) for one in tables], "figures": drawn(figures), **themes()}
    return assemble("comparison.html", SCRIPTS, " · ".join(runs), {"index": index})


def fronts(runs: Runs) -> Drawing:
    """Every scored individual in the plane of the first two objectives, each run in its colour: the front of
    each as a staircase where there are two objectives. With one, the other axis is the generation."""
    first = next(iter(runs.values()))
    names = list(first.directions)
    y, x = names[0], names[1] if len(names) > 1 else ""
    figure = go.Figure()
    for number, (name, run) in enumerate(runs.items()):
        others = [row for row in run.rows if row.state == "scored" and not row.front]
        figure.add_trace(_points(run, others, x, y, name, number).update(opacity=0.3, showlegend=False))
        best = sorted(run.front, key=lambda row: value_of(row, x))
        figure.add_trace(_points(run, best, x, y, name, number, staircase=len(names) == 2))
    everybody = replace(first, rows=tuple(row for run in runs.values() for row in run.rows))
    for letter, name in (("x", x), ("y", y)):
        set_axis(figure, letter, everybody, name)
    figure.update_layout(height=460, hovermode="closest")
    counts = "; ".join(f"{name}: {len(run.front):,}" for name, run in runs.items())
    return Drawing(front_title(names), f"On the front of each run: {counts}.", figure)


def _points(
    run: RunData, rows: Sequence[Row], x: str, y: str, name: str, number: int, *, staircase: bool = False
) -> go.Scatter:
    shade, formats = _shade(number), axes(run)
    across = f"{label(x)} %{{x:{formats[x].hover}}}" if x else "generation %{x}"
    shape = "hv" if x and run.directions[x] == "min" else "vh"
    return go.Scatter(
        x=[value_of(row, x) for row in rows],
        y=[value_of(row, y) for row in rows],
        name=label(short(name, 40)),
        legendgroup=name,
        mode="lines+markers" if staircase else "markers",
        line={"shape": shape, "color": shade, "width": 2},
        marker={"size": 9, "color": shade, "symbol": SYMBOLS[number % len(SYMBOLS)]},
        hovertext=[f"<b>{label(short(name, 40))}:{row.id}</b>  {made_by(row)}" for row in rows],
        hovertemplate=f"%{{hovertext}}<br>{label(y)} %{{y:{formats[y].hover}}}<br>{across}<extra></extra>",
    )


def hypervolumes(runs: Runs) -> Drawing:
    """The share of the box around all that any run scored that each one's front dominates, by evaluations."""
    points = {name: _losses(run) for name, run in runs.items()}
    ideal, reference = box([point for several in points.values() for point in several])
    figure, ends = go.Figure(), []
    for number, (name, several) in enumerate(points.items()):
        volumes = growth(several, ideal, reference)
        figure.add_trace(
            go.Scatter(
                x=list(range(1, len(volumes) + 1)),
                y=volumes,
                name=label(short(name, 40)),
                mode="lines",
                line={"shape": "hv", "color": _shade(number), "width": 2.5},
                hovertemplate="after %{x:,} evaluations<br>%{y:.4f}<extra>%{fullData.name}</extra>",
            )
        )
        ends.append(f"{name}: {volumes[-1]:.4f} after {len(volumes):,} evaluations")
    figure.update_xaxes(
        title_text="evaluations (scored models, the seed model first)", tickformat="~s", rangemode="tozero"
    )
    figure.update_yaxes(title_text="hypervolume (share of the box)", rangemode="tozero", tickformat=".2f")
    figure.update_layout(height=360, showlegend=True)
    summary = "; ".join(ends)
    return Drawing("Hypervolume over evaluations", f"{summary}. The box is around all of these runs.", figure)


def _losses(run: RunData) -> list[Point]:
    return [losses(row.objectives, run.directions) for row in run.counted if row.state == "scored"]


def _shade(number: int) -> str:
    return colour(RUN_COLOURS[number % len(RUN_COLOURS)])


def _as_data(one: Table) -> Mapping[str, Any]:
    return {"title": one.title, "heads": one.heads, "rows": one.rows, "numbers": sorted(one.numbers)}
