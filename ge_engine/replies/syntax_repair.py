"""Repairs the layout and the characters of code that does not compile as it came.

Each repair is tried only on code that Python refuses, and kept only when Python then accepts it.
"""

from __future__ import annotations

import ast
import html
import itertools
import re
from collections.abc import Callable, Iterator

from ge_engine.source import style
from ge_engine.source.syntax import SyntaxFault, parse

_TYPOGRAPHIC = {
    "\u2018": "'", "\u2019": "'", "\u201b": "'", "\u2032": "'", "\u201c": '"', "\u201d": '"', "\u201e": '"',
    "\u2033": '"', "\u00ab": '"', "\u00bb": '"', "\u2013": "-", "\u2014": "-", "\u2212": "-", "\u2010": "-",
    "\u2011": "-", "\u00d7": "*", "\u2217": "*", "\u2215": "/", "\u00f7": "/", "\uff08": "(", "\uff09": ")",
    "\uff0c": ",", "\uff1a": ":", "\uff1b": ";", "\uff1d": "=", "\uff0b": "+", "\u2260": "!=", "\u2264": "<=",
    "\u2265": ">=", "\u2192": "->", "\u2026": "...", "\u2028": "\n", "\u2029": "\n", "\u0085": "\n",
    "\u200b": "", "\u200c": "", "\u200d": "", "\u2060": "", "\ufeff": "",
}  # fmt: skip
_SPACES = re.compile("[\u00a0\u1680\u2000-\u200a\u202f\u205f\u3000]")
_NUMBER = re.compile(
    r"^[ \t]*+(?:(?:line|l)[ \t]?)?[\[(]?(\d{1,5})[\])]?(?:[ \t]*+[:|│→.)][ \t]?| *+\t| {1,2}?(?=\S|  ))",
    re.IGNORECASE,
)
_BARE_NUMBER = re.compile(r"^[ \t]*+\[?(\d{1,5})\]?[ \t]*+[:|│→.)]?[ \t]*+$")
_MAGIC = re.compile(r"(?:%{1,2}|!{1,2})[A-Za-z]\w*(?:\s|$)")
MAX_CHARACTERS = 50_000
"""Longer code is not repaired."""
_ESCAPES = {"n": "\n", "t": "\t", '"': '"', "'": "'", "\\": "\\", "r": ""}


Reader = Callable[[str], ast.Module | SyntaxFault]


def repaired(
    code: str, read: Reader, wanted: Callable[[ast.Module], bool]
) -> tuple[str, ast.Module, str] | None:
    """The first repair after which `read` accepts the code and it is what is `wanted`: code, tree, what was
    done."""
    for repair, step in _REPAIRS if len(code) <= MAX_CHARACTERS else ():
        for attempt in repair(code):
            if attempt == code:
                continue
            tree = read(attempt)
            if not isinstance(tree, SyntaxFault) and wanted(tree):
                return attempt, tree, step
    return None


def _dedented(code: str) -> Iterator[str]:
    """Uniformly indented code at column 0. Through libcst, so that no string changes its value."""
    lines = code.split("\n")
    first = next((line for line in lines if line.strip()), "")
    if first[:1] not in " \t":
        yield from _first_line_lost_its_indent(lines)
        return
    wrapped = "if True:\n" + code
    if isinstance(parse(wrapped), SyntaxFault):
        return
    module = style.read(wrapped)
    if isinstance(module, SyntaxFault):
        return
    text = style.unwrapped(module)
    if not isinstance(text, SyntaxFault):
        yield text


def _first_line_lost_its_indent(lines: list[str]) -> Iterator[str]:
    at = next((i for i, line in enumerate(lines) if line.strip()), len(lines))
    indents = [re.match(r"[ \t]*", line)[0] for line in lines[at + 1 :] if line.strip()]  # type: ignore[index]
    shift = min(indents, key=len, default="")
    if shift and all(indent.startswith(shift) for indent in indents):
        yield from _dedented("\n".join([*lines[:at], shift + lines[at], *lines[at + 1 :]]))


def _plain_characters(code: str) -> Iterator[str]:
    """Typographic quotes, dashes and spaces outside strings and comments as Python's own."""
    if not code.isascii():
        yield "".join(_scan(code))


def _scan(code: str) -> Iterator[str]:
    at, quote = 0, ""
    while at < len(code):
        char = code[at]
        plain = _SPACES.sub(" ", _TYPOGRAPHIC.get(char, char))
        if quote:
            if char == "\\":
                yield code[at : at + 2]
                at += 2
                continue
            closes = code.startswith(quote, at) or (len(quote) == 1 and plain == quote and char != plain)
            if closes or (len(quote) == 1 and char == "\n"):
                step = len(quote) if code.startswith(quote, at) else 1
                yield quote if closes else "\n"
                at, quote = at + step, ""
                continue
            yield char
        elif char == "#":
            end = code.find("\n", at)
            yield code[at : end if end >= 0 else len(code)]
            at = end if end >= 0 else len(code)
            continue
        elif plain in ("'", '"'):
            quote = plain * 3 if code.startswith(plain * 3, at) else plain
            yield quote
            at += len(quote) if char == plain else 1
            continue
        else:
            yield plain
        at += 1


def _unescaped_html(code: str) -> Iterator[str]:
    if "&" in code:
        yield html.unescape(code)


def _unescaped_newlines(code: str) -> Iterator[str]:
    """Code that came as one line with backslash-n for its line ends."""
    if code.strip().count("\n") <= 2 and "\\n" in code:
        bare = code.strip().strip("\"'`")
        yield re.sub(r"\\(.)", lambda m: _ESCAPES.get(m[1], m[0]), bare)
        yield re.sub(r"\\([nt])", lambda m: _ESCAPES[m[1]], bare)


def _without_line_prefix(code: str) -> Iterator[str]:
    """Code with line numbers, quote marks or an interpreter's prompt before each line."""
    lines = code.strip("\n").split("\n")
    full = [line for line in lines if line.strip()]
    if full and all(line.startswith((">>> ", "... ", ">>>", "...")) for line in full):
        yield "\n".join(re.sub(r"^(?:>>>|\.\.\.) ?", "", line) for line in lines)
    if full and all(line.startswith((">", " >")) for line in full):
        yield "\n".join(re.sub(r"^ ?> ?", "", line) for line in lines)
    if full and all(line.startswith("+") for line in full):
        yield "\n".join(line[1:] for line in lines)
    yield from _without_numbers(lines)


def _without_magics(code: str) -> Iterator[str]:
    """Code without the commands of a notebook."""
    kept = [line for line in code.split("\n") if not _MAGIC.match(line)]
    yield "\n".join(kept)


def _without_numbers(lines: list[str]) -> Iterator[str]:
    """The lines less the numbers in front, where each has one and they count up."""
    found = [_BARE_NUMBER.match(line) or _NUMBER.match(line) for line in lines if line.strip()]
    numbers = [int(match[1]) for match in found if match is not None]
    if not found or len(numbers) < len(found) or any(b <= a for a, b in itertools.pairwise(numbers)):
        return
    bare = ["" if _BARE_NUMBER.match(line) else _NUMBER.sub("", line) for line in lines]
    yield "\n".join(bare)
    yield from _dedented("\n".join(bare))


_REPAIRS: tuple[tuple[Callable[[str], Iterator[str]], str], ...] = (
    (_dedented, "shifted to column 0"),
    (_plain_characters, "replaced typographic characters outside strings"),
    (lambda code: (d for plain in _plain_characters(code) for d in _dedented(plain)),
     "replaced typographic characters outside strings and shifted to column 0"),
    (_unescaped_newlines, "turned escaped line ends into line ends"),
    (_unescaped_html, "turned HTML entities into characters"),
    (_without_line_prefix, "dropped what stood before each line"),
    (_without_magics, "dropped commands of a notebook"),
)  # fmt: skip
