"""What a rewritten definition keeps of the old one's layout: line ends, and blanks at the ends of lines."""

from __future__ import annotations

from difflib import SequenceMatcher

from ge_engine.source.syntax import newline_of, split_lines


def with_line_ends(text: str, old: str, default: str) -> str:
    """`text` (LF) with the line ends of `old`, which it replaces. Where those are mixed, a line that stays
    keeps its own; a new one gets the most common."""
    common = newline_of(old, default)
    before = split_lines(old)
    bare, lines = [line.rstrip("\r\n") for line in before], text.split("\n")
    if all(line in (same, same + common) for line, same in zip(before, bare, strict=True)):
        return text.replace("\n", common)
    ends = [common] * len(lines)
    for at, to in _kept(bare, lines):
        ends[to] = before[at][len(bare[at]) :] or common
    return "".join(line + end for line, end in zip(lines, [*ends[:-1], ""], strict=True))


def with_blanks(text: str, old: str) -> str:
    """`text` (LF) in which each line that differs from one of `old` in the blanks at its end alone is that
    one. Whether these stand in a string is for the caller to see."""
    before, lines = old.split("\n"), text.split("\n")
    bare = [line.rstrip(" \t") for line in before]
    if bare == before:
        return text
    for at, to in _kept(bare, [line.rstrip(" \t") for line in lines]):
        lines[to] = before[at]
    return "\n".join(lines)


def _kept(old: list[str], new: list[str]) -> list[tuple[int, int]]:
    """The lines of `old` that stay, each with its place in `new`."""
    matches = SequenceMatcher(None, old, new, autojunk=False).get_matching_blocks()
    return [(match.a + step, match.b + step) for match in matches for step in range(match.size)]
