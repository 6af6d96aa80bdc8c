"""A bounded thought in free text before the answer, in any form of answer (`--think N`).

<think>
free text, at most N tokens
</think>
the answer
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

from ge_engine.contracts import Constraint, Grammar, Reply, Target, inheriting
from ge_engine.grammar.lark_builder import template
from ge_engine.outcome import Rejected
from ge_engine.patch import AnyPatch
from ge_engine.replies.answer import too_long
from ge_engine.replies.reasoning import without_reasoning
from ge_engine.source.syntax import normalised

CHARACTERS = 2
"""Of code, a token has at least this number: 2.7 with the embedded model."""
OPEN, CLOSE = "<think>", "</think>"
MARKS = 16
"""Tokens of both marks and the lines around them, at most."""
UNFINISHED = Rejected("extract", "the thought never ended and no answer follows it.")
_START = re.compile(r"^start[ \t]*:", re.MULTILINE)


def thinking(grammars: Mapping[str, Grammar], tokens: int) -> Mapping[str, Grammar]:
    """The forms of answer, each after a thought of at most `tokens` tokens; unchanged at 0."""
    return {name: Thinking(one, tokens) for name, one in grammars.items()} if tokens else grammars


def room(tokens: int) -> int:
    """By how many tokens a reply may be longer for its thought."""
    return tokens + MARKS if tokens else 0


def answer_of(text: str) -> str | None:
    """What follows the thoughts of a reply; None when one of them never ends and nothing stands before it.

    A reply that begins within a thought, since its chat template opened it, has a closing mark alone. A reply
    that is too long to be read is given back as it is.
    """
    if too_long(text) is not None:
        return text
    answer, _, unfinished = without_reasoning(normalised(text))
    return None if unfinished and not answer.strip() else answer.lstrip("\n")


class Thinking(Grammar):
    """The form `inner` after a thought of at most `tokens` tokens, which nothing reads."""

    def __init__(self, inner: Grammar, tokens: int) -> None:
        self.name = inner.name
        self.inner = inner
        self.tokens = tokens

    def instructions(self, target: Target) -> str:
        """Those of the form, and how to think before."""
        words = max(1, self.tokens * 3 // 4)
        return (
            f"{self.inner.instructions(target)}\nBefore this answer, think in at most {words} words about "
            f"what to change and why, in plain text, between a line {OPEN} and a line {CLOSE}."
        ).lstrip("\n")

    def constraint(self, target: Target) -> Constraint | Rejected:
        """A thought of its own, then the parts of the form's constraint."""
        inner = self.inner.constraint(target)
        if isinstance(inner, Rejected):
            return inner
        return Thoughtful(inheriting(Constraint, inner), self.tokens)

    def decode(self, reply: Reply, target: Target) -> AnyPatch | Rejected:
        answer = answer_of(reply.text)
        return UNFINISHED if answer is None else self.inner.decode(replace(reply, text=answer), target)

    def canonical(self, reply: Reply, target: Target) -> str:
        answer = answer_of(reply.text)
        return "" if answer is None else self.inner.canonical(replace(reply, text=answer), target)


@dataclass(frozen=True, slots=True)
class Thoughtful(Constraint):
    """The constraint of one answer: the thought is its first part."""

    inner: Constraint
    tokens: int

    @property
    def longest(self) -> int:
        """In characters, as which the thought's tokens count too; 0 where the form has none."""
        inner = self.inner.longest
        return inner + CHARACTERS * room(self.tokens) if inner else 0

    def part(self, so_far: str) -> str | None:
        if not so_far:
            return f"{self._thought()}\nstart: thought\n"
        _, _, answer = so_far.partition(f"{CLOSE}\n")
        return self.inner.part(answer)

    def whole(self) -> str:
        """One text. The form's own start becomes a rule of another name."""
        inner = _START.sub("ge_answer:", self.inner.whole(), count=1)
        return f"{self._thought()}\nstart: thought ge_answer\n{inner}"

    def _thought(self) -> str:
        return template("thought").replace("LIMIT", str(self.tokens))
