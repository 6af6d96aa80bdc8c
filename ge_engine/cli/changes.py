"""Prints block-level changes, coloured as `git diff` is."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from rich.text import Text

from ge_engine.changes import Change, stat, unified, words
from ge_engine.views.console import out

LINE_STYLES = {"+": "green", "-": "red", "@": "cyan"}
WORD_STYLES = {"equal": "", "insert": "bold green", "delete": "strike red"}
Printer = Callable[[Change], None]


def print_changes(changes: Iterable[Change], body: Printer | None = None) -> None:
    """A heading for each change, then its `body`: unified lines unless told otherwise."""
    for change in changes:
        out.print(Text(heading(change), style="bold"))
        (body or print_lines)(change)


def print_lines(change: Change) -> None:
    for line in unified(change)[2:]:
        print_diff_line(line)


def print_diff_line(line: str) -> None:
    """A line of a unified diff."""
    out.print(Text(line, style=LINE_STYLES.get(line[:1], "")))


def print_words(change: Change) -> None:
    """Deleted words in [-...-], inserted ones in {+...+} where there are no colours."""
    marks = {"insert": ("{+", "+}"), "delete": ("[-", "-]")} if not out.is_terminal else {}
    text = Text()
    for kind, piece in words(change):
        left, right = marks.get(kind, ("", ""))
        text.append(left + piece + right, style=WORD_STYLES[kind])
    out.print(text)


def print_stat(changes: Iterable[Change]) -> None:
    """One line per change with its counts of lines, and a total."""
    rows = [(heading(change), *stat(change)) for change in changes]
    width = max((len(head) for head, _, _ in rows), default=0)
    for head, added, removed in rows:
        out.print(Text.assemble(f" {head:{width}} | ", (f"+{added}", "green"), " ", (f"-{removed}", "red")))
    total = f"{len(rows)} blocks, {sum(r[1] for r in rows)} lines added, {sum(r[2] for r in rows)} removed"
    out.print(Text(f" {total}", style="bold"))


def print_parameters(before: Mapping[str, int], after: Mapping[str, int]) -> None:
    """Classes whose modules hold another number of parameters than before."""
    names = [n for n in dict.fromkeys((*before, *after)) if before.get(n) != after.get(n)]
    if not (before and after):
        return
    for name in names:
        old, new = before.get(name, 0), after.get(name, 0)
        out.print(Text(f" {name}: {old:,} to {new:,} parameters ({new - old:+,})"))
    if not names:
        out.print(Text(" no class holds another number of parameters"))


def heading(change: Change) -> str:
    """One line: the kind of change and the address."""
    if change.kind == "renamed":
        return f"renamed {change.old_address} to {change.address}"
    return f"{change.kind} {change.address}"
