"""The text of a reply -> the code that it meant. Pure; says what it did; never guesses between two.

In order: reasoning is dropped; an edit (SEARCH/REPLACE, diff) is applied; else the last fence that
defines the block counts; else code within JSON, a string or tags; else the code between the prose.
"""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass

from ge_engine.code.addressing import contents, locate
from ge_engine.code.asked import Asked
from ge_engine.code.fences import Fence, fences
from ge_engine.code.hunks import added_lines, apply_hunks, has_search_marks, hunks, looks_like_edit
from ge_engine.code.reasoning import without_reasoning
from ge_engine.code.syntax import SyntaxFault, normalised, parse
from ge_engine.code.wrappers import prose_regions, wrapped_texts
from ge_engine.genome import Genome
from ge_engine.outcome import Rejected

MAX_NESTING = 3
"""Wrappers within wrappers (a fence within JSON within a fence) that are opened."""
MAX_CHARACTERS = 200_000
BROKEN = "took code that does not compile"
CUT_OFF = Rejected(
    "extract", "the reply was cut off at the token limit before the block was complete: answer more briefly."
)


@dataclass(frozen=True, slots=True)
class Extraction:
    """`code` is what was meant; `steps` says what was done to find it."""

    code: str
    steps: tuple[str, ...]


Result = Extraction | Rejected | None


def extract(text: str, finish: str, genome: Genome, address: str) -> Extraction | Rejected:
    """Find the code that a reply means for the block `address`.

    `finish` is "stop" or "length" (the token limit). The code may hold helpers and imports beside the
    block, and may fail to compile: that is for `parse_patch` to say. Never raises. Stage "extract",
    or "contract" when there is no such block.
    """
    target = locate(genome, address)
    if isinstance(target, Rejected):
        return target
    if len(text) > MAX_CHARACTERS:
        return Rejected("extract", f"the reply is longer than {MAX_CHARACTERS} characters.")
    text, steps, unfinished = without_reasoning(normalised(text))
    if not text.strip():
        return _nothing(finish, unfinished)
    result = _read(text, Asked(genome, address, target[1]), finish == "length", 0)
    return Extraction(result.code, (*steps, *result.steps)) if isinstance(result, Extraction) else result


def _nothing(finish: str, unfinished: bool) -> Rejected:
    if finish == "length":
        return Rejected(
            "extract", "the reply was cut off at the token limit within its reasoning: no code came."
        )
    if unfinished:
        return Rejected("extract", "the reasoning never ended and no code follows it.")
    return Rejected("extract", "the reply is empty.")


def _read(text: str, asked: Asked, cut: bool, depth: int) -> Extraction | Rejected:
    found = fences(text, asked.complete)
    return (
        _fenced(found, asked, cut)
        or _edit(text, found, asked, cut)
        or _wrapped(text, found, asked, cut, depth)
        or _between_prose(text, found, asked, cut)
        or _refusal(text, found, asked, cut)
    )


def _fenced(found: list[Fence], asked: Asked, cut: bool) -> Result:
    """The last fence that defines the block. One that the token limit cut off is not taken, nor is a
    draft before it."""
    if cut and found and not found[-1].closed and asked.mentions(found[-1].code):
        return CUT_OFF
    codes = [f.code for f in found]
    usable = {at: one for at, code in enumerate(codes) if (one := asked.usable(code)) is not None}
    best = asked.best(list(usable.values()))
    if best is None:
        return None
    at = next(at for at, one in usable.items() if one is best)
    note = f"took fence {at + 1} of {len(codes)}" + ("" if found[at].closed else ", which is not closed")
    whole = asked.joined(best, codes) if len(codes) > 1 else best
    notes = [note, best.mend, "joined a helper from another fence" if whole is not best else ""]
    return Extraction(whole.code, tuple(filter(None, notes)))


def _edit(text: str, found: list[Fence], asked: Asked, cut: bool) -> Result:
    """An edit of the block, applied if it fits exactly once."""
    inner = [f.code for f in found if f.info in ("diff", "patch") or looks_like_edit(f.code)]
    if not inner and not looks_like_edit(text):
        return None
    source = text if has_search_marks(text) or not inner else "\n".join(inner)
    if cut:
        return CUT_OFF
    added = asked.usable(added_lines(source))
    if added is not None:
        return Extraction(added.code, ("took the added lines of a diff",))
    edits = hunks(source)
    if not edits:
        return Rejected("extract", "the reply is an edit that cannot be read: answer with the whole block.")
    block = asked.genome.blocks[asked.address].code
    result = apply_hunks(block, edits, asked.span.indent)
    if isinstance(result, str):
        if result == block:
            return Rejected("extract", "the edit changes nothing.")
        return Extraction(result, (f"applied {len(edits)} edits" if len(edits) > 1 else "applied an edit",))
    if result > 1:
        return Rejected("extract", f"the old text of an edit occurs {result} times in {asked.address}.")
    return _edit_of_file(edits_of_file=apply_hunks(normalised(asked.genome.text), edits, ""), asked=asked)


def _edit_of_file(edits_of_file: str | int, asked: Asked) -> Extraction | Rejected:
    """An edit whose context reaches beyond the block: applied to the file, of which the block is taken."""
    if isinstance(edits_of_file, int):
        return Rejected("extract", f"the old text of an edit does not occur in {asked.address} as it stands.")
    usable = asked.usable(edits_of_file)
    if usable is None or not asked.differs(usable):
        return Rejected("extract", f"the edit does not touch {asked.address}, or leaves no valid file.")
    return Extraction(usable.code, ("applied an edit to the file and took the block",))


def _wrapped(text: str, found: list[Fence], asked: Asked, cut: bool, depth: int) -> Result:
    if depth >= MAX_NESTING:
        return None
    nested = (
        (f.code, "opened a fence") for f in reversed(found) if re.search(r"^\s*(```|~~~)", f.code, re.M)
    )
    sources = [*(f.code for f in reversed(found)), text]
    inside = (piece for source in sources if asked.name in source for piece in wrapped_texts(source))
    for inner, step in (*nested, *inside):
        result = _read(inner, asked, cut, depth + 1) if asked.mentions(inner) and inner != text else None
        if isinstance(result, Extraction) and result.steps[-1] != BROKEN:
            return Extraction(result.code, (step, *result.steps))
    return None


def _between_prose(text: str, found: list[Fence], asked: Asked, cut: bool) -> Result:
    """Code without a fence. Not looked for when a fence holds the block, in whatever state."""
    broken = [f for f in found if asked.mentions(f.code)]
    if any(f.closed for f in broken):
        return None
    source = broken[-1].code if broken else text
    whole = asked.usable(source)
    candidates = (
        [whole] if whole else [u for r in prose_regions(source) if (u := asked.usable(r)) is not None]
    )
    best = asked.best(candidates)
    if best is None:
        return None
    note = "took the whole reply" if best is whole else "took the code between the prose"
    return CUT_OFF if cut else Extraction(best.code, tuple(filter(None, (note, best.mend))))


def _refusal(text: str, found: list[Fence], asked: Asked, cut: bool) -> Extraction | Rejected:
    """Why no code was found; code of the right name that does not compile goes on to the compiler."""
    if cut:
        return CUT_OFF
    pieces = [f.code for f in found if f.code.strip()] or [text]
    if found and not "".join(f.code for f in found).strip():
        return Rejected("extract", "the reply holds an empty code block.")
    broken = [code for code in pieces if asked.mentions(code) and isinstance(parse(code), SyntaxFault)]
    if broken:
        return Extraction(broken[-1].strip("\n"), (BROKEN,))
    trees = [tree for tree in map(parse, pieces) if isinstance(tree, ast.Module)]
    there = [what for what in map(contents, trees) if "defines" in what]
    if there:
        reason = f"{asked.address} was asked for and {there[-1]}: the name must stay {asked.name}."
        return Rejected("extract", reason)
    return Rejected("extract", f"no code in the reply defines {asked.address}.")
