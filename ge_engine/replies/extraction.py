"""The text of a reply -> the code that it meant. Pure; says what it did; never guesses between two.

In order: reasoning is dropped; an answer in the form that was asked for is read; else a whole block, which
is the last fence that defines the block and changes it, else an edit (SEARCH/REPLACE, diff), else code within
JSON, a string or tags, else the code between the prose. The first reason to refuse stands.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Sequence
from dataclasses import replace

from ge_engine.genome import Genome
from ge_engine.outcome import Rejected
from ge_engine.replies.answer import CUT_OFF, Answer, Extraction, Form, Result, cut_into_fences, too_long
from ge_engine.replies.block_match import BlockMatcher, Found, Matcher, TooMuch, is_among
from ge_engine.replies.editing import edited
from ge_engine.replies.embedded_code import (
    Region,
    announces_superseded,
    is_superseded,
    prose_regions,
    without_superseded,
    wrapped_texts,
)
from ge_engine.replies.fences import Fence, heading, outside
from ge_engine.replies.file_match import FileMatcher
from ge_engine.replies.hunks import has_search_marks, looks_like_edit
from ge_engine.replies.reasoning import before_next_question, turns, without_reasoning
from ge_engine.source.addressing import contents, locate
from ge_engine.source.syntax import SyntaxFault, normalised

__all__ = ["Extraction", "Form", "edited", "extract", "extract_file"]

MAX_NESTING = 3
"""Wrappers within wrappers (a fence within JSON within a fence) that are opened."""
MIXED = Rejected("extract", "the reply mixes edits and whole definitions: answer in one of the two.")
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
    return _found(text, finish, BlockMatcher(genome, address, target[1]), form)


def extract_file(text: str, finish: str, genome: Genome) -> Extraction | Rejected:
    """As `extract`, of a reply that may rewrite any of the genome's blocks: the code is all that it rewrites,
    or the whole file. A reply that was cut off, and one of which a part cannot be read, gives none.
    """
    result = _found(text, finish, FileMatcher(genome), None)
    return CUT_OFF if finish == "length" and isinstance(result, Extraction) else result


def _found(text: str, finish: str, matcher: Matcher, form: Form | None) -> Extraction | Rejected:
    if (long := too_long(text)) is not None:
        return long
    text = normalised(text)
    try:
        return _of_own_turn(text, matcher, form) or _extracted(text, finish, matcher, form)
    except TooMuch:
        return Rejected("extract", "the reply can be read in too many ways: answer with the code alone.")


def _of_own_turn(text: str, matcher: Matcher, form: Form | None) -> Extraction | None:
    """What a reply says before it goes on as the one who asks, where that changes the block."""
    own = before_next_question(text)
    result = _extracted(own, "stop", matcher, form) if own is not None else None
    if isinstance(result, Extraction) and BROKEN not in result.steps and _changes(result, matcher):
        return Extraction(result.code, ("took what stands before the next question", *result.steps))
    return None


def _extracted(text: str, finish: str, matcher: Matcher, form: Form | None) -> Extraction | Rejected:
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


def _changes(whole: Extraction | Rejected, matcher: Matcher) -> bool:
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
    return (
        _of_file(answer)
        or _fenced(answer)
        or edited(answer)
        or _wrapped(answer)
        or _between_prose(answer)
        or _refusal(answer)
    )


def _of_file(answer: Answer) -> Result:
    """Of a reply that may rewrite several blocks: its edits, or what of it cannot be read."""
    matcher = answer.matcher
    if not isinstance(matcher, FileMatcher):
        return None
    if has_search_marks(outside(answer.text, list(answer.found))):
        return edited(answer)
    codes = [f.code for f in answer.found if not announces_superseded(heading(answer.text, f))]
    usable = [matcher.usable(code) for code in codes]
    rest = [code for code, one in zip(codes, usable, strict=True) if one is None]
    if any(map(looks_like_edit, rest)):
        mixed = any(one is not None and matcher.differs(one) for one in usable)
        return MIXED if mixed else edited(answer)
    broken = [
        code for code in rest if matcher.mentions(code) and isinstance(matcher.parse(code), SyntaxFault)
    ]
    return Extraction(broken[-1].strip("\n"), (BROKEN,)) if broken else None


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
    taken = matcher.taken(list(usable.values()))
    if not taken:
        return None
    merged = matcher.merged(taken)
    whole = matcher.joined(merged, codes) if len(codes) > 1 else merged
    notes = [
        _took([at for at, one in usable.items() if is_among(one, taken)], found),
        *(one.repair for one in taken),
    ]
    notes += ["joined a helper from another fence"] if whole is not merged else []
    return Extraction(whole.code, tuple(filter(None, notes)))


def _took(places: list[int], found: Sequence[Fence]) -> str:
    if len(places) > 1:
        return f"took {len(places)} fences of {len(found)}"
    fence = found[places[0]]
    return f"took fence {places[0] + 1} of {len(found)}" + ("" if fence.closed else ", which is not closed")


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
    taken = answer.matcher.taken([found for _, found in read])
    meant = [result for result, found in read if is_among(found, taken)]
    if len(meant) < 2:
        return meant[0] if meant else None
    steps = dict.fromkeys(step for result in meant for step in result.steps)
    return Extraction(answer.matcher.merged(taken).code, tuple(steps))


def _inside(answer: Answer) -> list[tuple[str, str]]:
    """What the fences and the text wrap, in order, each with what was opened."""
    codes = [f.code for f in answer.found]
    pieces = [(code, "opened a fence") for code in codes if re.search(r"^[ \t]*(```|~~~)", code, re.M)]
    sources = [*codes, outside(answer.text, list(answer.found))]
    for source in sources:
        if answer.matcher.named_in(source) and answer.matcher.usable(source) is None:
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
    taken = [whole] if whole else matcher.taken(_usable_regions(without_superseded(source), matcher))
    if not taken:
        return None
    note = "took the whole reply" if whole else "took the code between the prose"
    steps = (note, *(one.repair for one in taken))
    return CUT_OFF if answer.cut else Extraction(matcher.merged(taken).code, tuple(filter(None, steps)))


def _usable_regions(text: str, matcher: Matcher) -> list[Found]:
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


def _quotes(outer: tuple[Region, Found], inner: Region, matcher: Matcher) -> bool:
    """The code of `outer` defines the block once and goes beyond `inner`, which so stands in a string."""
    region, one = outer
    around = region.first < inner.first and inner.after < region.after
    return around and matcher.defined_once(one)


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
        reason = f"{matcher.wanted} was asked for and {there[-1]}: the name must stay {matcher.name}."
        return Rejected("extract", reason)
    return Rejected("extract", f"no code in the reply defines {matcher.wanted}.")
