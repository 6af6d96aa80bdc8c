"""Classes and functions as Markdown, read from their source by griffe."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import griffe

ROOT = Path(__file__).resolve().parent.parent
LONGEST = 110
"""Signs of a line of code."""
SILENT = ("test_", "_")
"""Names that no page tells begin so."""


def described(module: str, names: Sequence[str]) -> Iterator[str]:
    """Sections of names of a module, without any of all its own: signature, docstring, members."""
    whole = _package()[module.removeprefix("ge_engine.")]
    for name in names or [one.name for one in whole.members.values() if one.is_public and not one.is_alias]:
        yield from _section(_target(whole[name]), name, 3)


@cache
def _package() -> Any:
    return griffe.load("ge_engine", search_paths=[ROOT], docstring_parser="google", resolve_aliases=True)


def _section(one: Any, name: str, level: int) -> Iterator[str]:
    yield f"{'#' * level} `{name}`\n"
    yield f"```python\n{_signature(one, name)}\n```\n"
    yield from _docstring(one)
    if one.is_class:
        members = [member for member in _members(one) if not member.name.startswith(SILENT)]
        yield from _attributes(member for member in members if member.is_attribute)
        for member in members:
            if member.is_function:
                yield from _section(member, f"{name}.{member.name}", level + 1)


def _signature(one: Any, name: str) -> str:
    if one.is_class:
        bases = ", ".join(str(base) for base in one.bases)
        return f"class {name}({bases})" if bases else f"class {name}"
    if one.is_attribute:
        text = f"{name}: {one.annotation}" if one.annotation else f"{name} = {one.value}"
        return text if len(text) <= LONGEST else f"{name} = ..."
    text = f"def {one.signature(name=one.name)}"
    return text if len(text) <= LONGEST else _broken(one)


def _broken(function: Any) -> str:
    """A signature with a line for each parameter."""
    whole = function.signature(name=function.name)
    head, _, tail = whole.partition("(")
    inner, _, returns = tail.rpartition(")")
    return "\n".join([f"def {head}(", *(f"    {part}," for part in _parted(inner)), f"){returns}"])


def _parted(text: str) -> Iterator[str]:
    """`text` at the commas that stand outside of brackets and quotes."""
    depth, quote, part = 0, "", ""
    for sign in text:
        if sign in "'\"" and quote in ("", sign):
            quote = "" if quote else sign
        depth += (sign in "([{") - (sign in ")]}") if not quote else 0
        if sign == "," and not depth and not quote:
            yield part.strip()
            part = ""
        else:
            part += sign
    if part.strip():
        yield part.strip()


def _members(one: Any) -> list[Any]:
    """A class's own members and those of its bases in this package, in the order of the source."""
    return [_target(member) for member in one.all_members.values() if _is_ours(member)]


def _is_ours(member: Any) -> bool:
    return str(_target(member).path).startswith("ge_engine.")


def _target(one: Any) -> Any:
    return one.final_target if one.is_alias else one


def _attributes(attributes: Iterable[Any]) -> Iterator[str]:
    rows = [f"| `{one.name}` | {_cell(one)} | {_sentence(one)} |" for one in attributes]
    if rows:
        yield "| attribute | type | |\n| --- | --- | --- |"
        yield from rows
        yield ""


def _cell(one: Any) -> str:
    default = "" if one.value is None else f" = {one.value}"
    text = f"{one.annotation or ''}{default}".strip().replace("|", "\\|")
    return f"`{text}`" if text else ""


def _sentence(one: Any) -> str:
    return " ".join(one.docstring.value.split()).replace("|", "\\|") if one.docstring else ""


def _docstring(one: Any) -> Iterator[str]:
    """Paragraphs as they are; arguments, results and errors as lists."""
    for part in one.docstring.parsed if one.docstring else ():
        if part.kind is griffe.DocstringSectionKind.text:
            yield f"{part.value}\n"
        elif part.kind is griffe.DocstringSectionKind.examples:
            yield "\n".join(text for _, text in part.value) + "\n"
        else:
            yield f"**{(part.title or part.kind.value).capitalize()}**\n"
            yield from map(_item, part.value if isinstance(part.value, list) else [part.value])
            yield ""


def _item(one: Any) -> str:
    name = getattr(one, "name", "") or str(getattr(one, "annotation", "") or "")
    told = " ".join(one.description.split())
    return f"* `{name}`: {told}" if name else f"* {told}"
