"""Replies in the shape of an edit: SEARCH/REPLACE, unified diff, `*** Begin Patch`.

A hunk is applied only where its old lines occur exactly once.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass

_SEARCH = re.compile(r"[ \t]*+<{5,9} ?(?:SEARCH|ORIGINAL|HEAD|OLD)?\s*", re.IGNORECASE)
_DIVIDE = re.compile(r"[ \t]*+={5,9}\s*")
_REPLACE = re.compile(r"[ \t]*+>{5,9}(?: ?(?:REPLACE|UPDATED|NEW|HEAD|[\w./-]+))?[ \t`]*", re.IGNORECASE)
_FILE = re.compile(
    r"^(?:diff --git |index [0-9a-f]+\.\.|--- |\+\+\+ |\*\*\* |\\ No newline|(?:new|deleted) file mode)"
)
_MARKS = re.compile(r"^@@.*@@|^\*\*\* (Begin Patch|Update File)|^diff --git ", re.MULTILINE)


OVERLAP = -1
"""Two edits replace the same line."""


@dataclass(frozen=True, slots=True)
class Hunk:
    """Old and new text. `loose` are the same of a diff whose lines of context lost the space in front."""

    old: str
    new: str
    loose: tuple[str, str] | None = None


def looks_like_edit(text: str) -> bool:
    """True for a text that is an edit and no code: it has an edit's marks, or all its lines have signs."""
    if has_search_marks(text) or _MARKS.search(text):
        return True
    lines = [line for line in text.split("\n") if line.strip() and not _FILE.match(line)]
    return all(line[0] in " +-\\" for line in lines) and any(line[0] in "+-" for line in lines)


def has_search_marks(text: str) -> bool:
    """True for a text with the marks of SEARCH/REPLACE."""
    marks = r"^[ \t]*+(?:<{5,9} ?(?:SEARCH|ORIGINAL|HEAD|OLD)\b|>{5,9} ?(?:REPLACE|UPDATED|NEW)\b)"
    return re.search(marks, text, re.MULTILINE | re.IGNORECASE) is not None


def hunks(text: str) -> list[Hunk]:
    """The edits that a text holds, in order; none when one of them is not complete."""
    return _search_replace(text) if has_search_marks(text) else _unified(text)


def _search_replace(text: str) -> list[Hunk]:
    found: list[Hunk] = []
    parts: list[list[str]] = []
    for line in text.split("\n"):
        if _SEARCH.fullmatch(line):
            if parts:
                return []
            parts = [[]]
        elif len(parts) == 1 and _DIVIDE.fullmatch(line):
            parts.append([])
        elif len(parts) == 2 and _REPLACE.fullmatch(line):
            found.append(Hunk("\n".join(parts[0]), "\n".join(parts[1])))
            parts = []
        elif parts:
            parts[-1].append(line)
    return [] if parts else found


def apply_hunks(code: str, edits: list[Hunk], indent: str) -> str | int:
    """`code` with all edits made; or how often the old text of one that does not fit occurs (0, or 2 and
    more), or OVERLAP. Old text that is indented by `indent`, as in the file, is understood too.

    Each is looked for in `code` as it stands, so that what one brings in is not what another means; only
    where one does not occur there, one after the other.
    """
    fitted = [_fitted(code, hunk, indent) for hunk in edits]
    found = [len(_places(code.split("\n"), old)) if old.strip() else 0 for old, _ in fitted]
    worst = max(found, default=0)
    if worst > 1:
        return worst
    return _together(code, fitted) if all(found) else _in_turn(code, edits, indent)


def _in_turn(code: str, edits: list[Hunk], indent: str) -> str | int:
    for hunk in edits:
        old, new = _fitted(code, hunk, indent)
        count = len(_places(code.split("\n"), old)) if old.strip() else 0
        if count != 1:
            return count
        code = f"\n{code}\n".replace(f"\n{old}\n", f"\n{new}\n" if new else "\n", 1)[1:-1]
    return code


def _together(code: str, fitted: list[tuple[str, str]]) -> str | int:
    """The code with all replacements, each of which occurs once; OVERLAP where two share a line."""
    lines = code.split("\n")
    spans = [(_places(lines, old)[0], old.count("\n") + 1, new) for old, new in fitted]
    spans.sort(key=lambda span: span[0])
    if any(a[0] + a[1] > b[0] for a, b in itertools.pairwise(spans)):
        return OVERLAP
    for at, count, new in reversed(spans):
        lines[at : at + count] = new.split("\n") if new else []
    return "\n".join(lines)


def _fitted(code: str, hunk: Hunk, indent: str) -> tuple[str, str]:
    """Old and new text of an edit in the first reading that fits: as it stands, shifted to column 0, with
    other blanks at the ends of lines."""
    lines = code.split("\n")
    pairs = [(hunk.old.strip("\n"), hunk.new.strip("\n"))]
    pairs += [(hunk.loose[0].strip("\n"), hunk.loose[1].strip("\n"))] if hunk.loose else []
    pairs += [
        (_shifted(old, indent), _shifted(new, indent))
        for old, new in pairs
        if indent and _all_indented(old, indent) and _all_indented(new, indent)
    ]
    exact = next((pair for pair in pairs if _places(lines, pair[0])), None)
    if exact is not None:
        return exact
    bare = [line.rstrip() for line in lines]
    for old, new in pairs:
        found = _places(bare, "\n".join(line.rstrip() for line in old.split("\n")))
        if len(found) == 1:
            return "\n".join(lines[found[0] : found[0] + old.count("\n") + 1]), new
    return pairs[0]


def added_lines(text: str) -> str:
    """The code of a diff that only adds: every line begins with a plus sign. Else ""."""
    lines = [line for line in text.split("\n") if line.strip() and not _FILE.match(line)]
    lines = [line for line in lines if not line.startswith("@@")]
    if not lines or not all(line.startswith("+") for line in lines):
        return ""
    kept = [
        line
        for line in text.split("\n")
        if not line.strip() or (line.startswith("+") and not _FILE.match(line))
    ]
    return "\n".join(line[1:] for line in kept)


def _unified(text: str) -> list[Hunk]:
    found: list[Hunk] = []
    lines: list[str] = []
    for line in [*text.split("\n"), "@@"]:
        if line.startswith("@@") or _FILE.match(line):
            found += _hunk(lines)
            lines = []
        else:
            lines.append(line)
    return found


def _hunk(lines: list[str]) -> Iterator[Hunk]:
    """The hunk that these lines are, with what is written after it left out."""
    last = max((at for at, line in enumerate(lines) if line.startswith(("+", "-"))), default=-1)
    ends = (at for at in range(last + 1, len(lines)) if lines[at] and not lines[at].startswith((" ", "\t")))
    lines = lines[: next(ends, len(lines))]
    old = [_bare(line) for line in lines if not line.startswith("+")]
    new = [_bare(line) for line in lines if not line.startswith("-")]
    if old != new:
        loose = (
            "\n".join(line[line.startswith("-") :] for line in lines if not line.startswith("+")),
            "\n".join(line[line.startswith("+") :] for line in lines if not line.startswith("-")),
        )
        yield Hunk("\n".join(old), "\n".join(new), loose)


def _bare(line: str) -> str:
    return line[1:] if line.startswith((" ", "+", "-")) else line


def _places(lines: list[str], old: str) -> list[int]:
    """At which lines the whole lines of `old` stand, overlaps included."""
    wanted = old.split("\n")
    return [
        at
        for at in range(len(lines) - len(wanted) + 1)
        if lines[at] == wanted[0] and lines[at : at + len(wanted)] == wanted
    ]


def _all_indented(text: str, indent: str) -> bool:
    return all(line.startswith(indent) for line in text.split("\n") if line.strip())


def _shifted(text: str, indent: str) -> str:
    return "\n".join(line.removeprefix(indent) for line in text.split("\n"))
