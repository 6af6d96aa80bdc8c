"""A genome as numbers in a structure: what an optimiser of numbers sees of it, and the way back.

Two genomes have one structure where their syntax trees differ in numbers alone, and in such alone as may be
chosen otherwise (`ge_engine.structure.numbers.named_numbers`).
"""

from __future__ import annotations

import ast
import copy
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby

from ge_engine.genome import Block, Genome
from ge_engine.outcome import Rejected
from ge_engine.patch import AnyPatch, JointPatch, Patch, parse_patch
from ge_engine.source.language import LANGUAGES
from ge_engine.source.source_text import Edit, Source
from ge_engine.structure.numbers import named_numbers, stated_numbers

HELD = 4096
"""Blocks, and genomes, whose numbers are held: most of a run's genomes share most of their blocks."""


@dataclass(frozen=True, slots=True)
class NumberSite:
    """A number of the top-level block `address`: characters `start`..`end` of the block's code.

    `name` is that of the argument, field, variable or key that it is the value of, else of what it is handed
    to ("Dropout"), in lower case; "" where it has none. `stated`: it stands in a literal that is given a
    name, or as the default of a parameter, not in a call.
    """

    address: str
    start: int
    end: int
    name: str
    value: int | float
    stated: bool


@dataclass(frozen=True, slots=True)
class Numbers:
    """The numbers of a genome in the order of its blocks; `structure` is all the rest of it, as a digest."""

    structure: str
    sites: tuple[NumberSite, ...]

    @property
    def values(self) -> tuple[int | float, ...]:
        return tuple(site.value for site in self.sites)


@lru_cache(maxsize=HELD)
def numbers_of(genome: Genome) -> Numbers:
    """The numbers of all top-level blocks, and the structure that they stand in."""
    parts = [_of_block(block.code, block.language, address) for address, block in _whole(genome)]
    brought = [one.imports for one in genome.files.values()]
    structure = repr((brought, [(address, rest) for address, rest, _ in parts]))
    digest = hashlib.blake2b(structure.encode(), digest_size=16).hexdigest()
    return Numbers(digest, tuple(site for _, _, sites in parts for site in sites))


def with_numbers(genome: Genome, sites: Mapping[NumberSite, int | float]) -> AnyPatch | Rejected:
    """The patch that sets each of `sites`, of `numbers_of(genome)` and at least one, to a value of its type:
    one block for each address. Rejected where a block's language cannot write it so.

    Raises:
        ValueError: no site.
    """
    if not sites:
        raise ValueError("no number is set")
    patches: list[Patch] = []
    ordered = sorted(sites, key=lambda site: (site.address, site.start))
    for address, group in groupby(ordered, key=lambda site: site.address):
        block = genome.blocks[address]
        code = _edited(block, {site: sites[site] for site in group})
        if code is None:
            return Rejected("compile", f"the numbers of {address} cannot be written in place")
        patch = parse_patch(genome, address, code)
        if isinstance(patch, Rejected):
            return patch
        patches.append(patch)
    return patches[0] if len(patches) == 1 else JointPatch(tuple(patches))


def _edited(block: Block, sites: Mapping[NumberSite, int | float]) -> str | None:
    source = LANGUAGES[block.language].source(block.code)
    nodes = {source.span(node): node for node, _ in named_numbers(source)}
    spans = {site: (site.start, site.end) for site in sites}
    return source.edited(
        Edit(*span, source.spelled(nodes[span], number_text(sites[site]))) for site, span in spans.items()
    )


def number_text(value: int | float) -> str:
    """A number in Python's words, a float with at most four digits; `float(number_text(x))` reads as one."""
    if type(value) is int:
        return str(value)
    text = f"{value:.4g}"
    return text if any(mark in text for mark in ".e") else f"{text}.0"


def _whole(genome: Genome) -> list[tuple[str, Block]]:
    return [(address, block) for address, block in genome.blocks.items() if block.kind != "method"]


@lru_cache(maxsize=HELD)
def _of_block(code: str, language: str, address: str) -> tuple[str, str, tuple[NumberSite, ...]]:
    """(address, the syntax tree without its numbers, the numbers)."""
    source = LANGUAGES[language].source(code)
    source.tree = copy.deepcopy(source.tree)  # that of YAML is shared by all who read the text
    stated = {id(node) for node, _ in stated_numbers(source)}
    called = _called(source)
    sites: list[NumberSite] = []
    nodes: list[ast.Constant] = []
    for node, name in named_numbers(source):
        assert isinstance(node.value, int | float)
        name = name or called.get(id(node), "")
        sites.append(NumberSite(address, *source.span(node), name, node.value, id(node) in stated))
        nodes.append(node)
    for node in nodes:
        node.value = type(node.value).__name__
    return address, ast.dump(source.tree), tuple(sites)


def _called(source: Source) -> dict[int, str]:
    """By the node of a number that is handed over by position: what it is handed to, in lower case."""
    calls = (node for node in ast.walk(source.tree) if isinstance(node, ast.Call))
    return {
        id(argument): ast.unparse(call.func).rpartition(".")[2].lower()
        for call in calls
        for argument in call.args
        if isinstance(argument, ast.Constant)
    }
