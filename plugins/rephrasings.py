"""Prompts that evolve: rephrasings of the six mutation types, kept only when their children do better.

The future work that Morris, Jurado and Zutty name (GECCO 2024, section 5). Off until a run names it:
`--operators rephrasing,mating,eot`. What is known comes from the run's database alone, so that a resumed or
replayed run draws the same.
"""

from __future__ import annotations

import hashlib
from collections.abc import Generator, Iterator, Sequence
from dataclasses import replace

from ge_engine.contracts import Context, Operator, Prompt, Reply
from ge_engine.hookspecs import hookimpl
from ge_plugins.intents import Intent
from ge_plugins.operators import Mutation

SYSTEM = "You write clear instructions for programmers."
ASKED = "rephrase:"
FRESH = 0.25
"""How often a new rephrasing is asked for."""
TRIALS = 4
"""Children that a rephrasing gets before it is measured against the original."""
SHORTEST, LONGEST = 20, 400


class Rephrasing(Mutation):
    """A mutation whose mutation type has its own words or others that the language model found.

    A rephrasing is called after its mutation type and its text, "reduce~3fa2c1", and counted under that name.
    It is drawn while it has fewer than `TRIALS` children, and afterwards only if a larger share of its
    children is better than their parents than of the original's (both with one success and one failure to
    begin with).
    """

    name = "rephrasing"

    def worded(self, context: Context, intent: Intent) -> Generator[Prompt, Reply, Intent]:
        """The mutation type, one of its kept rephrasings, or one that is asked for now."""
        kept = list(_kept(context, intent))
        if context.rng.random() >= FRESH:
            return context.rng.choice([intent, *kept])
        reply = yield _question(context, intent, kept)
        return rephrased(intent, reply.text) or intent


def rephrased(original: Intent, text: str) -> Intent | None:
    """`original` in the words of `text`, one paragraph; None when it is no other wording of a fit length."""
    words = " ".join(text.split()).strip("\"'` ")
    if not SHORTEST <= len(words) <= LONGEST or "```" in text:
        return None
    if _plain(words) == _plain(original.text):
        return None
    digest = hashlib.sha256(words.encode()).hexdigest()[:6]
    return replace(original, name=f"{original.name}~{digest}", text=words)


def _kept(context: Context, original: Intent) -> Iterator[Intent]:
    """The rephrasings that are on trial or have done better than the original, each once, oldest first."""
    trials = context.memory.trials
    found = (rephrased(original, text) for text in context.memory.prose(ASKED + original.name))
    for one in dict.fromkeys(intent for intent in found if intent):
        record = trials("intent", one.name)
        if record.children < TRIALS or record.rate > trials("intent", original.name).rate:
            yield one


def _question(context: Context, original: Intent, kept: Sequence[Intent]) -> Prompt:
    example = context.rng.choice([original, *kept])
    user = (
        "This instruction is given to a programmer who improves a neural network:\n\n"
        + example.text
        + "\n\nWrite one other instruction with the same goal in other words. "
        "Answer with the instruction alone, in one or two sentences."
    )
    return Prompt(SYSTEM, user, intent=ASKED + original.name)


def _plain(text: str) -> str:
    return "".join(letter for letter in text.lower() if letter.isalnum())


@hookimpl
def ge_operators() -> list[Operator]:
    return [Rephrasing()]
