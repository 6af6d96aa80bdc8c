"""YAML read as the assignments that its entries mean, `lr: 0.1` as `lr = 0.1`, each node where YAML has it.

A value is what `yaml.safe_load` gives for it: a number, a text, a truth value, null, and lists and mappings
of these. Anything else is `Odd`, and its entry stays as it is.
"""

from __future__ import annotations

import ast
from bisect import bisect_right
from collections.abc import Iterator
from functools import lru_cache
from pathlib import PurePath
from typing import Any, TypeVar

import yaml

from ge_engine.source.syntax import SyntaxFault

SUFFIXES = (".yaml", ".yml")
MOST_CHARACTERS = 20_000
"""A longer text is data, and no configuration."""
DEEPEST = 20
PLAIN = frozenset(f"tag:yaml.org,2002:{kind}" for kind in ("int", "float", "bool", "null", "str"))


Placed = TypeVar("Placed", ast.expr, ast.stmt)


class Odd(ast.Name):
    """Text that has a meaning which no plain value has; `why` says which."""

    why: str


class Fault(Exception):
    """Why a text cannot be read, with the line or 0."""

    def __init__(self, line: int, reason: str) -> None:
        super().__init__(reason)
        self.fault = SyntaxFault(line, reason)


def is_yaml(file: str | PurePath) -> bool:
    """Whether a file is one of values, by its name."""
    return PurePath(file).suffix.lower() in SUFFIXES


@lru_cache(maxsize=64)
def read(text: str) -> ast.Module | SyntaxFault:
    """The entries of a mapping as assignments, in their order. Never raises on any text."""
    if len(text) > MOST_CHARACTERS:
        return SyntaxFault(0, f"it is longer than {MOST_CHARACTERS} characters")
    try:
        return ast.Module(_Reader(text).entries(), [])
    except Fault as error:
        return error.fault
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        return SyntaxFault(mark.line + 1 if mark else 0, error.problem or error.context or "invalid YAML")
    except yaml.YAMLError:
        return SyntaxFault(0, "it holds a character that YAML does not allow")


def odd_parts(node: ast.AST) -> Iterator[Odd]:
    """What within a value no rewrite may touch."""
    return (part for part in ast.walk(node) if isinstance(part, Odd))


class _Reader:
    def __init__(self, text: str) -> None:
        self._text = text
        self._events: Iterator[Any] = yaml.parse(text, Loader=yaml.SafeLoader)
        self._resolver = yaml.SafeLoader("")
        self._end = 0
        self._lines = [0]
        for line in text.split("\n")[:-1]:
            self._lines.append(self._lines[-1] + len(line) + 1)

    def entries(self) -> list[ast.stmt]:
        """The assignments of the one document.

        Raises:
            Fault: there is none, or another one, or it is no mapping with a line for each key.
        """
        next(self._events)
        if isinstance(next(self._events), yaml.StreamEndEvent):
            raise Fault(0, "it is empty")
        root = next(self._events)
        if not isinstance(root, yaml.MappingStartEvent):
            raise Fault(0, "its outermost level is no mapping of keys to values")
        if root.flow_style or root.anchor or root.tag:
            raise Fault(root.start_mark.line + 1, "its keys do not each begin a line of their own")
        found: list[ast.stmt] = []
        while not isinstance(event := next(self._events), yaml.MappingEndEvent):
            start, key = event.start_mark.index, self._node(event, 0)
            name = ast.copy_location(ast.Name(_key_text(key), ast.Store()), key)
            value = self._node(next(self._events), 0)
            found.append(self._placed(ast.Assign([name], value), start, self._end))
        next(self._events)
        if not isinstance(next(self._events), yaml.StreamEndEvent):
            raise Fault(0, "it holds more than one document")
        return found

    def _node(self, event: Any, depth: int) -> ast.expr:
        """The value that begins with an event."""
        if depth > DEEPEST:
            raise Fault(event.start_mark.line + 1, "it nests too deeply")
        start, why = event.start_mark.index, _why_odd(event)
        made: ast.expr
        if isinstance(event, yaml.SequenceStartEvent):
            made = ast.List(list(self._until(yaml.SequenceEndEvent, depth)), ast.Load())
        elif isinstance(event, yaml.MappingStartEvent):
            made = self._mapping(depth)
        else:
            made = self._scalar(event)
            why = why or getattr(made, "why", "")
        if why:
            made = self._odd(start, why)
        return self._placed(made, start, self._end)

    def _until(self, end: type, depth: int) -> Iterator[ast.expr]:
        while not isinstance(event := next(self._events), end):
            yield self._node(event, depth + 1)
        self._close(event)

    def _mapping(self, depth: int) -> ast.Dict:
        parts = list(self._until(yaml.MappingEndEvent, depth))
        keys, values = parts[::2], parts[1::2]
        seen = set[tuple[str, object]]()
        for key in keys:
            shown = (type(key).__name__, getattr(key, "value", ast.dump(key)))
            if shown in seen:
                raise Fault(key.lineno, f"the key {_key_text(key)} stands twice in one mapping")
            seen.add(shown)
        return ast.Dict(list[ast.expr | None](keys), values)

    def _scalar(self, event: Any) -> ast.expr:
        if isinstance(event, yaml.AliasEvent):
            self._end = event.end_mark.index
            return self._odd(event.start_mark.index, "an alias")
        if event.value or event.end_mark.index > event.start_mark.index:
            self._end = event.end_mark.index
        elif self._text[self._end : event.start_mark.index].strip() in (":", "-"):
            self._end = event.start_mark.index
        tag = self._resolver.resolve(yaml.ScalarNode, event.value, event.implicit)
        if tag not in PLAIN or event.style in ("|", ">"):
            why = "a block of text" if event.style in ("|", ">") else _kind_of(tag)
            return self._odd(event.start_mark.index, why)
        try:
            return ast.Constant(self._resolver.construct_object(yaml.ScalarNode(tag, event.value)))
        except ValueError:
            return self._odd(event.start_mark.index, "a number that is too long")

    def _close(self, event: Any) -> None:
        """A collection in brackets ends with its bracket, one of lines with the last of its parts."""
        if event.end_mark.index > event.start_mark.index:
            self._end = event.end_mark.index

    def _odd(self, start: int, why: str) -> Odd:
        made = Odd(self._text[start : max(start, self._end)], ast.Load())
        made.why = why
        return made

    def _placed(self, node: Placed, start: int, end: int) -> Placed:
        """The node, which stands from one character to another."""
        node.lineno, node.col_offset = self._place(start)
        node.end_lineno, node.end_col_offset = self._place(max(start, end))
        return node

    def _place(self, index: int) -> tuple[int, int]:
        """Line from 1 and column in bytes, as `ast` counts."""
        line = bisect_right(self._lines, index) - 1
        before = self._text[self._lines[line] : index]
        return line + 1, len(before.encode("utf-8", "surrogatepass"))


def _why_odd(event: Any) -> str:
    if isinstance(event, yaml.AliasEvent):
        return "an alias"
    if event.anchor:
        return "an anchor"
    return "a tag" if event.tag else ""


def _kind_of(tag: str) -> str:
    kind = tag.rpartition(":")[2]
    return {"timestamp": "a date", "merge": "a merge key"}.get(kind, f"a value of the kind {kind}")


def _key_text(key: ast.expr) -> str:
    """A key as an address names it; "" for one that no address can."""
    value = getattr(key, "value", None)
    return value if isinstance(value, str) else ""
