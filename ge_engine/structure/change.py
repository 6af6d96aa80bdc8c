"""One structural change of a block: what it does in words, and its edits; and who finds such changes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ge_engine.source.source_text import Edit

LONGEST_SHOWN = 90
"""Characters of code that the words of a change quote."""


@dataclass(frozen=True, slots=True)
class Change:
    """A change of one idea: its kind ("width", "depth", "number", "drop", "repeat", "swap", "replace" or
    "insert", by which prompts ask for it), what it does in words, and its edits. What an edit inserts before
    the first character is a helper that comes along."""

    kind: str
    text: str
    edits: tuple[Edit, ...]


class MoveSource(ABC):
    """Structural changes of your own. `moves` chooses a source by its name; its changes are built, sized and
    offered beside the built-in ones."""

    name: str

    @abstractmethod
    def changes(self, code: str, classes: Sequence[str]) -> Iterable[Change]:
        """Changes of a block's code, in a fixed order; `classes` are the module classes of the file. What one
        makes of the code need not work: whether it builds is tried before it is offered. Called in any
        thread."""


def shortened(text: str) -> str:
    """At most `LONGEST_SHOWN` characters of the text."""
    return text if len(text) <= LONGEST_SHOWN else text[: LONGEST_SHOWN - 3] + "..."


def on_one_line(text: str) -> str:
    """The text on one line, shortened."""
    return shortened(" ".join(text.split()))
