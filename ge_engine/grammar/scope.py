"""What is in scope where a block stands: how torch is spelled, which class is around it, its widths."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache

from ge_engine.genome import Genome
from ge_engine.grammar.catalog import OF_MODULES
from ge_engine.source.language import PYTHON
from ge_engine.source.syntax import dotted, method_of

ROOTS = {"torch.nn": "nn", "torch.nn.functional": "F", "torch.optim": "optim", "torch": "torch"}


@dataclass(frozen=True, slots=True)
class Spelling:
    """How a file writes torch's members. `prefixes`: "nn" -> "nn." or "torch.nn."; `direct`: names
    imported one by one, e.g. "Conv2d" -> ("nn", "Conv2d")."""

    prefixes: Mapping[str, str]
    direct: Mapping[str, tuple[str, str]]

    def write(self, module: str, name: str) -> str | None:
        """The member's spelling in this file, or None when it is not in reach."""
        if (prefix := self.prefixes.get(module)) is not None:
            return prefix + name
        return next((alias for alias, member in self.direct.items() if member == (module, name)), None)

    def read(self, function: ast.expr) -> tuple[str, str] | None:
        """("nn", "Conv2d") of a called expression, or None when it is no member of torch."""
        text = dotted(function)
        if text in self.direct:
            return self.direct[text]
        head, _, name = text.rpartition(".")
        for module, prefix in self.prefixes.items():
            if head and head + "." == prefix:
                return module, name
        return None


@dataclass(frozen=True, slots=True)
class Scope:
    """`owner` is the class around the block (or the block itself when it is a class), else None.

    `widths` maps a parameter of the owner's __init__ to the integers that the file calls it with; a
    parameter that is also called with something else is missing. `inspected` are the attributes whose own
    attributes the file reads (`self.conv.weight`): what stands there must stay of its kind.
    """

    spelling: Spelling
    classes: Mapping[str, ast.ClassDef]
    owner: ast.ClassDef | None
    widths: Mapping[str, frozenset[int]]
    imports: frozenset[str] = field(default_factory=frozenset)
    inspected: frozenset[str] = frozenset()

    def width(self, expression: str) -> frozenset[int]:
        """The values that a width expression takes, empty when unknown."""
        if expression.isdigit():
            return frozenset({int(expression)})
        return self.widths.get(expression, frozenset())


def scope_of(genome: Genome, address: str) -> Scope:
    """The scope of a block. Cost grows with the file once, then it is remembered."""
    if genome.seed.language is not PYTHON:
        return Scope(Spelling({}, {}), {}, None, {})
    tree, spelling = _read(genome.text)
    classes = {node.name: node for node in tree.body if isinstance(node, ast.ClassDef)}
    owner = classes.get(address.partition(".")[0])
    widths = _called_with(tree, owner) if owner else {}
    return Scope(spelling, classes, owner, widths, frozenset(genome.bound), frozenset(_inspected(tree)))


def _inspected(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and node.attr not in OF_MODULES:
            inner = node.value.value if isinstance(node.value, ast.Subscript) else node.value
            if isinstance(inner, ast.Attribute):
                yield inner.attr


@lru_cache(maxsize=32)
def _read(text: str) -> tuple[ast.Module, Spelling]:
    tree = ast.parse(text)
    prefixes: dict[str, str] = {}
    direct: dict[str, tuple[str, str]] = {}
    for node in tree.body:
        for module, alias, member in _imports(node):
            if member is None and module in ROOTS:
                prefixes[ROOTS[module]] = f"{alias}."
            elif member is not None and f"{module}.{member}" in ROOTS:
                prefixes[ROOTS[f"{module}.{member}"]] = f"{alias}."
            elif member is not None and module in ROOTS:
                direct[alias] = (ROOTS[module], member)
    if "torch" in prefixes:
        for module, root in ROOTS.items():
            prefixes.setdefault(root, prefixes["torch"] + module.removeprefix("torch.") + ".")
    return tree, Spelling(prefixes, direct)


def _imports(node: ast.stmt) -> Iterator[tuple[str, str, str | None]]:
    if isinstance(node, ast.Import):
        for name in node.names:
            if name.asname or "." not in name.name:
                yield name.name, name.asname or name.name, None
            elif name.name.startswith("torch."):
                yield "torch", "torch", None
    elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
        for name in node.names:
            yield node.module, name.asname or name.name, name.name


def _called_with(tree: ast.Module, owner: ast.ClassDef) -> Mapping[str, frozenset[int]]:
    init = method_of(owner, "__init__")
    if init is None:
        return {}
    names = [argument.arg for argument in init.args.args[1:]]
    seen: dict[str, set[int]] = defaultdict(set)
    unknown: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and dotted(node.func) == owner.name:
            given = dict(zip(names, node.args, strict=False))
            given |= {k.arg: k.value for k in node.keywords if k.arg}
            for name, value in given.items():
                if isinstance(value, ast.Constant) and type(value.value) is int:
                    seen[name].add(value.value)
                else:
                    unknown.add(name)
    return {name: frozenset(values) for name, values in seen.items() if name not in unknown}
