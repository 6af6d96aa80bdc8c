"""Text with choices: literal text, alternatives, and their concatenation. Always a finite set of strings."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Either:
    """One of `options`."""

    options: tuple[Part, ...]


Part = str | Either | tuple["Part", ...]


def either(options: Iterable[Part]) -> Part:
    """Alternatives without repetition; a single one stands for itself."""
    unique = tuple(dict.fromkeys(options))
    return unique[0] if len(unique) == 1 else Either(unique)


def to_lark(part: Part) -> str:
    """The part as the body of a Lark terminal (llguidance dialect)."""
    if isinstance(part, str):
        return json.dumps(part, ensure_ascii=False)
    if isinstance(part, Either):
        return "(" + " | ".join(to_lark(option) for option in part.options) + ")"
    return " ".join(to_lark(piece) for piece in part) or '""'


def literals(texts: Iterable[str]) -> str:
    """A union of literal texts as the body of a terminal."""
    return "(" + " | ".join(json.dumps(text, ensure_ascii=False) for text in sorted(texts)) + ")"


def count(part: Part) -> int:
    """How many choices spell the part: an upper bound of the number of its strings."""
    if isinstance(part, str):
        return 1
    if isinstance(part, Either):
        return sum(count(option) for option in part.options)
    total = 1
    for piece in part:
        total *= count(piece)
    return total


def longest(part: Part) -> int:
    """The length of the longest string, in characters."""
    if isinstance(part, str):
        return len(part)
    if isinstance(part, Either):
        return max(longest(option) for option in part.options)
    return sum(longest(piece) for piece in part)


def contains(part: Part, text: str) -> bool:
    """Whether `text` is one of the part's strings."""
    return len(text) in _ends(part, text, {0})


def _ends(part: Part, text: str, starts: set[int]) -> set[int]:
    if isinstance(part, str):
        return {start + len(part) for start in starts if text.startswith(part, start)}
    if isinstance(part, Either):
        return set().union(*(_ends(option, text, starts) for option in part.options))
    for piece in part:
        starts = _ends(piece, text, starts)
    return starts
