"""Code fences of a reply, by the rules of CommonMark and the ways in which models break them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice

MAX_CLOSINGS = 12
"""How many possible ends of a fence are tried; a docstring with many fences has as many."""

MAX_GLUED = 4
"""How many lines of code with the marks of an end after them are tried."""

MAX_FENCES = 60
"""How many fences of a reply are looked at."""

_FENCE = re.compile(
    r"^(?P<indent>(?:>\s?)*[ \t]*(?:[-*+]\s+|\d+[.)]\s+)?)(?P<marks>`{3,}|~{3,})(?P<info>.*)$"
)
_AFTER_PROSE = re.compile(r"^(?P<indent>)[^`]*[^`\s][ \t]+(?P<marks>`{3,})(?P<info>python3?|py)[ \t]*$")
_GLUED = re.compile(r"^(?:\w+[ \t]+)?((?:class|def|async def|import|from)\s.*|@\w.*)$")


@dataclass(frozen=True, slots=True)
class Fence:
    """One fenced text. `closed` is false when the reply ends within it. `first` and `after` are the lines
    of the text, from 0, at which it begins and after which it has ended, its marks included."""

    code: str
    info: str
    closed: bool
    first: int
    after: int


def fences(text: str, complete: Callable[[str], bool]) -> list[Fence]:
    """The outermost fences of a text in order, at most `MAX_FENCES`.

    A fence ends at the first closing line where `complete(code)` holds, so a fence within a docstring
    does not end the one around it; if it holds nowhere, where the marks follow a last line of complete code
    on that line; else at the first closing line.
    """
    lines = text.split("\n")
    found: list[Fence] = []
    at = 0
    while at < len(lines) and len(found) < MAX_FENCES:
        opening = _FENCE.match(lines[at]) or _AFTER_PROSE.match(lines[at])
        if opening is None or (opening["marks"][0] == "`" and "`" in opening["info"]):
            at += 1
            continue
        found.append(_read(lines, at, opening, complete))
        at = found[-1].after
    return found


def outside(text: str, found: list[Fence]) -> str:
    """The text with blank lines in place of each fence."""
    lines = text.split("\n")
    for fence in found:
        lines[fence.first : fence.after] = [""] * (fence.after - fence.first)
    return "\n".join(lines)


def heading(text: str, fence: Fence) -> str:
    """The last line above a fence that is not blank, "" where there is none."""
    lines = text.split("\n")[max(0, fence.first - 4) : fence.first]
    return next((line.strip() for line in reversed(lines) if line.strip()), "")


def _read(lines: list[str], start: int, opening: re.Match[str], complete: Callable[[str], bool]) -> Fence:
    info = opening["info"].strip()
    glued = _GLUED.match(info)
    quote = ">" in opening["indent"]

    def code(end: int) -> str:
        return "\n".join([*([glued[1]] if glued else []), *_inner(lines[start + 1 : end], quote)])

    closing = (at for at in range(start + 1, len(lines)) if _closes(lines[at], opening["marks"]))
    ends = list(islice(closing, MAX_CLOSINGS))
    end = next((end for end in ends if complete(code(end))), None)
    if end is None:
        for at in islice(_ends_of_code(lines, start + 1, opening["marks"]), MAX_GLUED):
            last = lines[at].partition(opening["marks"])[0]
            if complete(whole := f"{code(at)}\n{last}"):
                return Fence(whole, info, True, start, at + 1)
    if not ends:
        return Fence(code(len(lines)), info, False, start, len(lines))
    end = ends[0] if end is None else end
    return Fence(code(end), info, True, start, end + 1)


def _ends_of_code(lines: list[str], start: int, marks: str) -> Iterator[int]:
    """Lines of code, with the marks of a fence after it."""
    return (
        at for at in range(start, len(lines)) if lines[at].partition(marks)[0].strip() and marks in lines[at]
    )


def _closes(line: str, marks: str) -> bool:
    bare = re.sub(r"^(?:>\s?)*", "", line).strip()
    return len(bare) >= len(marks) and set(bare) == {marks[0]}


def _inner(lines: list[str], quote: bool) -> list[str]:
    return [re.sub(r"^>[ ]?", "", line) for line in lines] if quote else lines
