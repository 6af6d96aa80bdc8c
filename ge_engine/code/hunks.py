"""Replies in the shape of an edit: SEARCH/REPLACE, unified diff, `*** Begin Patch`.

A hunk is applied only where its old lines occur exactly once.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_SEARCH = re.compile(r"<{5,9} ?(?:SEARCH|ORIGINAL|HEAD|OLD)?\s*")
_DIVIDE = re.compile(r"={5,9}\s*")
_REPLACE = re.compile(r">{5,9}.*")
_FILE = re.compile(
    r"^(?:diff --git |index [0-9a-f]+\.\.|--- |\+\+\+ |\*\*\* |\\ No newline|(?:new|deleted) file mode)"
)
_MARKS = re.compile(r"^@@.*@@|^\*\*\* (Begin Patch|Update File)|^diff --git ", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Hunk:
    old: str
    new: str


def looks_like_edit(text: str) -> bool:
    """True for a text that is an edit and no code: it has an edit's marks, or all its lines have signs."""
    if has_search_marks(text) or _MARKS.search(text):
        return True
    lines = [line for line in text.split("\n") if line.strip() and not _FILE.match(line)]
    return all(line[0] in " +-\\" for line in lines) and any(line[0] in "+-" for line in lines)


def has_search_marks(text: str) -> bool:
    """True for a text with the marks of SEARCH/REPLACE."""
    marks = r"^<{5,9} ?(SEARCH|ORIGINAL|HEAD|OLD)\b|^>{5,9} ?(REPLACE|UPDATED|NEW)\b"
    return re.search(marks, text, re.MULTILINE) is not None


def hunks(text: str) -> list[Hunk]:
    """The edits that a text holds, in order."""
    return _search_replace(text) or _unified(text)


def _search_replace(text: str) -> list[Hunk]:
    found: list[Hunk] = []
    old: list[str] | None = None
    new: list[str] | None = None
    for line in text.split("\n"):
        if _SEARCH.fullmatch(line):
            old, new = [], None
        elif old is not None and new is None and _DIVIDE.fullmatch(line):
            new = []
        elif old is not None and new is not None and _REPLACE.fullmatch(line):
            found.append(Hunk("\n".join(old), "\n".join(new)))
            old = new = None
        elif new is not None:
            new.append(line)
        elif old is not None:
            old.append(line)
    return found


def apply_hunks(code: str, edits: list[Hunk], indent: str) -> str | int:
    """`code` with all edits made; or how often the old text of the first that does not fit occurs
    (0, or 2 and more). Old text that is indented by `indent`, as in the file, is understood too."""
    for hunk in edits:
        old, new = hunk.old.strip("\n"), hunk.new.strip("\n")
        count = _occurrences(code, old)
        if count == 0 and indent and _all_indented(old, indent) and _all_indented(new, indent):
            old, new = _shifted(old, indent), _shifted(new, indent)
            count = _occurrences(code, old)
        if count != 1 or not old.strip():
            return count if old.strip() else 0
        code = f"\n{code}\n".replace(f"\n{old}\n", f"\n{new}\n" if new else "\n", 1)[1:-1]
    return code


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
    old: list[str] = []
    new: list[str] = []
    for line in [*text.split("\n"), "@@"]:
        if line.startswith("@@") or _FILE.match(line):
            if old != new:
                found.append(Hunk("\n".join(old), "\n".join(new)))
            old, new = [], []
        elif line.startswith("-"):
            old.append(line[1:])
        elif line.startswith("+"):
            new.append(line[1:])
        else:
            context = line[1:] if line.startswith(" ") else line
            old.append(context)
            new.append(context)
    return found


def _occurrences(code: str, old: str) -> int:
    """How often whole lines of `code` are `old`, overlaps included."""
    wanted, lines = old.split("\n"), code.split("\n")
    return sum(lines[at : at + len(wanted)] == wanted for at in range(len(lines) - len(wanted) + 1))


def _all_indented(text: str, indent: str) -> bool:
    return all(line.startswith(indent) for line in text.split("\n") if line.strip())


def _shifted(text: str, indent: str) -> str:
    return "\n".join(line.removeprefix(indent) for line in text.split("\n"))
