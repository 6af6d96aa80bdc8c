"""Prints block-level changes, coloured as `git diff` is."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from rich.text import Text

from ge_engine.cli.console import out
from ge_engine.diff import Change

STYLES = {"+": "green", "-": "red", "@": "cyan"}


def print_changes(changes: Iterable[Change]) -> None:
    """A heading and a unified diff for each change."""
    for change in changes:
        out.print(Text(heading(change), style="bold"))
        for line in unified(change):
            out.print(Text(line, style=STYLES.get(line[:1], "")))


def heading(change: Change) -> str:
    """One line: the kind of change and the address."""
    if change.kind == "renamed":
        return f"renamed {change.old_address} to {change.address}"
    return f"{change.kind} {change.address or change.old_address}"


def unified(change: Change) -> list[str]:
    before, after = change.before.splitlines(), change.after.splitlines()
    return list(difflib.unified_diff(before, after, lineterm="", n=2))[2:]
