"""Code within something else: JSON, a Python string, tags, or prose without fences."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice, zip_longest
from typing import Any

from ge_engine.source.syntax import SyntaxFault, parse

MAX_TRIES = 12
MAX_PIECES = 60
"""How many texts of one kind of wrapper are opened."""
_CLOSING_TAG = re.compile(r"</([A-Za-z][\w.:-]*+)[^<>\n]*+>")
_START = re.compile(
    r"(?P<indent>[ \t\u00a0]*+)(?P<number>(?:\d{1,5}(?:[ \t]*+[:|.)→│])?+[ \t]*+)?+)"
    r"(?:@\w[\w.]*|class\s+\w+\s*[:(]|(?:async\s+)?def\s+\w+\s*[(\[]"
    r"|import\s+\w[\w., ]*$|from\s+[\w.]+\s+import\s)"
)
_NUMBERED = re.compile(r"[ \t]*\d{1,5}(?:[ \t]*[:|.)→│]|[ \t]|$)")
_CODE_LIKE = re.compile(
    r"#|[)\]}]|\"|'|[\w.\[\],\s]++(?::\s*+[\w.\[\]]++\s*+)?[-+*/]?=(?!=)|[\w.]++\(|pass$|"
    r"(?:if|elif|for|while|with|except|async)\s.*:\s*(?:#.*)?$|(?:else|try|finally)\s*:|(?:return|raise|del|assert)\b"
)
_LINE_LOOKED_AT = 500
_LIST_ITEM = re.compile(r"\s+(?:[-*+•]|\d+[.)])\s")
_SUPERSEDED = re.compile(
    r"old|orig|original|before|prev|previous|drafts?|rejected|discarded|existing|current|wrong|bad|search|"
    r"baseline|reasoning|thoughts?|thinking|think|scratchpad|analysis"
)
_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")
_HEADING = re.compile(
    r"\W*(?:(?:the|my|a|an|first|initial|here\s+is|this\s+is|from)\s+)*"
    r"(?:old|original|previous|rejected|discarded|draft|before|wrong)(?:\s+(?:code|version|block|class|method|"
    r"function|draft|attempt|one|answer|implementation))*(?:\s+(?:was|is))?(?:\s*\([^()\n]{0,60}\))?\W*"
    r"|\W*(?:please\s+)?(?:do\s+not|don['\u2019]t|never)\s+use\s+(?:this|it|that|the\s+following)"
    r"(?:\s+(?:code|version|block|class|method|function|one|variant|implementation))?(?:\s*[,;:.(\u2014-].*)?\W*",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Wrapped:
    """A text within another. `name` is its key, tag or variable; `step` says what was opened."""

    text: str
    name: str
    step: str


@dataclass(frozen=True, slots=True)
class Region:
    """Lines `first` to `after` (excluded, from 0) of a text, which may be code."""

    text: str
    first: int
    after: int


def is_superseded(name: str) -> bool:
    """The name says that what it stands for is not the answer: an original, a draft, a thought."""
    return any(_SUPERSEDED.fullmatch(word.lower()) for word in _WORD.findall(name))


def announces_superseded(line: str) -> bool:
    """The line is a heading of code that is not the answer, such as "Rejected draft:"."""
    return len(line) < 120 and _HEADING.fullmatch(line) is not None


def wrapped_texts(text: str) -> Iterator[Wrapped]:
    """Texts that `text` wraps, those of each kind in order."""
    for value in _json_values(text):
        yield from (Wrapped(inner, name, "opened a JSON string") for name, inner in _strings(value, ""))
    tree = parse(text.strip())
    if not isinstance(tree, SyntaxFault):
        yield from islice(_python_strings(tree), MAX_PIECES)
    yield from islice(_elements(text), MAX_PIECES)
    ticks = re.fullmatch(r"\s*`([^`]+)`\s*", text)
    if ticks:
        yield Wrapped(ticks[1], "", "opened an inline code span")
    quoted = _quoted(text.split("\n")) if isinstance(tree, SyntaxFault) else None
    if quoted:
        yield Wrapped(quoted, "", "opened a fence of quotes")


def prose_regions(text: str, header: re.Pattern[str]) -> Iterator[Region]:
    """Stretches of lines that may be code, in order: each begins like a definition, an import or the `header`
    of a block, and ends before a line at its indent that is no code. Longer readings follow shorter ones."""
    lines = text.split("\n")
    at = 0
    tries = 0
    while at < len(lines) and tries < 4 * MAX_TRIES:
        start = _START.match(lines[at])
        if start is None and header.match(lines[at]) is None:
            at += 1
            continue
        begin = _with_comments(lines, at)
        if start is not None and start["number"].strip():
            ends = _numbered_ends(lines, at + 1)
        else:
            ends = _ends(lines, at + 1, len(lines[at]) - len(lines[at].lstrip(" \t\u00a0")))
        for end in ends[:MAX_TRIES]:
            tries += 1
            yield Region("\n".join(lines[begin:end]), begin, end)
        at = ends[0]


def _ends(lines: list[str], start: int, indent: int) -> list[int]:
    """Where a region may end. Not before prose that indented code follows: that would cut a block."""
    found = []
    after = ""
    for at in range(len(lines) - 1, start - 1, -1):
        line = lines[at][:_LINE_LOOKED_AT]
        bare = line.strip()
        if not bare:
            continue
        own = len(line) - len(line.lstrip())
        code = own > indent or (own == indent and (_START.match(line) or _CODE_LIKE.match(bare)))
        deeper = len(after) - len(after.lstrip()) > indent and not _LIST_ITEM.match(after)
        if not code and (not deeper or bare[0] in "`~"):
            found.append(at)
        after = line
    return [*reversed(found), len(lines)]


def _numbered_ends(lines: list[str], start: int) -> list[int]:
    """Where a region of numbered lines ends."""
    for at in range(start, len(lines)):
        if lines[at].strip() and not _NUMBERED.match(lines[at]):
            return [at]
    return [len(lines)]


def _with_comments(lines: list[str], at: int) -> int:
    while at and lines[at - 1].lstrip().startswith("#") and not lines[at - 1].lstrip().startswith("##"):
        at -= 1
    return at


def _json_values(text: str) -> Iterator[Any]:
    decoder = json.JSONDecoder(strict=False)
    end = failed = 0
    for match in re.finditer(r"^[ \t]*([\[{\"])", text, re.MULTILINE):
        if match.start(1) < end or failed >= MAX_TRIES:
            continue
        try:
            value, end = decoder.raw_decode(text, match.start(1))
        except (ValueError, RecursionError):
            failed += 1
            continue
        yield value


def _strings(value: Any, name: str) -> Iterator[tuple[str, str]]:
    """Strings of more than one line in order, each with the names of the keys that lead to it."""
    stack = [(name, value)]
    while stack:
        name, item = stack.pop()
        if isinstance(item, str) and ("\n" in item or "\\n" in item):
            yield name, item
        elif isinstance(item, list):
            if item and all(isinstance(one, str) for one in item):
                yield name, "\n".join(line.rstrip("\n") for line in item)
            stack.extend((name, one) for one in reversed(item))
        elif isinstance(item, dict):
            stack.extend((f"{name} {key}", one) for key, one in reversed(item.items()))


def _python_strings(tree: ast.Module) -> Iterator[Wrapped]:
    names = dict(_named(tree))
    constants = [n for n in ast.walk(tree) if isinstance(n, ast.Constant) and isinstance(n.value, str)]
    for node in sorted(constants, key=lambda n: (n.lineno, n.col_offset)):
        if "\n" in str(node.value):
            yield Wrapped(str(node.value), names.get(id(node), ""), "opened a Python string")


def _named(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """The names under which strings are kept: variable, key or keyword."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign):
            yield id(node.value), " ".join(t.id for t in node.targets if isinstance(t, ast.Name))
        elif isinstance(node, ast.AnnAssign) and node.value is not None and isinstance(node.target, ast.Name):
            yield id(node.value), node.target.id
        elif isinstance(node, ast.keyword):
            yield id(node.value), node.arg or ""
        elif isinstance(node, ast.Dict):
            pairs = zip(node.keys, node.values, strict=True)
            yield from ((id(v), str(k.value)) for k, v in pairs if isinstance(k, ast.Constant))


def superseded_spans(text: str) -> list[tuple[int, int]]:
    """Start and end of what stands between tags whose name says that it is not the answer. The first tag
    begins a line."""
    spans = []
    for start, end, name in _spans(text):
        opening = text.rfind("<", 0, start)
        if is_superseded(name) and not text[text.rfind("\n", 0, opening) + 1 : opening].strip():
            spans.append((opening, text.find(">", end) + 1))
    return sorted(spans)


def without_superseded(text: str) -> str:
    """The text less what stands between such tags."""
    kept, at = [], 0
    for start, end in superseded_spans(text):
        if start >= at:
            kept.append(text[at:start])
            at = end
    return "".join([*kept, text[at:]])


def _elements(text: str) -> Iterator[Wrapped]:
    """What stands between tags, in order of the ends; named by itself and by what it stands within that is
    superseded."""
    spans = _spans(text)
    superseded = [span for span in spans if is_superseded(span[2])][:MAX_PIECES]
    for start, end, name in sorted(spans, key=lambda span: (span[1], -span[0])):
        around = [outer for first, last, outer in superseded if first <= start and end <= last]
        inner = text[start:end].strip("\n").removeprefix("<![CDATA[").removesuffix("]]>")
        yield Wrapped(inner, " ".join([name, *around]), f"opened the tag {name}")


def _spans(text: str) -> list[tuple[int, int, str]]:
    """Start, end and name of what stands between tags. One opening tag reaches to each closing one of its
    name, since a string may hold such a tag."""
    found: list[tuple[int, int, str]] = []
    for name in list(dict.fromkeys(match[1] for match in _CLOSING_TAG.finditer(text)))[:MAX_TRIES]:
        opened: list[int] = []
        marks = list(islice(re.finditer(rf"<(/?){re.escape(name)}(?:\s[^<>\n]*+)?>", text), MAX_PIECES))
        for mark, following in zip_longest(marks, marks[1:]):
            if not mark[1]:
                opened.append(mark.end())
            elif opened:
                found.append((opened[-1] if len(opened) == 1 else opened.pop(), mark.start(), name))
                if following is not None and not following[1]:
                    opened.clear()
    return found


def _quoted(lines: list[str]) -> str | None:
    """What stands between two lines of three quotes."""
    for at, line in enumerate(lines):
        marks = line[:3]
        if marks in ("'''", '"""') and re.fullmatch(r"\w*+[ \t]*+", line[3:]):
            ends = (end for end in range(at + 1, len(lines)) if lines[end].rstrip(" \t") == marks)
            end = next(ends, None)
            return None if end is None else "".join(f"{one}\n" for one in lines[at + 1 : end])
    return None
