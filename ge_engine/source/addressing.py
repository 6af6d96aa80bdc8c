"""An address -> where its block stands, in a genome and in a reply's syntax tree."""

from __future__ import annotations

import ast
from collections.abc import Sequence

from ge_engine.genome import Genome
from ge_engine.outcome import Rejected
from ge_engine.source.facts import Kind, Span
from ge_engine.source.segments import Segment
from ge_engine.source.syntax import (
    DEFINITIONS,
    FUNCTIONS,
    Assignment,
    Definition,
    assigned_name,
    name_of,
)

Location = tuple[Segment, Span]


def locate(genome: Genome, address: str) -> Location | Rejected:
    """The segment and span of an evolvable block; stage "contract" when there is none."""
    name, _, method = address.partition(".")
    reason = genome.reason(address)
    segment = genome.segment(name)
    span = segment and (segment.method(method) if method else segment.facts.outer)
    if reason:
        return Rejected("contract", f"the block {address!r} cannot be evolved: {reason}.")
    if reason is None or not segment or not span:
        return Rejected("contract", f"there is no block {address!r}.")
    return segment, span


def definitions_of(tree: ast.Module, address: str) -> list[Definition]:
    """The definitions in `tree` that `address` asks for, alone or within its class, in order."""
    owner, _, name = address.rpartition(".")
    found: list[Definition] = []
    for node in tree.body:
        if owner and isinstance(node, ast.ClassDef):
            methods = [n for n in node.body if isinstance(n, FUNCTIONS) and n.name == name]
            found += methods if node.name == owner else []
        elif isinstance(node, DEFINITIONS) and node.name == name:
            found.append(node)
    return found


def assignments_of(tree: ast.Module, name: str) -> list[Assignment]:
    """The statements of `tree` that assign `name` alone, in order."""
    return [n for n in tree.body if isinstance(n, Assignment) and assigned_name(n) == name]


def statements_of(tree: ast.Module, address: str, kind: Kind) -> Sequence[Definition | Assignment]:
    """The statements in `tree` that a block of this kind may be, in order."""
    return assignments_of(tree, address) if kind == "values" else definitions_of(tree, address)


def find_statement(tree: ast.Module, address: str, kind: Kind) -> Definition | Assignment | Rejected:
    """The last statement in `tree` that `address` asks for; else what is there instead."""
    found = statements_of(tree, address, kind)
    if not found:
        name = address.rpartition(".")[2]
        return Rejected(
            "contract", f"{address} was asked for and {contents(tree)}: the name must stay {name}."
        )
    new = found[-1]
    if (kind == "class") != isinstance(new, ast.ClassDef):
        return Rejected("contract", f"{address} must stay a {kind}.")
    return new


def contents(tree: ast.Module) -> str:
    """What a reply defines, for a message."""
    names = list(dict.fromkeys(name for n in tree.body if (name := name_of(n))))
    return f"the reply defines {', '.join(names)}" if names else "the reply holds no definition"
