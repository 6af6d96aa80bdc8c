"""Judges whether a piece of text is what was asked for: a block, or several of one file."""

from __future__ import annotations

import ast
import re
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

from ge_engine.genome import Genome
from ge_engine.replies.syntax_repair import repaired
from ge_engine.source.addressing import statements_of
from ge_engine.source.bindings import bound_names
from ge_engine.source.digests import digest
from ge_engine.source.facts import Span
from ge_engine.source.language import PYTHON
from ge_engine.source.names import free_names
from ge_engine.source.style import plain
from ge_engine.source.syntax import SyntaxFault


@dataclass(frozen=True, slots=True)
class Found:
    """Code that compiles and defines what is wanted; `repair`: how it was made to compile, "" if it did."""

    code: str
    tree: ast.Module
    repair: str = ""


MAX_WORK = 3_000_000
"""Characters that are given to the compiler for one reply, at most: some twenty times its length."""


def header_of(keyword: str, name: str) -> re.Pattern[str]:
    """The first words of a definition. Both are patterns."""
    return re.compile(rf"\b(?:{keyword})(?:[\s\u200b-\u200d\u2060\ufeff]|\\\n)+(?:{name})\b")


def is_among(found: Found, candidates: Sequence[Found]) -> bool:
    """It is one of the candidates, and not another of the same code."""
    return any(found is one for one in candidates)


class TooMuch(Exception):
    """A reply can be read in more ways than are tried."""


class Matcher(ABC):
    """What a reply was asked for, in one genome. `address` names the code that an edit changes, `wanted` what
    is looked for, whose name must stay `name`. `work` counts the characters compiled for it; what would go
    beyond `MAX_WORK` raises TooMuch."""

    indent = ""

    def __init__(self, genome: Genome, address: str, wanted: str, name: str, header: re.Pattern[str]) -> None:
        self.genome = genome
        self.address = address
        self.wanted = wanted
        self.name = name
        self.work = 0
        self.header = header

    @property
    @abstractmethod
    def code(self) -> str:
        """What the genome has, to which an edit applies."""

    @abstractmethod
    def named_in(self, text: str) -> bool:
        """The text holds the name of what is wanted."""

    @abstractmethod
    def defined_in(self, tree: ast.Module) -> bool:
        """The code defines what is wanted."""

    @abstractmethod
    def defined_once(self, found: Found) -> bool:
        """The code holds one definition alone, so that another within it stands in a string."""

    @abstractmethod
    def differs(self, found: Found) -> bool:
        """What this code defines is not what the genome has."""

    @abstractmethod
    def taken(self, candidates: Sequence[Found]) -> list[Found]:
        """Those of the candidates that are meant."""

    @abstractmethod
    def merged(self, taken: Sequence[Found]) -> Found:
        """The code of all that are taken, of which there is one at least."""

    def mentions(self, text: str) -> bool:
        """The text holds the first words of a definition that is wanted."""
        return self.header.search(plain(text)) is not None

    def parse(self, code: str) -> ast.Module | SyntaxFault:
        """The code's tree, or why it has none."""
        self.work += len(code)
        if self.work > MAX_WORK:
            raise TooMuch
        return self.genome.seed.language.parse(code)

    def usable(self, code: str) -> Found | None:
        """The code, repaired if need be, if it defines what is wanted."""
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

    def joined(self, found: Found, others: Sequence[str]) -> Found:
        """The code with definitions in front that it needs and that another piece of the reply has."""
        for _ in others if self.genome.seed.language is PYTHON else ():
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


class BlockMatcher(Matcher):
    """One block of one genome, as a reply was asked for it."""

    def __init__(self, genome: Genome, address: str, span: Span) -> None:
        name = address.rpartition(".")[2]
        keyword = "class" if span.kind == "class" else "def"
        pattern = re.escape(name)
        values = genome.seed.language.value_header
        header = values(pattern, "[ \t]*") if span.kind == "values" else header_of(keyword, pattern)
        super().__init__(genome, address, address, name, header)
        self.indent = span.indent
        self._span = span

    @property
    def code(self) -> str:
        return self.genome.blocks[self.address].code

    def named_in(self, text: str) -> bool:
        return self.name in plain(text)

    def defined_in(self, tree: ast.Module) -> bool:
        found = statements_of(tree, self.address, self._span.kind)
        return bool(found) and (self._span.kind == "class") == isinstance(found[-1], ast.ClassDef)

    def defined_once(self, found: Found) -> bool:
        return len(statements_of(found.tree, self.address, self._span.kind)) == 1

    def differs(self, found: Found) -> bool:
        return digest(statements_of(found.tree, self.address, self._span.kind)[-1]) != self._span.digest

    def taken(self, candidates: Sequence[Found]) -> list[Found]:
        """The last that is a change; else the last."""
        changes = [one for one in candidates if self.differs(one)] if len(candidates) > 1 else []
        return (changes or list(candidates))[-1:]

    def merged(self, taken: Sequence[Found]) -> Found:
        return taken[-1]
