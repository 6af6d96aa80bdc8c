"""A reply less its reasoning, cut into fences, and what reading it may give."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from ge_engine.outcome import Rejected
from ge_engine.replies.block_match import Matcher
from ge_engine.replies.embedded_code import prose_regions, superseded_spans
from ge_engine.replies.fences import Fence, fences, outside

MAX_CHARACTERS = 200_000
MAX_LINES = 10_000
CUT_OFF = Rejected(
    "extract", "the reply was cut off at the token limit before the block was complete: answer more briefly."
)
_AS_ASKED = re.compile(
    r"took (fence 1 of 1|(\d+) fences of \2|the whole reply|a line|\d+ lines)|changed the width \d+"
    r"|made the changes that it names|applied (an edit|\d+ edits)|dropped the reasoning"
)
"""Steps that read a reply as it was asked for."""


@dataclass(frozen=True, slots=True)
class Extraction:
    """`code` is what was meant; `steps` says what was done to find it."""

    code: str
    steps: tuple[str, ...]

    @property
    def notes(self) -> tuple[str, ...]:
        """The steps that chose among what the reply holds, or changed it."""
        return tuple(step for step in self.steps if not _AS_ASKED.fullmatch(step))


Result = Extraction | Rejected | None


@dataclass(frozen=True, slots=True)
class Answer:
    """A reply less its reasoning, for what `matcher` wants; `cut` when it ended at the token limit.
    `depth` counts the wrappers around it."""

    text: str
    found: Sequence[Fence]
    matcher: Matcher
    cut: bool
    depth: int = 0


class Form(Protocol):
    """Reads an answer in the form that was asked for; None where the reply holds none."""

    def __call__(self, answer: Answer, /) -> Result: ...


def too_long(text: str) -> Rejected | None:
    """The rejection of a reply that is longer than any is read."""
    if len(text) > MAX_CHARACTERS:
        return Rejected("extract", f"the reply is longer than {MAX_CHARACTERS} characters.")
    if text.count("\n") + text.count("\r") >= MAX_LINES:
        return Rejected("extract", f"the reply has more than {MAX_LINES} lines.")
    return None


def cut_into_fences(text: str, matcher: Matcher, cut: bool, depth: int = 0) -> Answer:
    """The answer that a text is, with the fences that may hold code of the reply itself."""
    found = fences(text, matcher.complete)
    if found and matcher.mentions(text):
        found = _current(text, _undocumented(text, found, matcher))
    return Answer(text, found, matcher, cut, depth)


def _undocumented(text: str, found: list[Fence], matcher: Matcher) -> list[Fence]:
    """The fences that do not stand within the docstring of code that is in no fence."""
    if not matcher.mentions("\n".join(text.split("\n")[: found[0].first])):
        return found
    regions = [
        r for r in prose_regions(text, matcher.header) if r.first < found[-1].first and matcher.usable(r.text)
    ]
    return [f for f in found if not any(r.first < f.first and f.after < r.after for r in regions)]


def _current(text: str, found: list[Fence]) -> list[Fence]:
    """The fences that do not stand between tags such as <draft>."""
    bare = outside(text, found)
    spans = [(bare.count("\n", 0, start), bare.count("\n", 0, end)) for start, end in superseded_spans(bare)]
    return [f for f in found if not any(first <= f.first and f.after <= last + 1 for first, last in spans)]
