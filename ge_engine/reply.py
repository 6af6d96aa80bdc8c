"""The text of a reply -> the code that it meant."""

from __future__ import annotations

import re
from dataclasses import dataclass

from ge_engine.blocks import Genome
from ge_engine.outcome import Rejected
from ge_engine.patch import find_definition, locate
from ge_engine.syntax import SyntaxFault, parse

_FENCE = re.compile(r"^([ \t]*)(`{3,}|~{3,})[^\n]*\n(.*?)^\1\2[`~]*[ \t]*$", re.DOTALL | re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Extraction:
    """`code` is what was meant; `steps` says what was done to find it."""

    code: str
    steps: tuple[str, ...]


def extract(text: str, finish: str, genome: Genome, address: str) -> Extraction | Rejected:
    """Find the code that a reply means for the block `address`. Stage "extract" when it cannot."""
    target = locate(genome, address)
    if isinstance(target, Rejected):
        return target
    text = text.replace("\r\n", "\n")
    if not text.strip():
        cut = finish == "length"
        return Rejected("extract", "the reply was cut off before any code." if cut else "the reply is empty.")
    candidates = [m.group(3) for m in _FENCE.finditer(text)] or [text]
    for code in reversed(candidates):
        tree = parse(code)
        if not isinstance(tree, SyntaxFault) and not isinstance(
            find_definition(tree, address, target[1].kind), Rejected
        ):
            return Extraction(code, ("fence",))
    if finish == "length":
        return Rejected("extract", "the reply was cut off at the token limit.")
    return Rejected("extract", f"no code in the reply defines {address}.")
