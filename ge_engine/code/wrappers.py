"""Code within something else: JSON, a Python string, tags, or prose without fences."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from typing import Any

from ge_engine.code.syntax import SyntaxFault, parse

MAX_TRIES = 12
_CLOSING_TAG = re.compile(r"</([A-Za-z][\w.:-]*)[^<>\n]*>")
_START = re.compile(
    r"(?P<indent>[ \t\u00a0]*)"
    r"(?:@\w[\w.]*|class\s+\w+\s*[:(]|(?:async\s+)?def\s+\w+\s*[(\[]"
    r"|import\s+\w[\w., ]*$|from\s+[\w.]+\s+import\s)"
)
_CODE_LIKE = re.compile(
    r"#|[)\]}]|\"|'|[\w.\[\], ]+\s*(?::\s*[\w.\[\]]+\s*)?[-+*/]?=(?!=)|[\w.]+\(|pass$|"
    r"(?:if|elif|for|while|with|except|async)\s.*:\s*(?:#.*)?$|(?:else|try|finally)\s*:|(?:return|raise|del|assert)\b"
)
_LIST_ITEM = re.compile(r"\s+(?:[-*+•]|\d+[.)])\s")


def wrapped_texts(text: str) -> Iterator[tuple[str, str]]:
    """Texts that `text` wraps, each with a note of what was opened."""
    for value in _json_values(text):
        yield from ((inner, "opened a JSON string") for inner in _strings(value))
    tree = parse(text.strip())
    if not isinstance(tree, SyntaxFault):
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and "\n" in node.value:
                yield node.value, "opened a Python string"
    for name in list(dict.fromkeys(_CLOSING_TAG.findall(text)))[:MAX_TRIES]:
        inner = _within(text, name)
        if inner is not None:
            yield inner, f"opened the tag {name}"
    ticks = re.fullmatch(r"\s*`([^`]+)`\s*", text)
    if ticks:
        yield ticks[1], "opened an inline code span"
    quoted = re.search(r"^('''|\"\"\")\w*[ \t]*\n(.*?)^\1[ \t]*$", text, re.DOTALL | re.MULTILINE)
    if quoted:
        yield quoted[2], "opened a fence of quotes"


def prose_regions(text: str) -> Iterator[str]:
    """Stretches of lines that may be code, in order: each begins like a definition or an import and
    ends before a line at its own indent that cannot be code. Longer readings follow shorter ones."""
    lines = text.split("\n")
    at = 0
    tries = 0
    while at < len(lines) and tries < 4 * MAX_TRIES:
        start = _START.match(lines[at])
        if start is None:
            at += 1
            continue
        begin = _with_comments(lines, at)
        ends = _ends(lines, at + 1, len(start["indent"]))[:MAX_TRIES]
        for end in ends:
            tries += 1
            yield "\n".join(lines[begin:end])
        at = ends[0] if ends else len(lines)


def _ends(lines: list[str], start: int, indent: int) -> list[int]:
    """Where a region may end. Not before prose that indented code follows: that would cut a block."""
    found = []
    for at in range(start, len(lines)):
        line = lines[at]
        if not line.strip() or len(line) - len(line.lstrip()) > indent:
            continue
        bare = line.strip()
        if len(line) - len(line.lstrip()) == indent and (_START.match(line) or _CODE_LIKE.match(bare)):
            continue
        after = next((one for one in lines[at + 1 :] if one.strip()), "")
        deeper = len(after) - len(after.lstrip()) > indent and not _LIST_ITEM.match(after)
        if not deeper or bare[0] in "`~":
            found.append(at)
    return [*found, len(lines)]


def _with_comments(lines: list[str], at: int) -> int:
    while at and lines[at - 1].lstrip().startswith("#") and not lines[at - 1].lstrip().startswith("##"):
        at -= 1
    return at


def _json_values(text: str) -> Iterator[Any]:
    decoder = json.JSONDecoder(strict=False)
    starts = [m.start(1) for m in re.finditer(r"^[ \t]*([\[{\"])", text, re.MULTILINE)][:MAX_TRIES]
    end = 0
    for start in starts:
        if start < end:
            continue
        try:
            value, end = decoder.raw_decode(text, start)
        except (ValueError, RecursionError):
            continue
        yield value


def _strings(value: Any) -> Iterator[str]:
    stack = [value]
    while stack:
        item = stack.pop()
        if isinstance(item, str) and ("\n" in item or "\\n" in item):
            yield item
        elif isinstance(item, list):
            if item and all(isinstance(one, str) for one in item):
                yield "\n".join(line.rstrip("\n") for line in item)
            stack.extend(item)
        elif isinstance(item, dict):
            stack.extend(item.values())


def _within(text: str, name: str) -> str | None:
    opening = re.search(rf"<{re.escape(name)}(?:\s[^<>\n]*)?>", text)
    closing = text.rfind(f"</{name}")
    if opening is None or closing < opening.end():
        return None
    inner = text[opening.end() : closing].strip("\n")
    return inner.removeprefix("<![CDATA[").removesuffix("]]>")
