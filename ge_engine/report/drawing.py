"""A figure with its words, and how names and values are written."""

from __future__ import annotations

from dataclasses import dataclass

import plotly.graph_objects as go

from ge_engine.report.data import Row
from ge_engine.report.theme import label


@dataclass(frozen=True, slots=True)
class Drawing:
    """A figure with its heading and what it says in words, for those who cannot see it."""

    title: str
    summary: str
    figure: go.Figure


def written(name: str, value: float) -> str:
    """An objective's value as a person reads it."""
    if name == "accuracy":
        return f"{100 * value:.2f} %"
    if float(value).is_integer():
        return f"{int(value):,}"
    for size, letter in ((1e12, "T"), (1e9, "B"), (1e6, "M")):
        if abs(value) >= size:
            return f"{value / size:.4g}{letter}"
    return f"{value:.4g}"


def short(name: str, most: int = 26) -> str:
    """`name`, cut to `most` characters."""
    return name if len(name) <= most else name[: most - 1] + "…"


def made_by(row: Row) -> str:
    """Its operators and blocks, escaped for Plotly."""
    return label(", ".join(f"{step.operator} of {short(step.address)}" for step in row.steps))
