"""A figure with its words, and how names are written."""

from __future__ import annotations

from dataclasses import dataclass

import plotly.graph_objects as go

from ge_engine.report.rows import Row
from ge_engine.report.theme import label


@dataclass(frozen=True, slots=True)
class Drawing:
    """A figure with its heading and what it says in words, for those who cannot see it."""

    title: str
    summary: str
    figure: go.Figure


def short(name: str, most: int = 26) -> str:
    """`name`, cut to `most` characters."""
    return name if len(name) <= most else name[: most - 1] + "…"


def made_by(row: Row) -> str:
    """Its operators and blocks, escaped for Plotly."""
    made = ((step.operator, short(step.address)) for step in row.steps)
    return label(", ".join(f"{operator} of {blocks}" if blocks else operator for operator, blocks in made))
