"""Evolution of Thought: why a change helped, and the same principle somewhere else."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from difflib import unified_diff

from ge_engine.contracts import BACKGROUND, Context, Individual, Operator, Prompt, Proposal, RunFacts, fenced
from ge_engine.genome import Block, differing
from ge_engine.noise import beyond_noise
from ge_engine.outcome import Skipped
from ge_engine.pareto import dominates, gains
from ge_plugins.intents import rules
from ge_plugins.whole_file import has_room
from ge_plugins.wording import SYSTEM, paragraphs

OPTIMIZER = "get_optimizer"
MOST_LINES = 60
"""Lines that are shown of what changed besides."""
EXPLAIN_SYSTEM = "You study why changes of PyTorch code changed what was measured. You answer in plain words."


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
        others = _besides(run, source, changed)
        block = context.genome.blocks[address]
        thought = yield _ask_why(context, source, changed, others)
        prompt = Prompt(
            SYSTEM,
            paragraphs(
                f"{_variant(context, source)}, "
                + _listed([changed, *others])
                + " changed, and that helped: "
                + _change(source, run),
                "Why it helped:",
                thought.text.strip(),
                "Apply the same principle to this code:",
                fenced(block.code, block.language),
                "The network should come out " + _aim(context.parents[0], run),
                rules(block),
            ),
            address,
            "block",
            "apply-thought",
            background=BACKGROUND,
        )
        reply = yield prompt
        return context.read(prompt, reply)


def _ask_why(context: Context, source: Individual, address: str, others: Sequence[str]) -> Prompt:
    """What helped. The figures are of all that was changed, so the `others` are told as well."""
    before, run = context.run.seed.genome, context.run
    return Prompt(
        EXPLAIN_SYSTEM,
        paragraphs(
            "This code:",
            fenced(before.blocks[address].code, before.blocks[address].language),
            "was changed into:",
            fenced(source.genome.blocks[address].code, before.blocks[address].language),
            *_told_besides(context, source, others),
            "Measured change: " + _change(source, run),
            "Say in two or three sentences which principle made the change help.",
        ),
        intent="explain",
        background=("task", "instructions", "figures", "profile"),
    )


def _besides(run: RunFacts, source: Individual, address: str) -> list[str]:
    """Blocks that `source` has otherwise than the seed model, or in addition, but for that at `address`."""
    seed, theirs = run.seed.genome, source.genome
    new = [name for name in theirs.blocks if "." not in name and name not in seed.blocks]
    return [other for other in (*differing(seed, theirs), *new) if other != address]


def _told_besides(context: Context, source: Individual, others: Sequence[str]) -> Iterator[str]:
    """What was changed together with the block that is shown: by name, and where there is room as a diff."""
    if others:
        yield f"Together with it {_listed(others)} changed, and the figures are of all of it."
        if has_room(context):
            before, after = context.run.seed.genome.blocks, source.genome.blocks
            codes = ((before[one].code if one in before else "", after[one].code) for one in others)
            yield from (fenced(_lines_between(*pair), "diff") for pair in codes)


def _lines_between(before: str, after: str) -> str:
    """The lines that differ, with one around them, `MOST_LINES` at most."""
    lines = list(unified_diff(before.splitlines(), after.splitlines(), n=1, lineterm=""))[2:]
    more = [f"... {len(lines) - MOST_LINES} more lines"] if len(lines) > MOST_LINES else []
    return "\n".join([*lines[:MOST_LINES], *more])


def _listed(names: Sequence[str]) -> str:
    """ "A was", "A and B were", "A, B and C were"."""
    *head, last = names
    return f"{', '.join(head)} and {last} were" if head else f"{last} was"


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


def _aim(parent: Individual, run: RunFacts) -> str:
    """What a child has to show, in figures of its parent."""
    bounds = (
        name + (" above " if direction == "max" else " below ") + run.figure(name, parent.objectives[name])
        for name, direction in run.directions.items()
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


def _change(after: Individual, run: RunFacts) -> str:
    """What is measured of `after`, against the seed model."""
    before, parts = run.seed, []
    for name, sign in beyond_noise(after, before, run.directions).items():
        old, new = before.objectives[name], after.objectives[name]
        verdict = {1: "better", -1: "worse"}.get(sign, "equal" if new == old else "as good")
        parts.append(f"{name} {run.figure(name, old)} to {run.figure(name, new)} ({verdict})")
    return ", ".join(parts) + "."
