"""The front among everything that was scored."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence

import plotly.graph_objects as go

from ge_engine.notation import PLAIN, Notation, front_title
from ge_engine.population import SEED_ID
from ge_engine.report import counts
from ge_engine.report.data import RunData
from ge_engine.report.drawing import Drawing, made_by
from ge_engine.report.rows import Row
from ge_engine.report.theme import Axis, axis_of, colour, label

MOST_LABELS = 12
MOST_LARGE = 60
FEW = 5
"""One in this many may lie outside the plot."""


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
        _points(run, groups["front"], x, y, front_title(names), "front", size=size, labelled=labelled)
    )
    seed = _points(run, groups["seed"], x, y, "seed", "seed", size=13, labelled=not labelled)
    figure.add_trace(seed.update(marker_symbol="diamond"))
    for letter, name in (("x", x), ("y", y)):
        set_axis(figure, letter, run, name)
    figure.update_layout(height=460, clickmode="event", hovermode="closest")
    front, scored = len(groups["front"]), sum(row.state == "scored" for row in run.counted)
    best = "; ".join(
        f"best {name} {run.notations[name].measured(row.objectives[name], row.errors.get(name))} by {row.id}"
        for name, row in counts.best_values(run).items()
    )
    summary = f"{front:,} of {scored:,} scored individuals are on the front; {best}."
    if beyond := outside(run, [name for name in (x, y) if name]):
        lie = "lies" if beyond == 1 else "lie"
        summary += f" {beyond:,} far from the others {lie} outside the plot: a double click shows all."
    return Drawing(front_title(names), summary, figure)


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
    values = [value for row in run.rows if (value := _figure(row, name)) is not None]
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
        x=[value_of(row, x) for row in rows],
        y=[value_of(row, y) for row in rows],
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


def set_axis(figure: go.Figure, letter: str, run: RunData, name: str) -> None:
    """The axis "x" or "y" for an objective; for "", the generation."""
    update: Callable[..., object] = figure.update_xaxes if letter == "x" else figure.update_yaxes
    if not name:
        update(title_text="generation (0: generated from the seed model)", dtick=1)
        return
    axis = _axis(run, name)
    scale = scale_of(run, name)
    ticks = {"dtick": "D2"} if scale == "log" else {}
    update(**ticks, title_text=axis.title, tickformat=axis.ticks, type=scale, range=view_of(run, name))


def view_of(run: RunData, name: str) -> list[float] | None:
    """The range that an axis begins with, in powers of ten where it is logarithmic. Where a few would press
    the rest into less than half of it, as candidates that learned nothing do, it is that of the front, the
    seed, and those within the outer fences of the quartiles (Tukey, "Exploratory Data Analysis", 1977). None
    without values."""
    as_drawn = math.log10 if scale_of(run, name) == "log" else float
    values = [(as_drawn(value), row) for row in run.rows if (value := _figure(row, name)) is not None]
    if not values:
        return None
    every = [value for value, _ in values]
    low, high = _fences(every)
    kept = [value for value, row in values if row.front or row.id == SEED_ID or low <= value <= high]
    few = len(every) - len(kept) <= len(every) // FEW
    ends = min(every), max(every)
    if few and 2 * (max(kept) - min(kept)) < ends[1] - ends[0]:
        ends = min(kept), max(kept)
    room = 0.07 * (ends[1] - ends[0]) or 0.05 * abs(ends[0]) or 1.0
    return [ends[0] - room, ends[1] + room]


def _fences(values: Sequence[float]) -> tuple[float, float]:
    """Three times the distance of the quartiles beyond them; the ends of fewer than four values."""
    if len(values) < 4:
        return min(values), max(values)
    first, _, third = statistics.quantiles(values, n=4, method="inclusive")
    return first - 3 * (third - first), third + 3 * (third - first)


def _figure(row: Row, name: str) -> float | None:
    return {**row.figures, **row.objectives}.get(name) if row.state == "scored" else None


def outside(run: RunData, names: Iterable[str]) -> int:
    """How many scored individuals lie beyond the range that some axis begins with."""
    views = {name: view for name in names if (view := view_of(run, name)) is not None}
    logarithmic = {name for name in views if scale_of(run, name) == "log"}

    def beyond(row: Row, name: str) -> bool:
        value = _figure(row, name)
        if value is None:
            return False
        drawn = math.log10(value) if name in logarithmic else value
        return not views[name][0] <= drawn <= views[name][1]

    return sum(any(beyond(row, name) for name in views) for row in run.rows)


def value_of(row: Row, name: str) -> float:
    """An objective of an individual; for "", its generation."""
    return row.objectives[name] if name else max(row.generation, 0)
