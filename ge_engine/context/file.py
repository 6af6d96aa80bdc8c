"""The section "file": where the block stands in its file, from signatures to the whole text."""

from __future__ import annotations

import ast
import re
from collections.abc import Sequence
from functools import lru_cache

from ge_engine.contracts import Context, Prompt, fenced
from ge_engine.genome import Block, Genome
from ge_engine.source.language import LANGUAGES
from ge_engine.source.syntax import DEFINITIONS, first_line, indent_of, normalised

MOST_VALUE_LINES = 12
BLOCKS = 1024
"""Blocks whose headers and names are kept: most of a child's are its parent's."""
BEGIN, END = "# ----- the code to change: -----", "# ----- end of it -----"


def file(context: Context, prompt: Prompt) -> Sequence[str]:
    """Signatures of what calls the block and what it calls; its class and these; the whole file with the
    block marked; the other files of the model, where it has some."""
    genome, address = context.genome.at(prompt.address)
    block = genome.blocks.get(address)
    whole = "The whole file:\n" + fenced(_marked(genome, block), genome.seed.language.name)
    forms = (*_within(genome, block), whole)
    others = _others(context.genome, genome)
    return (*forms, "\n\n".join([whole, *others])) if others else forms


def _others(genome: Genome, shown: Genome) -> list[str]:
    """The files of the model besides the one that is shown."""
    others = ((name, one) for name, one in genome.files.items() if one is not shown)
    return [
        f"The file {name}, which belongs to it:\n" + fenced(normalised(one.text), one.seed.language.name)
        for name, one in others
    ]


def _within(genome: Genome, block: Block | None) -> Sequence[str]:
    """The shorter forms."""
    if block is None:
        return ()
    signatures = _signatures(genome, block)
    shown = fenced("\n".join(signatures), block.language)
    near = f"Around it in the file:\n{shown}" if signatures else ""
    around = _around(genome, block, near)
    return tuple(text for text in (near or around, around) if text)


def _around(genome: Genome, block: Block, near: str) -> str:
    """The class that holds a method, whole, before the signatures."""
    name, method = block.address.partition(".")[::2]
    if not method or name not in genome.blocks:
        return near
    return "\n\n".join(filter(None, (near, f"The whole of {name}:\n" + fenced(genome.blocks[name].code))))


def _marked(genome: Genome, block: Block | None) -> str:
    """The file with a line of its own before and after the block."""
    lines = normalised(genome.text).rstrip("\n").split("\n")
    if block is None:
        return "\n".join(lines)
    first, last = block.lines
    inner = lines[first - 1 : last]
    indent = indent_of(inner[0])
    return "\n".join([*lines[: first - 1], indent + BEGIN, *inner, indent + END, *lines[last:]])


def _signatures(genome: Genome, block: Block) -> list[str]:
    """Headers of the top-level blocks that name the block's own or that its own names, and of their
    methods; of the other methods of its class."""
    own = block.address.partition(".")[0]
    codes = {address: one.code for address, one in genome.blocks.items() if "." not in address}
    used = _names(codes.get(own, ""))
    near = {name for name, code in codes.items() if name == own or name in used or own in _names(code)}
    return [
        ("    " if "." in address else "") + line
        for address, one in genome.blocks.items()
        if address.partition(".")[0] in near - {block.address} and address != block.address
        if not one.reason
        for line in _header(one.code, one.language)
    ]


@lru_cache(maxsize=BLOCKS)
def _names(code: str) -> frozenset[str]:
    return frozenset(re.findall(r"[A-Za-z_]\w*", code))


@lru_cache(maxsize=BLOCKS)
def _header(code: str, language: str) -> tuple[str, ...]:
    """The lines of a block from `class` or `def` to where the body begins, and values in full; none of what
    cannot be read alone."""
    tree = LANGUAGES[language].parse(code)
    if not isinstance(tree, ast.Module):
        return ()
    (definition,) = tree.body
    lines = tuple(code.split("\n"))
    if not isinstance(definition, DEFINITIONS):
        return lines if len(lines) <= MOST_VALUE_LINES else (lines[0] + " ...",)
    begins = first_line(definition.body[0], lines)
    return lines[definition.lineno - 1 : max(definition.lineno, begins - 1)]
