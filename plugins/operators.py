"""The built-in operators: mutation, mating and Evolution of Thought.

Each is a generator that yields prompts, is sent replies and returns a patch; none does I/O. Text is
joined, never formatted, so that braces and percent signs in a block stay what they are.
"""

from __future__ import annotations

import random
from collections.abc import Generator, Mapping, Sequence

from ge_engine.contracts import (
    BACKGROUND,
    Context,
    Direction,
    Individual,
    Operator,
    Prompt,
    Proposal,
    Reply,
    RunFacts,
    fenced,
)
from ge_engine.genome import Block, Genome, differing
from ge_engine.hookspecs import hookimpl
from ge_engine.noise import beyond_noise
from ge_engine.outcome import Skipped
from ge_engine.pareto import dominates, gains
from ge_plugins.intents import INTENTS, RULES, Intent
from ge_plugins.whole_file import has_room
from ge_plugins.wording import SYSTEM, paragraphs

OPTIMIZER = "get_optimizer"
EXPLAIN_SYSTEM = "You study why changes of PyTorch code changed what was measured. You answer in plain words."


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
        language
        model: a few numbered lines are for one without room."""
        intent = yield from self.worded(context, intent)
        code = context.genome.blocks[address].code
        grammar = "block" if intent.grammar == "edits" and has_room(context) else intent.grammar
        text = paragraphs(intent.text, fenced(code), RULES if grammar != "moves" else "")
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
        if not shared:
            return Skipped("the two parents differ in no block that this run may rewrite")
        address = context.choose("block", shared)
        prompt = Prompt(
            SYSTEM,
            paragraphs(
                "Two versions of one piece of code, from two models that were trained and measured. "
                "Combine their strengths into one new version.",
                "First version:",
                fenced(context.genome.blocks[address].code),
                _measured(context.parents[0], context.run.directions),
                "Second version:",
                fenced(mate.blocks[address].code),
                _measured(context.parents[1], context.run.directions),
                RULES,
            ),
            address,
            "block",
            "combine",
            mate.blocks[address].code,
            background=BACKGROUND,
        )
        reply = yield prompt
        return context.read(prompt, reply)


class EvolutionOfThought(Operator):
    """Asks why an elite's change helped, then for the same principle in another block.

    GECCO 2024, section 3.3. The source is an elite whose change helped, with the measured change of
    every objective in the prompt; the published code shows neither.
    """

    name = "eot"
    kind = "eot"

    def propose(self, context: Context) -> Proposal:
        run = context.run
        source = _helpful(run, context.rng)
        if source is None:
            return Skipped("no elite's change has helped yet")
        targets = _targets(context, source)
        if not targets:
            return Skipped("there is no other block of that kind to carry the thought to")
        changed = context.rng.choice(list(targets))
        address = context.choose("block", targets[changed])
        thought = yield _ask_why(run.seed.genome, source, run.seed, changed, run.directions)
        prompt = Prompt(
            SYSTEM,
            paragraphs(
                f"{_variant(context, source)}, {changed} was changed, and that helped: "
                + _change(run.seed, source, run.directions),
                "Why it helped:",
                thought.text.strip(),
                "Apply the same principle to this code:",
                fenced(context.genome.blocks[address].code),
                "The network should come out " + _aim(context.parents[0], run.directions),
                RULES,
            ),
            address,
            "block",
            "apply-thought",
            background=BACKGROUND,
        )
        reply = yield prompt
        return context.read(prompt, reply)


@hookimpl
def ge_operators() -> list[Operator]:
    return [Mutation(), Mating(), EvolutionOfThought()]


def _ask_why(
    before: Genome, source: Individual, seed: Individual, address: str, directions: Mapping[str, Direction]
) -> Prompt:
    return Prompt(
        EXPLAIN_SYSTEM,
        paragraphs(
            "This code:",
            fenced(before.blocks[address].code),
            "was changed into:",
            fenced(source.genome.blocks[address].code),
            "Measured change: " + _change(seed, source, directions),
            "Say in two or three sentences which principle made the change help.",
        ),
        intent="explain",
        background=("task", "instructions", "figures", "profile"),
    )


def _targets(context: Context, source: Individual) -> dict[str, list[str]]:
    """The blocks that `source` changed, each with those that its principle may be carried to: others of its
    kind. A change of a layer says nothing to a function that makes the optimizer."""
    theirs, ours = source.genome.blocks, context.genome.blocks
    found = {
        changed: [
            address
            for address in context.addresses
            if not _overlap(address, changed) and _kind(ours[address]) == _kind(theirs[changed])
        ]
        for changed in differing(context.run.seed.genome, source.genome)
    }
    return {changed: others for changed, others in found.items() if others}


def _kind(block: Block) -> str:
    """A class and its methods are of one kind, the function that makes the optimizer is one of its own."""
    if block.address == OPTIMIZER:
        return OPTIMIZER
    return "class" if block.kind == "method" else block.kind


def _variant(context: Context, source: Individual) -> str:
    is_this = source.genome.digest == context.genome.digest
    return "In this network" if is_this else "In another variant of the network that this code is from"


def _aim(parent: Individual, directions: Mapping[str, Direction]) -> str:
    """What a child has to show, in figures of its parent."""
    bounds = (
        name + (" above " if direction == "max" else " below ") + _number(parent.objectives[name])
        for name, direction in directions.items()
    )
    return "better than its parent in one of these and worse in none: " + ", ".join(bounds) + "."


def _helpful(run: RunFacts, rng: random.Random) -> Individual | None:
    """An elite that dominates the seed model; without one, an elite that improved somewhere; by more than
    ties."""
    changed = [e for e in run.elites if e.scored and differing(run.seed.genome, e.genome)]
    seen = [(e, run.ties.seen(e.objectives)) for e in changed]
    seed = run.ties.seen(run.seed.objectives)
    better = [e for e, figures in seen if dominates(figures, seed, run.directions)]
    gained = [e for e, figures in seen if gains(figures, seed, run.directions)]
    pool = better or gained
    return rng.choice(pool) if pool else None


def _overlap(a: str, b: str) -> bool:
    return a == b or a.startswith(b + ".") or b.startswith(a + ".")


def _measured(one: Individual, directions: Mapping[str, Direction]) -> str:
    return "Measured: " + ", ".join(_named(name, one.objectives[name]) for name in directions) + "."


def _change(before: Individual, after: Individual, directions: Mapping[str, Direction]) -> str:
    parts = []
    for name, sign in beyond_noise(after, before, directions).items():
        old, new = before.objectives[name], after.objectives[name]
        verdict = {1: "better", -1: "worse"}.get(sign, "equal" if new == old else "as good")
        parts.append(_named(name, old) + " to " + _number(new) + " (" + verdict + ")")
    return ", ".join(parts) + "."


def _named(name: str, value: float) -> str:
    return name + " " + _number(value)


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) and abs(value) >= 10 else f"{value:.4g}"
