"""Code fences of a reply, by the rules of CommonMark and the ways in which models break them."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

MAX_CLOSINGS = 12
"""How many possible ends of a fence are tried; a docstring with many fences has as many."""

_FENCE = re.compile(
    r"^(?P<indent>(?:>\s?)*[ \t]*(?:[-*+]\s+|\d+[.)]\s+)?)(?P<marks>`{3,}|~{3,})(?P<info>.*)$"
)
_GLUED = re.compile(r"^(?:\w+[ \t]+)?((?:class|def|async def|import|from)\s.*|@\w.*)$")


@dataclass(frozen=True, slots=True)
class Fence:
    """One fenced text. `closed` is false when the reply ends within it."""

    code: str
    info: str
    closed: bool


def fences(text: str, complete: Callable[[str], bool]) -> list[Fence]:
    """The outermost fences of a text in order.

    A fence ends at the first closing line where `complete(code)` holds, so a fence within a docstring
    does not end the one around it; if it holds nowhere, at the first closing line.
    """
    lines = text.split("\n")
    found: list[Fence] = []
    at = 0
    while at < len(lines):
        opening = _FENCE.match(lines[at])
        if opening is None or (opening["marks"][0] == "`" and "`" in opening["info"]):
            at += 1
            continue
        fence, at = _read(lines, at, opening, complete)
        found.append(fence)
    return found


def _read(
    lines: list[str], start: int, opening: re.Match[str], complete: Callable[[str], bool]
) -> tuple[Fence, int]:
    info = opening["info"].strip()
    glued = _GLUED.match(info)
    head = [glued[1]] if glued else []
    quote = ">" in opening["indent"]
    ends = [at for at in range(start + 1, len(lines)) if _closes(lines[at], opening["marks"])]
    for end in ends[:MAX_CLOSINGS]:
        code = "\n".join(head + _inner(lines[start + 1 : end], quote))
        if complete(code):
            return Fence(code, info, True), end + 1
    if ends:
        return Fence("\n".join(head + _inner(lines[start + 1 : ends[0]], quote)), info, True), ends[0] + 1
    rest = _inner(lines[start + 1 :], quote)
    return Fence("\n".join(head + rest), info, False), len(lines)


def _closes(line: str, marks: str) -> bool:
    bare = re.sub(r"^(?:>\s?)*", "", line).strip()
    return len(bare) >= len(marks) and set(bare) == {marks[0]}


def _inner(lines: list[str], quote: bool) -> list[str]:
    return [re.sub(r"^>[ ]?", "", line) for line in lines] if quote else lines
