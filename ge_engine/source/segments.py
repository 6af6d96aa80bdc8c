"""A file cut into segments of text: one for each top-level definition or value, the rest opaque.

A segment is parsed on demand and its facts are kept, so what a genome shares with its seed model is never
looked at twice. Joined, the segments give the file's text back by construction.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable
from dataclasses import replace
from functools import cached_property
from textwrap import wrap

import libcst as cst

from ge_engine.source import style
from ge_engine.source.digests import DIGEST_LENGTH
from ge_engine.source.elision import stand_in
from ge_engine.source.facts import Facts, Span, read_facts
from ge_engine.source.names import read_names
from ge_engine.source.syntax import SyntaxFault, name_of, normalised, parse, split_lines


class Segment:
    """An immutable stretch of a file. `name` is "" for what is no definition."""

    language = "python"

    def __init__(self, text: str, name: str = "", tree: ast.Module | None = None) -> None:
        self.text = text
        self.name = name
        self._tree = tree

    @cached_property
    def code(self) -> str:
        """The text with LF line ends."""
        return normalised(self.text)

    @cached_property
    def lines(self) -> list[str]:
        return split_lines(self.text)

    @cached_property
    def newlines(self) -> int:
        """How many line ends the text holds."""
        return sum(line.endswith(("\n", "\r")) for line in self.lines)

    @property
    def digest(self) -> str:
        """What the segment means; "" for one of comments and blanks."""
        return self.facts.digest if self.text and not self.text.isspace() else ""

    @cached_property
    def facts(self) -> Facts:
        tree, self._tree = self._tree or ast.parse(self.code), None
        return read_facts(tree, self.name, self.lines)

    @cached_property
    def own_code(self) -> str:
        """The code of the definition alone, without the comments that a patch put above it."""
        if self.facts.outer is None:
            return self.code
        first, last = self.bounds(self.facts.outer)
        return normalised(self.text[first:last])

    @cached_property
    def fault(self) -> SyntaxFault | None:
        """Why neither the definition nor anything within it can be printed again; None when it can."""
        tree = parse(self.code)
        return tree if isinstance(tree, SyntaxFault) else None

    @property
    def tree(self) -> ast.Module:
        """The syntax tree of the code."""
        return ast.parse(self.code)

    @property
    def refusal(self) -> SyntaxFault | None:
        """Why the definition cannot be printed again; None when it can."""
        return self.module if isinstance(self.module, SyntaxFault) else None

    def stand_in(self, new: ast.stmt, code: str) -> str:
        """The first comment within `new`, read from `code`, that stands for what is left out; "" for none."""
        return stand_in(new, code, self.code)

    @cached_property
    def module(self) -> cst.Module | SyntaxFault:
        """The libcst tree of the code, or where libcst cannot give the code back."""
        module = self.fault or style.read(self.code)
        if isinstance(module, SyntaxFault):
            return module
        printed = style.restyle(module, module.body, module.default_indent)
        return _given_back(module, printed, self.own_code)

    @property
    def members(self) -> tuple[str, ...]:
        """Names of a class's methods and attributes, in order."""
        return (*(span.name for span in self.facts.methods), *self.facts.attributes)

    def method(self, name: str) -> Span | None:
        return next((span for span in self.facts.methods if span.name == name), None)

    @cached_property
    def _methods(self) -> dict[str, cst.Module | SyntaxFault]:
        """Cache of `method_module`."""
        return {}

    def method_module(self, span: Span) -> cst.Module | SyntaxFault:
        """The libcst tree of a class that holds this method: the class itself, or, where libcst cannot give
        all of that back, one of this method alone."""
        if span.name not in self._methods:
            self._methods[span.name] = self._method_module(span)
        return self._methods[span.name]

    def _method_module(self, span: Span) -> cst.Module | SyntaxFault:
        if self.fault is not None:
            return self.fault
        module = self.module
        first, last = self.bounds(span)
        wanted = normalised(self.text[first:last])
        if isinstance(module, SyntaxFault):
            module = style.read(f"class {self.name}:\n{span.indent}{wanted}\n")
            if isinstance(module, SyntaxFault):
                return replace(module, line=max(0, module.line + span.first - 2))
        method = style.definition(module, f"{self.name}.{span.name}")
        printed = style.nest(module, method, span.indent, module.default_indent)
        return _given_back(module, printed, wanted, span.first - 1)

    @cached_property
    def method_codes(self) -> dict[str, str | SyntaxFault]:
        """Cache of `method_code`."""
        return {}

    def method_code(self, name: str) -> str | SyntaxFault:
        """The code at column 0 of a method of this class, the last of that name."""
        if name not in self.method_codes:
            span = next(span for span in reversed(self.facts.methods) if span.name == name)
            module = self.method_module(span)
            address = f"{self.name}.{name}"
            found = module if isinstance(module, SyntaxFault) else style.unnest(module, address)
            self.method_codes[name] = found
        return self.method_codes[name]

    def bounds(self, span: Span) -> tuple[int, int]:
        """Offsets in the text of a definition, from its first character to the end of its last line."""
        before = sum(map(len, self.lines[: span.first - 1]))
        start = self.lines[span.first - 1]
        first = before + len(start) - len(start.lstrip(" \t\x0c"))
        end = before + sum(map(len, self.lines[span.first - 1 : span.last]))
        return first, end - _line_end(self.lines[span.last - 1])


def defines(text: str, name: str) -> bool:
    """The text of a segment defines or assigns `name`, however that is spelt: Python takes several spellings
    for one."""
    if re.search(rf"\b(?:class|def)\s+{re.escape(name)}\b", text) is not None:
        return True
    tree = parse(normalised(text))
    return isinstance(tree, ast.Module) and any(name == name_of(node) for node in tree.body)


def _line_end(line: str) -> int:
    return len(line) - len(line.rstrip("\r\n"))


def statement_digests(segments: Iterable[Segment]) -> frozenset[str]:
    """The digests of the statements that the segments hold."""
    return frozenset(part for one in segments for part in wrap(one.digest, DIGEST_LENGTH))


def reads(segments: Iterable[Segment], name: str, replaced: str) -> bool:
    """A definition other than `replaced`, or a statement between them, reads `name` from the module."""
    loading = (s for s in segments if s.text and not s.text.isspace() and name in s.facts.loads)
    return any(s.facts.outer is None or (s.name != replaced and name in read_names(s.code)) for s in loading)


def needed_helpers(loads: frozenset[str], helpers: Iterable[Segment]) -> list[Segment]:
    """The helpers that code which reads `loads` needs, also through one another, in their order."""
    by_name = {helper.name: helper for helper in helpers}
    needed: set[str] = set()
    queue = [loads]
    while queue:
        new = [name for name in queue.pop() if name in by_name and name not in needed]
        needed.update(new)
        queue += [by_name[name].facts.loads for name in new]
    return [helper for name, helper in by_name.items() if name in needed]


def _given_back(
    module: cst.Module, printed: str | SyntaxFault, wanted: str, above: int = 0
) -> cst.Module | SyntaxFault:
    """The tree if what it prints is the code that is wanted, spaces in blank lines apart; `above` lines stand
    in front of the code."""
    if isinstance(printed, SyntaxFault):
        return printed
    if printed == wanted or _unblank(printed) == _unblank(wanted):
        return module
    printed, wanted = _unblank(printed), _unblank(wanted)
    return SyntaxFault(
        _first_difference(printed, wanted) + above, "libcst does not give this line back unchanged"
    )


def _first_difference(a: str, b: str) -> int:
    for number, (one, other) in enumerate(zip(a.split("\n"), b.split("\n")), 1):
        if one != other:
            return number
    return min(a.count("\n"), b.count("\n")) + 1


def _unblank(code: str) -> str:
    """The code without form feeds and without what stands in its blank lines."""
    return "\n".join(line if line.strip() else "" for line in code.replace("\x0c", "").split("\n"))
