"""The front among everything that was scored."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import plotly.graph_objects as go

from ge_engine.notation import PLAIN, Notation, front_title
from ge_engine.population import SEED_ID
from ge_engine.report import counts
from ge_engine.report.data import Row, RunData
from ge_engine.report.drawing import Drawing, made_by
from ge_engine.report.theme import Axis, axis_of, colour, label

MOST_LABELS = 12
MOST_LARGE = 60


def pareto(run: RunData) -> Drawing:
    """Every scored individual in the plane of the first two objectives; `customdata` is its row.

    With one objective the other axis is the generation. With two the front is a staircase, the border of
    what it dominates; with more it is points alone, since no border stands in a plane.
    """
    names = list(run.directions)
    y, x = names[0], names[1] if len(names) > 1 else ""
    groups = {
        "other": [n for n, row in enumerate(run.rows) if row.state == "scored" and not row.front and n],
        "front": [n for n, row in enumerate(run.rows) if row.front],
        "seed": [n for n, row in enumerate(run.rows) if row.id == SEED_ID and row.state == "scored"],
    }
    figure = go.Figure()
    figure.add_trace(_points(run, groups["other"], x, y, "dominated", "other", size=7, opacity=0.55))
    if x and len(names) == 2:
        figure.add_trace(_staircase(run, groups["front"], x, y))
    labelled = len(groups["front"]) <= MOST_LABELS
    size = 11 if len(groups["front"]) <= MOST_LARGE else 7
    figure.add_trace(
        _points(run, groups["front"], x, y, "Pareto front", "front", size=size, labelled=labelled)
    )
    seed = _points(run, groups["seed"], x, y, "seed", "seed", size=13, labelled=not labelled)
    figure.add_trace(seed.update(marker_symbol="diamond"))
    for letter, name in (("x", x), ("y", y)):
        _set_axis(figure, letter, run, name)
    figure.update_layout(height=460, clickmode="event", hovermode="closest")
    front, scored = len(groups["front"]), sum(row.state == "scored" for row in run.rows)
    best = "; ".join(
        f"best {name} {run.notations[name].measured(row.objectives[name], row.errors.get(name))} by {row.id}"
        for name, row in counts.best_values(run).items()
    )
    return Drawing(
        front_title(names), f"{front:,} of {scored:,} scored individuals are on the front; {best}.", figure
    )


def axes(run: RunData) -> Mapping[str, Axis]:
    """How each objective and each other figure is written, for axes that the reader chooses."""
    return {name: _axis(run, name) for name in (*run.directions, *run.figures)}


def _axis(run: RunData, name: str) -> Axis:
    return axis_of(name, run.directions.get(name), notation_of(run, name))


def notation_of(run: RunData, name: str) -> Notation:
    """How an objective or another figure is written."""
    return run.notations.get(name) or run.figure_notations.get(name, PLAIN)


def scale_of(run: RunData, name: str) -> str:
    """ "log" where the values of a figure span more than a factor of 20, else "linear"."""
    found = [{**row.figures, **row.objectives}.get(name) for row in run.rows if row.state == "scored"]
    values = [value for value in found if value is not None]
    return "log" if values and min(values) > 0 and max(values) > 20 * min(values) else "linear"


def _points(
    run: RunData,
    numbers: Sequence[int],
    x: str,
    y: str,
    name: str,
    shade: str,
    *,
    size: int,
    opacity: float = 1.0,
    labelled: bool = False,
) -> go.Scatter:
    rows = [run.rows[n] for n in numbers]
    horizontal = f"{label(x)} %{{x:{_axis(run, x).hover}}}" if x else "generation %{x}"
    vertical = f"{label(y)} %{{y:{_axis(run, y).hover}}}"
    return go.Scatter(
        x=[_value(row, x) for row in rows],
        y=[_value(row, y) for row in rows],
        mode="markers+text" if labelled else "markers",
        name=name,
        text=[row.id for row in rows],
        textposition="top center",
        textfont={"size": 11, "color": colour("faint")},
        hovertext=[f"<b>{row.id}</b>  {made_by(row)}" for row in rows],
        customdata=list(numbers),
        marker={
            "size": size,
            "color": colour(shade),
            "opacity": opacity,
            "line": {"color": colour("outline"), "width": 1 if opacity == 1 else 0},
        },
        hovertemplate=f"%{{hovertext}}<br>{vertical}<br>{horizontal}<extra></extra>",
    )


def _staircase(run: RunData, numbers: Sequence[int], x: str, y: str) -> go.Scatter:
    rows = sorted((run.rows[n] for n in numbers), key=lambda row: row.objectives[x])
    return go.Scatter(
        x=[row.objectives[x] for row in rows],
        y=[row.objectives[y] for row in rows],
        mode="lines",
        line={"shape": "hv" if run.directions[x] == "min" else "vh", "color": colour("front"), "width": 2},
        hoverinfo="skip",
        showlegend=False,
    )


def _set_axis(figure: go.Figure, letter: str, run: RunData, name: str) -> None:
    update: Callable[..., object] = figure.update_xaxes if letter == "x" else figure.update_yaxes
    if not name:
        update(title_text="generation (0: bred from the seed)", dtick=1)
        return
    axis = _axis(run, name)
    scale = scale_of(run, name)
    ticks = {"dtick": "D2"} if scale == "log" else {}
    update(**ticks, title_text=axis.title, tickformat=axis.ticks, type=scale, range=_view(run, name, scale))


def _view(run: RunData, name: str, scale: str) -> list[float] | None:
    """The range that an axis begins with: the front, the seed, and nine tenths of the others, so that a few
    candidates that learned nothing do not press the rest together."""
    values = sorted(row.objectives[name] for row in run.rows if row.state == "scored")
    kept = [
        row.objectives[name] for row in run.rows if row.state == "scored" and (row.front or row.id == SEED_ID)
    ]
    if not kept:
        return None
    kept += values[len(values) // 20 : len(values) - len(values) // 20]
    ends = [min(kept), max(kept)]
    if scale == "log":
        ends = [math.log10(end) for end in ends]
    room = 0.07 * (ends[1] - ends[0]) or 0.05 * abs(ends[0]) or 1.0
    return [ends[0] - room, ends[1] + room]


def _value(row: Row, name: str) -> float:
    return row.objectives[name] if name else max(row.generation, 0)
