"""Differences of texts, by runs of equal lines and word by word."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator
from typing import Literal

WordKind = Literal["equal", "insert", "delete"]
_WORD = re.compile(r"\w+|[ \t]+|\n|[^\w\s]|\s")


def with_ends(text: str) -> list[str]:
    """The lines of a text, each with its end."""
    return [f"{line}\n" for line in text.split("\n")] if text else []


def word_pieces(old: str, new: str) -> list[tuple[WordKind, str]]:
    """What of a text stays, goes and comes, word by word."""
    one, other = _WORD.findall(old), _WORD.findall(new)
    pieces: list[tuple[WordKind, str]] = []
    for tag, i, j, k, m in difflib.SequenceMatcher(None, one, other, autojunk=False).get_opcodes():
        if tag == "equal":
            pieces.append(("equal", "".join(one[i:j])))
            continue
        pieces += [("delete", "".join(one[i:j]))] if j > i else []
        pieces += [("insert", "".join(other[k:m]))] if m > k else []
    return pieces


def equal_runs(old: list[str], new: list[str]) -> Iterator[tuple[int, int, int]]:
    """Runs of equal lines as (start in old, start in new, length). Equal heads and tails cost nothing."""
    head = 0
    while head < min(len(old), len(new)) and old[head] == new[head]:
        head += 1
    tail = 0
    while tail < min(len(old), len(new)) - head and old[-1 - tail] == new[-1 - tail]:
        tail += 1
    yield 0, 0, head
    middle = difflib.SequenceMatcher(
        None, old[head : len(old) - tail], new[head : len(new) - tail], autojunk=False
    )
    yield from ((m.a + head, m.b + head, m.size) for m in middle.get_matching_blocks())
    yield len(old) - tail, len(new) - tail, tail
