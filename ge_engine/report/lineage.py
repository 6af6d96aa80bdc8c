"""Which individual was generated from which."""

from __future__ import annotations

from collections.abc import Mapping

import plotly.graph_objects as go

from ge_engine.population import SEED_ID
from ge_engine.report import counts
from ge_engine.report.data import RunData
from ge_engine.report.drawing import Drawing, made_by
from ge_engine.report.rows import Row
from ge_engine.report.theme import colour

MOST_LABELS = 45
SYMBOLS = ("circle", "square", "triangle-up", "cross", "star", "hexagon", "triangle-down", "x")
"""The islands' own, by their number."""


def lineage(run: RunData) -> Drawing:
    """The front's ancestors: a row for each, from left to right by generation.

    Solid lines lead from the first parent, dotted ones from a mate. `customdata` is the row's number.
    """
    rows = {row.id: row for row in run.rows}
    number = {row.id: place for place, row in enumerate(run.rows)}
    shown = counts.ancestors(rows, [row.id for row in run.front])
    place = {name: (max(rows[name].generation + (name != SEED_ID), 0), at) for at, name in enumerate(shown)}
    figure = go.Figure()
    for which, dash in ((0, "solid"), (1, "dot")):
        figure.add_trace(_edges(rows, place, which, dash))
    few = len(shown) <= MOST_LABELS
    figure.add_trace(
        go.Scatter(
            x=[place[name][0] for name in shown],
            y=[place[name][1] for name in shown],
            mode="markers+text" if few else "markers",
            text=[_label(rows[name]) for name in shown],
            textposition="middle right",
            textfont={"size": 11, "color": colour("faint")},
            customdata=[number[name] for name in shown],
            marker={
                "size": [11 if rows[name].front else 8 for name in shown],
                "color": [_lineage_colour(rows[name]) for name in shown],
                "symbol": [_symbol(rows[name]) for name in shown],
                "line": {"color": colour("outline"), "width": 1},
            },
            hovertemplate="%{text}<extra></extra>",
            cliponaxis=False,
        )
    )
    generations = max((x for x, _ in place.values()), default=0)
    ticks = list(range(0, generations + 1, max(1, generations // 10)))
    figure.update_xaxes(
        title_text="generation", tickvals=ticks, ticktext=["seed", *[f"g{tick - 1}" for tick in ticks[1:]]],
        range=[-0.3, generations + (1.6 if few else 0.5)],
    )  # fmt: skip
    figure.update_yaxes(visible=False, range=[len(shown) - 0.4, -0.6])
    figure.update_layout(
        height=min(max(140 + 20 * len(shown), 260), 900), showlegend=False, hovermode="closest"
    )
    summary = f"{len(shown)} individuals lead to the {len(run.front)} of the front."
    return Drawing("Lineage of the front", summary, figure)


def _edges(
    rows: Mapping[str, Row], place: Mapping[str, tuple[int, int]], which: int, dash: str
) -> go.Scatter:
    xs: list[float | None] = []
    ys: list[float | None] = []
    for name, (x, y) in place.items():
        if len(rows[name].parents) > which:
            from_x, from_y = place[rows[name].parents[which]]
            xs += [from_x, from_x, x, None]
            ys += [from_y, y, y, None]
    line = {"color": colour("other"), "width": 1.3, "dash": dash}
    return go.Scatter(x=xs, y=ys, mode="lines", line=line, hoverinfo="skip", opacity=0.8)


def _label(row: Row) -> str:
    where = "" if row.island is None else f", island {row.island}"
    return f"{row.id}  {made_by(row)}{where}"


def _symbol(row: Row) -> str:
    return "diamond" if row.id == SEED_ID else SYMBOLS[(row.island or 0) % len(SYMBOLS)]


def _lineage_colour(row: Row) -> str:
    return colour("seed" if row.id == SEED_ID else "front" if row.front else "trained")
