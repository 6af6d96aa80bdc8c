"""Judges whether a piece of text is the block that was asked for."""

from __future__ import annotations

import ast
import re
from collections.abc import Sequence
from dataclasses import dataclass

from ge_engine.genome import Genome
from ge_engine.replies.syntax_repair import repaired
from ge_engine.source.addressing import statements_of
from ge_engine.source.bindings import bound_names
from ge_engine.source.digests import digest
from ge_engine.source.facts import Kind, Span
from ge_engine.source.names import free_names
from ge_engine.source.style import plain
from ge_engine.source.syntax import SyntaxFault, parse


@dataclass(frozen=True, slots=True)
class Found:
    """Code that compiles and defines the block; `repair` says how it was made to compile, "" if it did."""

    code: str
    tree: ast.Module
    repair: str = ""


MAX_WORK = 3_000_000
"""Characters that are given to the compiler for one reply, at most: some twenty times its length."""


def _header(kind: Kind, name: str) -> re.Pattern[str]:
    """The first words of a block: `class Net`, `def forward`, `WIDTH =`."""
    if kind == "values":
        return re.compile(rf"(?:^|;)[ \t]*{re.escape(name)}[ \t]*(?::[^=\n]+)?=(?!=)", re.MULTILINE)
    keyword = "class" if kind == "class" else "def"
    return re.compile(rf"\b{keyword}(?:[\s\u200b-\u200d\u2060\ufeff]|\\\n)+{re.escape(name)}\b")


class TooMuch(Exception):
    """A reply can be read in more ways than are tried."""


class BlockMatcher:
    """One block of one genome, as a reply was asked for it. `work` counts the characters compiled for it;
    what would go beyond `MAX_WORK` raises TooMuch."""

    def __init__(self, genome: Genome, address: str, span: Span) -> None:
        self.genome = genome
        self.address = address
        self.span = span
        self.work = 0
        self.name = address.rpartition(".")[2]
        self.header = _header(span.kind, self.name)

    @property
    def code(self) -> str:
        """The block as the genome has it."""
        return self.genome.blocks[self.address].code

    def mentions(self, text: str) -> bool:
        """The text holds the first words of the block's definition."""
        return self.header.search(plain(text)) is not None

    def parse(self, code: str) -> ast.Module | SyntaxFault:
        """The code's tree, or why it has none."""
        self.work += len(code)
        if self.work > MAX_WORK:
            raise TooMuch
        return parse(code)

    def usable(self, code: str) -> Found | None:
        """The code, repaired if need be, if it defines the block."""
        if not self.mentions(code):
            return None
        tree = self.parse(code)
        if isinstance(tree, SyntaxFault):
            repair = repaired(code, self.parse, self.defined_in)
            return Found(*repair) if repair else None
        return Found(code, tree) if self.defined_in(tree) else None

    def complete(self, code: str) -> bool:
        """The code compiles, as it is or repaired, so a fence around it may end here."""
        tree = self.parse(code)
        if isinstance(tree, SyntaxFault):
            return self.usable(code) is not None
        return bool(tree.body)

    def defined_in(self, tree: ast.Module) -> bool:
        found = statements_of(tree, self.address, self.span.kind)
        return bool(found) and (self.span.kind == "class") == isinstance(found[-1], ast.ClassDef)

    def differs(self, found: Found) -> bool:
        """The block in this code is not the one that the genome has."""
        return digest(statements_of(found.tree, self.address, self.span.kind)[-1]) != self.span.digest

    def best(self, candidates: Sequence[Found]) -> Found | None:
        """The last that is a change; else the last."""
        changes = [one for one in candidates if self.differs(one)] if len(candidates) > 1 else []
        chosen = changes or list(candidates)
        return chosen[-1] if chosen else None

    def joined(self, found: Found, others: Sequence[str]) -> Found:
        """The code with definitions in front that it needs and that another piece of the reply has."""
        for _ in others:
            missing = free_names(found.code) - set(self.genome.bound)
            helper = next((one for one in others if one != found.code and self._binds(one, missing)), None)
            tree = self.parse(f"{helper}\n\n{found.code}") if missing and helper else None
            if not isinstance(tree, ast.Module):
                break
            found = Found(f"{helper}\n\n{found.code}", tree, found.repair)
        return found

    def _binds(self, code: str, names: frozenset[str]) -> bool:
        tree = self.parse(code)
        return isinstance(tree, ast.Module) and bool(names & set(bound_names(tree.body)))
