"""The text of a reply -> the code that it meant. Pure; says what it did; never guesses between two.

In order: reasoning is dropped; an answer in the form that was asked for is read; else a whole block, which
is the last fence that defines the block and changes it, else an edit (SEARCH/REPLACE, diff), else code within
JSON, a string or tags, else the code between the prose. The first reason to refuse stands.
"""

from __future__ import annotations

import ast
import re
from dataclasses import replace

from ge_engine.genome import Genome
from ge_engine.outcome import Rejected
from ge_engine.replies.answer import CUT_OFF, Answer, Extraction, Form, Result, cut_into_fences, too_long
from ge_engine.replies.block_match import BlockMatcher, Found, TooMuch
from ge_engine.replies.editing import edited
from ge_engine.replies.embedded_code import (
    Region,
    announces_superseded,
    is_superseded,
    prose_regions,
    without_superseded,
    wrapped_texts,
)
from ge_engine.replies.fences import heading, outside
from ge_engine.replies.reasoning import before_next_question, turns, without_reasoning
from ge_engine.source.addressing import contents, locate, statements_of
from ge_engine.source.style import plain
from ge_engine.source.syntax import SyntaxFault, normalised

__all__ = ["Extraction", "Form", "edited", "extract"]

MAX_NESTING = 3
"""Wrappers within wrappers (a fence within JSON within a fence) that are opened."""
BROKEN = "took code that does not compile"


def extract(
    text: str, finish: str, genome: Genome, address: str, form: Form | None = None
) -> Extraction | Rejected:
    """Find the code that a reply means for the block `address`.

    `finish` is "stop" or "length" (the token limit). `form` reads the form that was asked for; without it,
    and where the reply is in another form, the whole block is looked for. The code may hold helpers and
    imports beside the block, and may fail to compile: that is for `parse_patch` to say. Never raises. Stage
    "extract", or "contract" when there is no such block.
    """
    target = locate(genome, address)
    if isinstance(target, Rejected):
        return target
    if (long := too_long(text)) is not None:
        return long
    matcher = BlockMatcher(genome, address, target[1])
    text = normalised(text)
    try:
        return _of_own_turn(text, matcher, form) or _extracted(text, finish, matcher, form)
    except TooMuch:
        return Rejected("extract", "the reply can be read in too many ways: answer with the code alone.")


def _of_own_turn(text: str, matcher: BlockMatcher, form: Form | None) -> Extraction | None:
    """What a reply says before it goes on as the one who asks, where that changes the block."""
    own = before_next_question(text)
    result = _extracted(own, "stop", matcher, form) if own is not None else None
    if isinstance(result, Extraction) and BROKEN not in result.steps and _changes(result, matcher):
        return Extraction(result.code, ("took what stands before the next question", *result.steps))
    return None


def _extracted(text: str, finish: str, matcher: BlockMatcher, form: Form | None) -> Extraction | Rejected:
    text, steps, unfinished = without_reasoning(text)
    if not text.strip():
        return _nothing(finish, unfinished)
    result = _asked_for(cut_into_fences(text, matcher, finish == "length"), form)
    return Extraction(result.code, (*steps, *result.steps)) if isinstance(result, Extraction) else result


def _asked_for(answer: Answer, form: Form | None) -> Extraction | Rejected:
    first = form(answer) if form is not None else None
    if isinstance(first, Extraction) and first.code != answer.matcher.code:
        return first
    whole = _read(answer)
    if first is None and (isinstance(whole, Rejected) or BROKEN in whole.steps):
        whole = _of_first_turn(answer) or whole
    if first is None or _changes(whole, answer.matcher):
        return whole
    return first


def _changes(whole: Extraction | Rejected, matcher: BlockMatcher) -> bool:
    """The whole block that was found is another than the genome's."""
    found = matcher.usable(whole.code) if isinstance(whole, Extraction) else None
    return found is not None and matcher.differs(found)


def _of_first_turn(answer: Answer) -> Extraction | None:
    """What stands before the mark of a chat template that ends a turn, in a reply that goes on after it."""
    for text in turns(answer.text):
        result = _read(cut_into_fences(text, answer.matcher, False))
        if isinstance(result, Extraction) and BROKEN not in result.steps:
            return Extraction(result.code, ("took what stands before the end of the turn", *result.steps))
    return None


def _nothing(finish: str, unfinished: bool) -> Rejected:
    if finish == "length":
        return Rejected(
            "extract", "the reply was cut off at the token limit within its reasoning: no code came."
        )
    if unfinished:
        return Rejected("extract", "the reasoning never ended and no code follows it.")
    return Rejected("extract", "the reply is empty.")


def _read(answer: Answer) -> Extraction | Rejected:
    return _fenced(answer) or edited(answer) or _wrapped(answer) or _between_prose(answer) or _refusal(answer)


def _fenced(answer: Answer) -> Result:
    """The last fence that defines the block. One that the token limit cut off is not taken, nor is a
    draft before it, nor what a heading calls an original or a draft where there is another."""
    found, matcher = answer.found, answer.matcher
    if answer.cut and found and not found[-1].closed and matcher.mentions(found[-1].code):
        return CUT_OFF
    codes = [f.code for f in found]
    usable = {at: one for at, code in enumerate(codes) if (one := matcher.usable(code)) is not None}
    if len(usable) > 1:
        named = {
            at: one for at, one in usable.items() if not announces_superseded(heading(answer.text, found[at]))
        }
        usable = named or usable
    best = matcher.best(list(usable.values()))
    if best is None:
        return None
    at = next(at for at, one in usable.items() if one is best)
    note = f"took fence {at + 1} of {len(codes)}" + ("" if found[at].closed else ", which is not closed")
    whole = matcher.joined(best, codes) if len(codes) > 1 else best
    notes = [note, best.repair, "joined a helper from another fence" if whole is not best else ""]
    return Extraction(whole.code, tuple(filter(None, notes)))


def _wrapped(answer: Answer) -> Result:
    """Of the versions within JSON, strings and tags, the last that changes the block."""
    if answer.depth >= MAX_NESTING:
        return None
    read: list[tuple[Extraction, Found]] = []
    for inner, step in _inside(answer):
        if not answer.matcher.mentions(inner) or inner == answer.text:
            continue
        result = _read(cut_into_fences(inner, answer.matcher, answer.cut, answer.depth + 1))
        found = answer.matcher.usable(result.code) if isinstance(result, Extraction) else None
        if isinstance(result, Extraction) and found is not None:
            read.append((replace(result, steps=(step, *result.steps)), found))
    best = answer.matcher.best([found for _, found in read])
    return next((result for result, found in read if found is best), None)


def _inside(answer: Answer) -> list[tuple[str, str]]:
    """What the fences and the text wrap, in order, each with what was opened."""
    codes = [f.code for f in answer.found]
    pieces = [(code, "opened a fence") for code in codes if re.search(r"^[ \t]*(```|~~~)", code, re.M)]
    sources = [*codes, outside(answer.text, list(answer.found))]
    for source in sources:
        if answer.matcher.name in plain(source) and answer.matcher.usable(source) is None:
            pieces += [(one.text, one.step) for one in wrapped_texts(source) if not is_superseded(one.name)]
    return pieces


def _between_prose(answer: Answer) -> Result:
    """Code without a fence. Not looked for when a fence holds the block, in whatever state."""
    matcher = answer.matcher
    broken = [f for f in answer.found if matcher.mentions(f.code)]
    if any(f.closed for f in broken):
        return None
    source = broken[-1].code if broken else answer.text
    whole = matcher.usable(source)
    best = whole or matcher.best(_usable_regions(without_superseded(source), matcher))
    if best is None:
        return None
    note = "took the whole reply" if best is whole else "took the code between the prose"
    return CUT_OFF if answer.cut else Extraction(best.code, tuple(filter(None, (note, best.repair))))


def _usable_regions(text: str, matcher: BlockMatcher) -> list[Found]:
    """The code between the prose, less what a heading above it calls an original or a draft where there is
    other code."""
    lines = text.split("\n")

    def above(region: Region) -> str:
        return next(
            (line for line in reversed(lines[max(0, region.first - 3) : region.first]) if line.strip()), ""
        )

    found = [
        (region, one)
        for region in prose_regions(text, matcher.header)
        if (one := matcher.usable(region.text)) is not None
    ]
    found = [
        (region, one) for region, one in found if not any(_quotes(other, region, matcher) for other in found)
    ]
    named = [one for region, one in found if not announces_superseded(above(region))]
    return named or [one for _, one in found]


def _quotes(outer: tuple[Region, Found], inner: Region, matcher: BlockMatcher) -> bool:
    """The code of `outer` defines the block once and goes beyond `inner`, which so stands in a string."""
    region, one = outer
    around = region.first < inner.first and inner.after < region.after
    return around and len(statements_of(one.tree, matcher.address, matcher.span.kind)) == 1


def _refusal(answer: Answer) -> Extraction | Rejected:
    """Why no code was found; code of the right name that does not compile goes on to the compiler."""
    matcher, found = answer.matcher, answer.found
    if answer.cut:
        return CUT_OFF
    pieces = [f.code for f in found if f.code.strip()] or [answer.text]
    if found and not "".join(f.code for f in found).strip():
        return Rejected("extract", "the reply holds an empty code block.")
    trees = [matcher.parse(piece) for piece in pieces]
    faults = zip(pieces, trees, strict=True)
    broken = [code for code, tree in faults if matcher.mentions(code) and isinstance(tree, SyntaxFault)]
    if broken:
        return Extraction(broken[-1].strip("\n"), (BROKEN,))
    there = [what for tree in trees if isinstance(tree, ast.Module) and "defines" in (what := contents(tree))]
    if there:
        reason = f"{matcher.address} was asked for and {there[-1]}: the name must stay {matcher.name}."
        return Rejected("extract", reason)
    return Rejected("extract", f"no code in the reply defines {matcher.address}.")
