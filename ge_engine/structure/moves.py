"""The structural moves of a block: every change of one idea, in words and as edits, and moves together."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain

from ge_engine.genome import Genome
from ge_engine.source.language import LANGUAGES, PYTHON
from ge_engine.source.source_text import Edit
from ge_engine.structure.change import MoveSource
from ge_engine.structure.library import library_changes
from ge_engine.structure.numbers import number_changes
from ge_engine.structure.sequences import sequence_changes


@dataclass(frozen=True, slots=True)
class Move:
    """One structural change. `kind` is "width", "depth", "number", "drop", "repeat", "swap", "replace"
    or "insert", `text` what it does in one line that no other move of the block has, `code` the block after
    its edits, with what they bring along above it."""

    kind: str
    text: str
    edits: tuple[Edit, ...]
    code: str


@lru_cache(maxsize=256)
def moves_of(
    code: str,
    classes: tuple[str, ...] = (),
    sources: tuple[MoveSource, ...] = (),
    language: str = "python",
) -> tuple[Move, ...]:
    """All moves of a block's code, each result once, in a fixed order; `classes` may replace others, and
    `sources` add to what is built in for Python.

    Nothing is run: whether a move builds, and what it changes, is found by building it.
    """
    block = LANGUAGES[language].source(code)
    sources = sources if language == PYTHON.name else ()
    results: set[str] = {code}
    found: dict[str, Move] = {}
    built_in = sequence_changes(block, classes), number_changes(block), library_changes(block, classes)
    for change in chain(*built_in, *(source.changes(code, classes) for source in sources)):
        new = block.edited(change.edits)
        if new is None or new in results:
            continue
        results.add(new)
        text = _unused(change.text, found)
        found[text] = Move(change.kind, text, change.edits, new)
    return tuple(found.values())


def together(code: str, moves: Sequence[Move], language: str = "python") -> str | None:
    """The code after several moves at once; None where they touch the same place. A helper that several of
    them bring comes once."""
    edits = [edit for move in moves for edit in move.edits]
    brought = dict.fromkeys(edit for edit in edits if edit.end == 0)
    return LANGUAGES[language].source(code).edited([*brought, *(edit for edit in edits if edit.end > 0)])


def by_text(known_moves: Iterable[Move], texts: Iterable[str]) -> list[Move] | str:
    """Those of the moves that `texts` name, or the first text that names none."""
    known = {move.text: move for move in known_moves}
    wanted = list(dict.fromkeys(texts))
    missing = next((text for text in wanted if text not in known), None)
    return missing if missing is not None else [known[text] for text in wanted]


def module_classes(genome: Genome, address: str) -> tuple[str, ...]:
    """Names of the file's classes that look like modules, for they have a `forward`, and that may stand in
    the block at `address`: neither what it belongs to nor what is made of that, for a network that holds
    itself has no end."""
    owner = address.partition(".")[0]
    return tuple(
        name
        for name, block in genome.blocks.items()
        if block.kind == "class" and f"{name}.forward" in genome.blocks and owner not in _parts(genome, name)
    )


def _parts(genome: Genome, name: str) -> set[str]:
    """A block's name, what its code names, and what the code of those does."""
    found, waiting = {name}, [name]
    while waiting:
        block = genome.blocks.get(waiting.pop())
        new = _names_in(block.code) - found if block else set()
        found |= new
        waiting += new
    return found


@lru_cache(maxsize=1024)
def _names_in(code: str) -> frozenset[str]:
    return frozenset(node.id for node in ast.walk(ast.parse(code)) if isinstance(node, ast.Name))


def _unused(text: str, taken: Iterable[str]) -> str:
    """The text, numbered where another move is called so."""
    names = set(taken)
    number, free = 2, text
    while free in names:
        free, number = f"{text} [{number}]", number + 1
    return free
