"""The static checks: they look at code only and cost nothing.

The contract of a block (stage "contract") is kept by `ge_engine.patch.parse_patch`, before there is a genome.
"""

from __future__ import annotations

import ast
import importlib.util
from collections.abc import Iterable, Iterator, Sequence

from ge_engine.contracts import Candidate, Check
from ge_engine.hookspecs import hookimpl
from ge_engine.outcome import Rejected
from ge_engine.patch import Patch, undefined_names
from ge_plugins.reaching import builtins_read, reached

ALLOWED = frozenset(
    {"abc", "collections", "contextlib", "copy", "dataclasses", "enum", "functools", "itertools", "math"}
    | {"numbers", "operator", "random", "statistics", "typing", "typing_extensions", "warnings"}
    | {"einops", "numpy", "timm", "torch", "torchvision", "transformers"}
)
"""Packages that a rewrite may import, besides those that the seed model imports itself."""

FORBIDDEN = frozenset(
    {"__import__", "breakpoint", "compile", "eval", "exec", "exit", "globals", "input", "open", "quit"}
)
"""Built-in functions that no block of a model needs; a block that already uses one may keep it."""


class Unchanged(Check):
    """Rejects a child that means what its parent means: only comments, docstrings or layout differ."""

    name = "unchanged"
    order = 10

    def check(self, candidate: Candidate) -> Rejected | None:
        if candidate.genome.digest != candidate.parent.digest:
            return None
        what = "is unchanged but for comments, docstrings or layout: change what it does"
        reason = f"{candidate.patch.address} {what}."
        return Rejected(self.name, reason)


class Names(Check):
    """Rejects names that nothing defines, imports that are not allowed, and dangerous built-ins."""

    name = "names"
    order = 30

    def check(self, candidate: Candidate) -> Rejected | None:
        """Each block is judged by what its own old code did."""
        found = (self._of_block(candidate, patch) for patch in candidate.patch.patches)
        return next((rejected for rejected in found if rejected), None)

    def _of_block(self, candidate: Candidate, patch: Patch) -> Rejected | None:
        if not _is_code(candidate, patch.address):
            return None
        before = _block_code(candidate, patch.address)
        undefined = set(undefined_names(candidate.genome, patch))
        undefined -= set(undefined_names(candidate.parent, Patch(patch.address, before)))
        if undefined:
            return Rejected(
                self.name, f"nothing defines {', '.join(sorted(undefined))}: define or import it."
            )
        for module in dict.fromkeys(_imported(patch)):
            if module not in ALLOWED and module not in _roots(candidate.parent.bound.values()):
                allowed = ", ".join(sorted(ALLOWED))
                return Rejected(self.name, f"the import of {module} is not allowed; allowed are {allowed}.")
            if importlib.util.find_spec(module) is None:
                return Rejected(self.name, f"the package {module} is not installed: do without it.")
        used = _forbidden(candidate, (patch.code, *patch.helpers, *patch.imports)) - _forbidden(
            candidate, (before,)
        )
        if used:
            return Rejected(self.name, f"{', '.join(sorted(used))} must not be used in a block of a model.")
        return None


class Duplicate(Check):
    """Rejects a child that this run has already."""

    name = "duplicate"
    order = 40

    def check(self, candidate: Candidate) -> Rejected | None:
        known = candidate.seen(candidate.genome.digest)
        return (
            Rejected(self.name, f"the same code was tried before, as {known}: try something else.")
            if known
            else None
        )


@hookimpl
def ge_checks() -> Iterable[Check]:
    return [Unchanged(), Names(), Duplicate()]


def _is_code(candidate: Candidate, address: str) -> bool:
    block = candidate.parent.blocks.get(address)
    return block is None or block.language == "python"


def _block_code(candidate: Candidate, address: str) -> str:
    block = candidate.parent.blocks.get(address)
    return block.code if block else ""


def _imported(patch: Patch) -> Iterator[str]:
    """Root packages that the patch imports, at the top or within the code; "." for a relative import."""
    for code in (*patch.imports, *patch.helpers, patch.code):
        for node in ast.walk(ast.parse(code)):
            if isinstance(node, ast.Import):
                yield from (alias.name.partition(".")[0] for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                yield "." if node.level else (node.module or "").partition(".")[0]


def _roots(meanings: Iterable[str]) -> set[str]:
    """Root packages that a file imports, from the meanings of its names."""
    paths = (meaning[1:] for meaning in meanings if meaning.startswith("@"))
    return {"." if path.startswith(".") else path.partition(".")[0] for path in paths}


def _forbidden(candidate: Candidate, codes: Sequence[str]) -> frozenset[str]:
    """Built-in functions that no model needs, and what leads to the same by another way."""
    modules = (name for name, meaning in candidate.genome.bound.items() if meaning.startswith("@"))
    return builtins_read(codes, FORBIDDEN) | reached(codes, modules)
