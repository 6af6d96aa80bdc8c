"""Colours, fonts and number formats of every figure: few colours, told apart without red and green."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import plotly.graph_objects as go

from ge_engine.notation import Notation
from ge_engine.population import Direction

Theme = Literal["light", "dark"]
FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'DejaVu Sans', sans-serif"
# A name, its colour on white and its colour on the dark page. Orange against blue and greys is safe with
# every common colour vision deficiency; lightness alone also tells the five fates apart.
COLOURS: Mapping[str, tuple[str, str]] = {
    "front": ("#c2410c", "#fb923c"),
    "seed": ("#111827", "#f8fafc"),
    "other": ("#8593a8", "#7b8ba3"),
    "better": ("#1d4ed8", "#93c5fd"),
    "trained": ("#5f8eea", "#5288e2"),
    "third": ("#15803d", "#4ade80"),
    "fourth": ("#7e22ce", "#d8b4fe"),
    "fifth": ("#a16207", "#facc15"),
    "sixth": ("#0e7490", "#67e8f9"),
    "failed": ("#6b7280", "#8b95a5"),
    "rejected": ("#d3d8e0", "#3b475b"),
    "outline": ("#ffffff", "#131c31"),
    "ink": ("#1f2937", "#e5e9f0"),
    "faint": ("#4b5563", "#a9b4c4"),
    "grid": ("#e5e7eb", "#28344a"),
}
RUN_COLOURS = ("front", "better", "third", "fourth", "fifth", "sixth")
FATE_COLOURS = ("front", "better", "trained", "failed", "rejected")


@dataclass(frozen=True, slots=True)
class Axis:
    """How a figure is written: its title says the unit and, of an objective, which way is better."""

    title: str
    ticks: str
    hover: str
    better: Direction | None


def colour(name: str, theme: Theme = "light") -> str:
    return COLOURS[name][theme == "dark"]


def axis_of(name: str, direction: Direction | None, notation: Notation) -> Axis:
    """The axis of an objective; of another figure, which has no direction."""
    better = {"max": " (higher is better)", "min": " (lower is better)", None: ""}[direction]
    ticks, hover = _d3(notation)
    return Axis(label(notation.title(name)) + better, ticks, hover, direction)


def _d3(notation: Notation) -> tuple[str, str]:
    """D3's formats for the ticks of an axis and for one value. Of Python's, those of `notation.FORMAT` are
    D3's too, but for its "g", which keeps zeros at the end where no "~" forbids it."""
    if notation.is_share:
        return ".1~%", notation.format
    if notation.format.endswith("g"):
        return "~g", notation.format.replace("g", "~g")
    return "~s", notation.format or ".4~s"


def label(text: str) -> str:
    """Text that Plotly shows as it is: it reads some markup in labels."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def template(theme: Theme) -> dict[str, Any]:
    """A Plotly template: transparent, so that the page's own colour shows."""
    ink, faint, grid = (colour(name, theme) for name in ("ink", "faint", "grid"))
    axis = {
        "gridcolor": grid,
        "linecolor": faint,
        "zeroline": False,
        "ticks": "outside",
        "tickcolor": grid,
        "tickfont": {"color": faint, "size": 12},
        "title": {"font": {"color": ink, "size": 13}, "standoff": 10},
        "automargin": True,
    }
    layout = {
        "font": {"family": FONT, "color": ink, "size": 13},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "xaxis": axis,
        "yaxis": axis,
        "hoverlabel": {
            "bgcolor": colour("outline", theme),
            "bordercolor": faint,
            "font": {"color": ink, "family": FONT},
            "align": "left",
        },
        "legend": {"orientation": "h", "x": 0, "xanchor": "left", "y": 1.02, "yanchor": "bottom"},
        "margin": {"l": 56, "r": 24, "t": 36, "b": 48},
        "modebar": {"bgcolor": "rgba(0,0,0,0)", "color": faint, "activecolor": colour("front", theme)},
    }
    return go.layout.Template(layout=layout).to_plotly_json()  # type: ignore[no-any-return]
