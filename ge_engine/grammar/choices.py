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
NOTHING = Either(())
"""The part without any string."""


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


def strings(part: Part) -> set[str]:
    """Every string of a part. Only for parts of few choices."""
    if isinstance(part, str):
        return {part}
    if isinstance(part, tuple):
        found = {""}
        for piece in part:
            found = {head + tail for head in found for tail in strings(piece)}
        return found
    return set().union(*(strings(option) for option in part.options))


def remove(part: Part, barred: frozenset[str]) -> Part:
    """The part without the strings `barred`: exactly those, whatever choices spell them.

    A concatenation is cut at its first piece with a choice: the options of that piece that can begin a
    barred string are followed by a remainder of their own. `NOTHING` when no string is left.
    """
    hit = frozenset(text for text in barred if contains(part, text))
    if not hit:
        return part
    if isinstance(part, str):
        return NOTHING
    if isinstance(part, Either):
        left = [kept for option in part.options if (kept := remove(option, hit)) != NOTHING]
        return either(left) if left else NOTHING
    return _remove_from_pieces(part, hit)


def _remove_from_pieces(pieces: tuple[Part, ...], barred: frozenset[str]) -> Part:
    if not pieces:
        return NOTHING if "" in barred else ()
    first, rest = pieces[0], pieces[1:]
    if isinstance(first, tuple):
        return _remove_from_pieces((*first, *rest), barred)
    kept: list[Part] = []
    for option in first.options if isinstance(first, Either) else (first,):
        if not isinstance(option, str):
            left = _remove_from_pieces((option, *rest), barred)
        else:
            tails = frozenset(text[len(option) :] for text in barred if text.startswith(option))
            tail = _remove_from_pieces(rest, tails) if tails else rest
            left = NOTHING if tail == NOTHING else (option, tail)
        if left != NOTHING:
            kept.append(left)
    return either(kept) if kept else NOTHING
