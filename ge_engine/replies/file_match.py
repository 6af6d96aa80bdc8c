"""Judges whether a piece of text rewrites blocks of a file, and puts together what several pieces rewrite."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Sequence
from copy import copy

from ge_engine.genome import Genome
from ge_engine.replies.block_match import Found, Matcher, TooMuch, header_of
from ge_engine.source.digests import digest
from ge_engine.source.segments import statement_digests
from ge_engine.source.style import plain
from ge_engine.source.syntax import (
    DEFINITIONS,
    Assignment,
    Definition,
    SyntaxFault,
    assigned_name,
    end_line,
    last_line,
    name_of,
    normalised,
    split_lines,
)

Statement = Definition | Assignment


class FileMatcher(Matcher):
    """All blocks of one genome, of which a reply may rewrite any."""

    def __init__(self, genome: Genome) -> None:
        self._names = frozenset(address for address in genome.blocks if "." not in address)
        self._known = statement_digests(genome.segments)
        wanted = "one of " + ", ".join(sorted(self._names))
        super().__init__(genome, "the file", "a block of the file", wanted, _header(genome, self._names))

    @property
    def code(self) -> str:
        return normalised(self.genome.text)

    def named_in(self, text: str) -> bool:
        text = plain(text)
        return any(name in text for name in self._names)

    def defined_in(self, tree: ast.Module) -> bool:
        return any(True for _ in self.blocks(tree))

    def defined_once(self, found: Found) -> bool:
        names = [name_of(node) for node in self.blocks(found.tree)]
        return len(names) == len(set(names))

    def differs(self, found: Found) -> bool:
        return bool(self.changed(found.tree))

    def changed(self, tree: ast.Module) -> dict[str, Statement]:
        """The last statement of each block that the genome does not have so."""
        new = (node for node in self.blocks(tree) if digest(node) not in self._known)
        return {name_of(node): node for node in new if digest(self.whole(node)) not in self._known}

    def whole(self, node: Statement) -> Statement:
        """A block with the genome's decorators and bases where it has none: a patch puts them back."""
        if isinstance(node, Assignment):
            return node
        segment = self.genome.segment(node.name)
        old = [node, *definitions(ast.parse(segment.code if segment else ""))][-1]
        whole = copy(node)
        whole.decorator_list = node.decorator_list or old.decorator_list
        if (
            isinstance(whole, ast.ClassDef)
            and isinstance(old, ast.ClassDef)
            and not whole.bases + whole.keywords
        ):
            whole.bases, whole.keywords = old.bases, old.keywords
        return whole

    def taken(self, candidates: Sequence[Found]) -> list[Found]:
        """All that are changes; else the last."""
        return [one for one in candidates if self.differs(one)] or list(candidates)[-1:]

    def merged(self, taken: Sequence[Found]) -> Found:
        """One text, in which the last definition of a name that is a change stands for all others."""
        if len(taken) == 1:
            return taken[0]
        whole = self._parsed("\n\n\n".join(without(one, filter(_is_future, one.tree.body)) for one in taken))
        named = [*definitions(whole.tree), *self._values(whole.tree)]
        last = {name_of(node): node for node in named} | self.changed(whole.tree)
        replaced = (node for node in named if node is not last[name_of(node)])
        return self._parsed(without(whole, replaced))

    def _parsed(self, code: str) -> Found:
        tree = self.parse(code)
        if isinstance(tree, SyntaxFault):
            raise TooMuch
        return Found(code, tree)

    def blocks(self, tree: ast.Module) -> Iterable[Statement]:
        """The statements on the outermost level that are blocks of the genome."""
        yield from (node for node in definitions(tree) if node.name in self._names)
        yield from self._values(tree)

    def _values(self, tree: ast.Module) -> list[Assignment]:
        return [n for n in tree.body if isinstance(n, Assignment) and assigned_name(n) in self._names]


def _defined(names: str) -> re.Pattern[str]:
    return header_of("class|def", names)


def _header(genome: Genome, names: Iterable[str]) -> re.Pattern[str]:
    """The first words of any of the blocks."""
    values = [name for name in names if genome.blocks[name].kind == "values"]
    forms = ((_defined, set(names) - set(values)), (genome.seed.language.value_header, values))
    patterns = [make("|".join(map(re.escape, sorted(group)))).pattern for make, group in forms if group]
    return re.compile("|".join(patterns), re.MULTILINE)


def definitions(tree: ast.Module) -> list[Definition]:
    """The definitions on the outermost level."""
    return [node for node in tree.body if isinstance(node, DEFINITIONS)]


def without(found: Found, unwanted: Iterable[ast.stmt]) -> str:
    """The code less some statements of its tree, each with the comments above it."""
    lines = split_lines(found.code)
    dropped = {id(node) for node in unwanted}
    kept: list[str] = []
    at = 0
    for node in found.tree.body:
        end = max(at, end_line(node, lines) if isinstance(node, DEFINITIONS) else last_line(node))
        kept += [] if id(node) in dropped else lines[at:end]
        at = end
    return "".join([*kept, *lines[at:]])


def _is_future(node: ast.stmt) -> bool:
    return isinstance(node, ast.ImportFrom) and node.module == "__future__"
