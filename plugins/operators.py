"""The built-in operators: mutation, mating and Evolution of Thought.

Each is a generator that yields prompts, is sent replies and returns a patch; none does I/O. Text is
joined, never formatted, so that braces and percent signs in a block stay what they are.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence

from ge_engine.contracts import (
    BACKGROUND,
    Context,
    Individual,
    Operator,
    Prompt,
    Proposal,
    Reply,
    RunFacts,
    fenced,
)
from ge_engine.genome import differing
from ge_engine.hookspecs import hookimpl
from ge_engine.outcome import Skipped
from ge_plugins.intents import INTENTS, Intent, rules
from ge_plugins.thought import EvolutionOfThought
from ge_plugins.whole_file import has_room
from ge_plugins.wording import SYSTEM, paragraphs


class Mutation(Operator):
    """Rewrites one randomly chosen block after one of six mutation types (GECCO 2024, section 3)."""

    name = "mutation"

    def __init__(self, intents: Sequence[Intent] = INTENTS) -> None:
        self._intents = tuple(intents)

    def propose(self, context: Context) -> Proposal:
        if not context.addresses:
            return Skipped("the parent has no block that this run may rewrite")
        address = context.choose("block", context.addresses)
        return (yield from self.asked(context, address, self.drawn(context)))

    def drawn(self, context: Context) -> Intent:
        """One of the mutation types."""
        intents = {intent.name: intent for intent in self._intents}
        return intents[context.choose("intent", list(intents))]

    def asked(self, context: Context, address: str, intent: Intent) -> Proposal:
        """The block at `address` rewritten as the mutation type says, in the form that suits it and the
        language model: a few numbered lines are for one without room."""
        intent = yield from self.worded(context, intent)
        block = context.genome.blocks[address]
        grammar = "block" if intent.grammar == "edits" and has_room(context) else intent.grammar
        shown = fenced(block.code, block.language)
        text = paragraphs(intent.text, shown, rules(block) if grammar != "moves" else "")
        prompt = Prompt(
            SYSTEM,
            text,
            address,
            grammar,
            intent.name,
            goal=intent.goal,
            background=BACKGROUND,
        )
        reply = yield prompt
        return context.read(prompt, reply)

    def worded(self, context: Context, intent: Intent) -> Generator[Prompt, Reply, Intent]:  # noqa: ARG002
        """The mutation type as this prompt words it; by default in its own words."""
        yield from ()
        return intent


class Mating(Operator):
    """Recombines one block in which two parents differ; the rest stays the first parent's."""

    name = "mating"
    kind = "mating"

    def propose(self, context: Context) -> Proposal:
        mate = context.parents[1].genome
        if mate is None:
            return Skipped("the second parent has no genome")
        shared = [a for a in differing(context.genome, mate) if a in context.addresses]
        if context.mate_addresses is not None:
            shared = [a for a in shared if a in context.mate_addresses]
        if not shared:
            return Skipped("the two parents differ in no block that this run may rewrite")
        address = context.choose("block", shared)
        first, second = context.genome.blocks[address], mate.blocks[address]
        prompt = Prompt(
            SYSTEM,
            paragraphs(
                "Two versions of one piece of code, from two models that were trained and measured. "
                "Combine their strengths into one new version.",
                "First version:",
                fenced(first.code, first.language),
                _measured(context.parents[0], context.run),
                "Second version:",
                fenced(second.code, second.language),
                _measured(context.parents[1], context.run),
                rules(first),
            ),
            address,
            "block",
            "combine",
            second.code,
            background=BACKGROUND,
        )
        reply = yield prompt
        return context.read(prompt, reply)


@hookimpl
def ge_operators() -> list[Operator]:
    return [Mutation(), Mating(), EvolutionOfThought()]


def _measured(one: Individual, run: RunFacts) -> str:
    figures = (f"{name} {run.figure(name, one.objectives[name])}" for name in run.directions)
    return "Measured: " + ", ".join(figures) + "."
