"""HTML for notebooks: tables and diffs without script or style sheet. All text is escaped."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

from ge_engine.changes import Change, stat, unified
from ge_engine.outcome import storable

LINES = {"+": "rgba(46, 160, 67, .25)", "-": "rgba(248, 81, 73, .25)"}
"""Backgrounds of added and removed lines: seen on light and on dark."""


def text(raw: object) -> str:
    """Escaped, and such that every encoding holds it."""
    return escape(storable(str(raw)))


def table(caption: str, head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table with one heading per column."""
    top = "".join(f'<th scope="col">{text(name)}</th>' for name in head)
    body = "".join("<tr>" + "".join(f"<td>{text(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return (
        f'<table><caption style="text-align: left">{text(caption)}</caption>'
        f"<thead><tr>{top}</tr></thead><tbody>{body}</tbody></table>"
    )


def differences(changes: Iterable[Change]) -> str:
    """Each change with its kind, address and counts of lines; its unified diff folds away."""
    shown = "".join(_difference(change) for change in changes)
    return shown or "<p>No block differs.</p>"


def _difference(change: Change) -> str:
    added, removed = stat(change)
    title = f"{change.kind} <code>{text(change.address)}</code> +{added} -{removed}"
    lines = "".join(_line(line) for line in unified(change))
    return f"<details open><summary>{title}</summary><pre>{lines}</pre></details>"


def _line(line: str) -> str:
    if not (colour := LINES.get(line[:1])) or line.startswith(("+++ ", "--- ")):
        return text(line) + "\n"
    return f'<span style="background: {colour}">{text(line)}</span>\n'
