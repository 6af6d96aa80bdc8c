"""Fenced code of a reply: by the rules of CommonMark and the ways in which models break them, and by those of
Org mode, AsciiDoc, reStructuredText and HTML."""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from textwrap import dedent

MAX_CLOSINGS = 12
"""How many possible ends of a fence are tried; a docstring with many fences has as many."""

MAX_GLUED = 4
"""How many lines of code with the marks of an end after them are tried."""

MAX_FENCES = 60
"""How many fences of a reply are looked at."""

Complete = Callable[[str], bool]
_FENCE = re.compile(
    r"^(?P<indent>(?:>\s?)*[ \t]*(?:[-*+]\s+|\d+[.)]\s+)?)(?P<marks>`{3,}|~{3,})(?P<info>.*)$"
)
_AFTER_PROSE = re.compile(r"^(?P<indent>)[^`]*[^`\s][ \t]+(?P<marks>`{3,})(?P<info>python3?|py)[ \t]*$")
_GLUED = re.compile(r"^(?:\w+[ \t]+)?((?:class|def|async def|import|from)\s.*|@\w.*)$")
_ORG = re.compile(r"[ \t]*#\+begin_src\b[ \t]*(\S*)", re.IGNORECASE)
_ASCIIDOC = re.compile(r"\[source\b,?[ \t]*(\w*)[^\[\]]*\][ \t]*", re.IGNORECASE)
_DIRECTIVE = re.compile(r"([ \t]*)\.\. (?:code-block|sourcecode|code)::[ \t]*([\w+-]*)[ \t]*")
_PRE = re.compile(r"[ \t]*<pre\b[^<>]*>\s*<code\b([^<>]*)>(.*)", re.IGNORECASE)
_LANGUAGE = re.compile(r"language-([\w+-]+)")


@dataclass(frozen=True, slots=True)
class Fence:
    """One fenced text. `closed` is false when the reply ends within it. `first` and `after` are the lines
    of the text, from 0, at which it begins and after which it has ended, its marks included."""

    code: str
    info: str
    closed: bool
    first: int
    after: int


def fences(text: str, complete: Complete) -> list[Fence]:
    """The outermost fences of a text in order, at most `MAX_FENCES`.

    A fence ends at the first closing line where `complete(code)` holds, so a fence within a docstring
    does not end the one around it; if it holds nowhere, where the marks follow a last line of complete code
    on that line; else at the first closing line.
    """
    lines = text.split("\n")
    found: list[Fence] = []
    at = 0
    while at < len(lines) and len(found) < MAX_FENCES:
        fence = next((fence for read in _KINDS if (fence := read(lines, at, complete))), None)
        found += [fence] if fence else []
        at = fence.after if fence else at + 1
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


def _markdown(lines: list[str], first: int, complete: Complete) -> Fence | None:
    opening = _FENCE.match(lines[first]) or _AFTER_PROSE.match(lines[first])
    if opening is None or (opening["marks"][0] == "`" and "`" in opening["info"]):
        return None
    info, marks = opening["info"].strip(), opening["marks"]
    glued = _GLUED.match(info)
    quote = ">" in opening["indent"]

    def code(end: int) -> str:
        return "\n".join([*([glued[1]] if glued else []), *_inner(lines[first + 1 : end], quote)])

    def ends_of_code() -> Iterator[Fence]:
        for at in islice(_ends_of_code(lines, first + 1, marks), MAX_GLUED):
            last = lines[at].partition(marks)[0]
            if complete(whole := f"{code(at)}\n{last}"):
                yield Fence(whole, info, True, first, at + 1)

    ends = (at for at in range(first + 1, len(lines)) if _closes(lines[at], marks))
    return _until(ends, len(lines), code, info, first, complete, ends_of_code())


def _until(
    closing: Iterator[int],
    last: int,
    code: Callable[[int], str],
    info: str,
    first: int,
    complete: Complete,
    otherwise: Iterable[Fence] = (),
) -> Fence:
    """The fence that ends at the first of the `closing` lines with complete code; if none has, the first of
    `otherwise`; else the one up to the first closing line, or without one up to the `last`."""
    ends = list(islice(closing, MAX_CLOSINGS))
    end = next((end for end in ends if complete(code(end))), None)
    if end is None and (fence := next(iter(otherwise), None)) is not None:
        return fence
    if not ends:
        return Fence(code(last), info, False, first, last)
    end = ends[0] if end is None else end
    return Fence(code(end), info, True, first, end + 1)


def _between_lines(lines: list[str], first: int, complete: Complete) -> Fence | None:
    """`#+BEGIN_SRC python` of Org mode, and `[source,python]` above a line of dashes of AsciiDoc."""
    start = first + 1
    if (opening := _ORG.match(lines[first])) is not None:
        closing = "#+end_src"
    elif (opening := _ASCIIDOC.fullmatch(lines[first])) is not None and start < len(lines):
        closing, start = lines[start].strip(), start + 1
        if len(closing) < 4 or set(closing) != {"-"}:
            return None
    else:
        return None
    ends = (at for at in range(start, len(lines)) if lines[at].strip().lower() == closing)
    return _until(ends, len(lines), lambda end: "\n".join(lines[start:end]), opening[1], first, complete)


def _html(lines: list[str], first: int, complete: Complete) -> Fence | None:
    """`<pre><code class="language-python">`, whose ends may stand on lines of the code."""
    opening = _PRE.fullmatch(lines[first])
    if opening is None:
        return None
    language = _LANGUAGE.search(opening[1])
    body = [*([opening[2]] if opening[2].strip() else []), *lines[first + 1 :]]
    above = len(lines) - len(body)

    def code(end: int) -> str:
        last = body[end - above].partition("</code>")[0] if end < len(lines) else ""
        text = "\n".join([*body[: end - above], *([last] if last.strip() else [])])
        return text if "<" in text else html.unescape(text)

    ends = (at for at in range(above, len(lines)) if "</code>" in body[at - above])
    info = language[1] if language else ""
    return _until(ends, len(lines), code, info, first, complete)


def _directive(lines: list[str], first: int, _complete: Complete) -> Fence | None:
    """`.. code-block:: python` of reStructuredText, and the lines that are indented below it."""
    opening = _DIRECTIVE.fullmatch(lines[first])
    if opening is None:
        return None
    end = first + 1
    while end < len(lines) and (not lines[end].strip() or _indent(lines[end]) > len(opening[1])):
        end += 1
    start = first + 1
    while start < end and (not lines[start].strip() or lines[start].lstrip().startswith(":")):
        start += 1
    code = dedent("\n".join(lines[start:end])).rstrip("\n")
    return Fence(code, opening[2], end < len(lines), first, end) if code else None


_KINDS = (_markdown, _between_lines, _html, _directive)


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


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())
