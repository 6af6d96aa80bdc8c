"""One structural change of a block: what it does in words, and its edits."""

from __future__ import annotations

from dataclasses import dataclass

from ge_engine.source.source_text import Edit

LONGEST_SHOWN = 90
"""Characters of code that the words of a change quote."""


@dataclass(frozen=True, slots=True)
class Change:
    """A change of one idea: its kind ("width", "drop", ...), what it does in words, and its edits."""

    kind: str
    text: str
    edits: tuple[Edit, ...]


def shortened(text: str) -> str:
    """At most `LONGEST_SHOWN` characters of the text."""
    return text if len(text) <= LONGEST_SHOWN else text[: LONGEST_SHOWN - 3] + "..."


def on_one_line(text: str) -> str:
    """The text on one line, shortened."""
    return shortened(" ".join(text.split()))
