"""The life of one child, from the draw of its operators to its verdict: read it from top to bottom.

A coroutine: it awaits replies, its probe and, at a barrier, its verdict. All its random numbers come from
(random seed, generation, number in it, attempt), so that nothing depends on what arrives when. Its names on
the way:

    Slot          the place of a child in its generation: number, island
    Proposing     an operator at work on a block: its prompts, the replies
    Patch         what the operator proposes: new text for blocks of the genome
    Rewrite       the patched genome beside its parent: what the checks look at, as a `Candidate`
    Probed        a rewrite that ran once in a worker, and waits at the barrier
    Verdict       why it is rejected, and what the repair prompt may say of it; None: it passed
    Offspring     what came of the slot: a genome or none, passed or rejected
    ChildRecord   that, as the run database keeps it: an `Individual`, or a `ChildWithoutGenome`

The way goes on elsewhere: its score comes from `Scoring` (scoring.py), its place on the front from
`Schedule.run` (schedule.py) and `RunState.scored` (run_state.py).
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace

from ge_engine.genome import Genome
from ge_engine.outcome import Rejected, Skipped
from ge_engine.patch import AnyPatch, apply
from ge_engine.population import Step
from ge_engine.search.check_pipeline import Rewrite, Verdict, nobody
from ge_engine.search.prompting import Prompting
from ge_engine.search.proposing import Proposing
from ge_engine.search.services import RunServices
from ge_engine.search.settlement import Settlement
from ge_engine.search.slots import Slot
from ge_engine.search.variation import MatingPool

DRAWS = 8


@dataclass(frozen=True, slots=True)
class Offspring:
    """What became of a child: `rejected` is None for one that passed the checks. `genome` may be there
    anyway."""

    parents: tuple[str, ...] = ()
    steps: tuple[Step, ...] = ()
    genome: Genome | None = None
    rejected: Rejected | None = None


@dataclass(frozen=True, slots=True)
class Redraw:
    """A draw of which nothing came: why, with so many `repairs` left, and what a step's note says of it."""

    reason: str
    repairs: int
    note: str = ""


@dataclass(frozen=True)
class ChildPipeline:
    """Generates the child of one slot from the mating pool of its island."""

    slot: Slot
    pool: MatingPool
    services: RunServices
    prompting: Prompting
    settlement: Settlement

    async def breed(self) -> Offspring:
        """Draw and vary; while nothing comes of it, draw anew, at most `DRAWS` times."""
        config, notes = self.services.variations[0].config, list[str]()
        seed, made = config.random_seed, Redraw("", config.repairs)
        for attempt in range(DRAWS):
            rng = random.Random(f"{seed}/{self.pool.generation}/{self.slot.number}/{attempt}")
            after = await self._vary(rng, made.repairs)
            if isinstance(after, Offspring):
                return _noted(after, notes)
            made = after
            notes += [made.note] if made.note else []
        nothing = f"{DRAWS} draws found nothing to do; the last: {made.reason}"
        return Offspring(rejected=Rejected("skipped", nothing))

    async def _vary(self, rng: random.Random, repairs: int) -> Offspring | Redraw:
        """Draw parents and operators. Each operator rewrites a block of what the one before it made; a
        rejected rewrite is repaired while `repairs` are left. One without effect is not: what it rewrites may
        have none in this parent, so that another draw is the repair."""
        variation = self.services.variations[self.slot.island]
        operators, parents = variation.draw(self.pool, rng)
        names, steps = tuple(one.id for one in parents), tuple[Step, ...]()
        genome: Genome | None = parents[0].genome
        for operator in operators:
            assert genome is not None
            asks = self.prompting.ask, self.prompting.first
            work = Proposing(variation, operator, self.pool, self.slot, rng, genome, parents, *asks)
            left, proposed = repairs, await work.propose()
            while True:
                if isinstance(proposed, Skipped):
                    return Redraw(proposed.reason, repairs)
                genome, verdict = await self._check_and_score(work, proposed, final=operator is operators[-1])
                step = work.step(proposed)
                if verdict is None or not left or not work.repairable(verdict.rejected):
                    break
                left -= 1
                if verdict.twin:
                    reason = in_vain(step.address, names[0], verdict.twin)
                    return Redraw(reason, left, f"drawn anew: {reason}")
                proposed = await work.repair(verdict)
            steps = (*steps, step)
            if verdict is not None:
                return Offspring(names, steps, genome, verdict.rejected)
        return Offspring(names, steps, genome)

    async def _check_and_score(
        self, work: Proposing, proposed: AnyPatch | Rejected, final: bool
    ) -> tuple[Genome | None, Verdict | None]:
        """Patch, check, probe, begin the training, wait for the verdict. What a further operator
        will rewrite is patched and checked alone."""
        if isinstance(proposed, Rejected):
            return None, Verdict.plain(proposed)
        genome = apply(work.context.genome, proposed)
        if isinstance(genome, Rejected):
            return None, Verdict.plain(genome)
        rewrite = Rewrite(genome, work.context.genome, proposed, work.goal)
        seen = self.settlement.seen if final else nobody
        if rejected := self.services.checks.static(rewrite, seen):
            return genome, Verdict.plain(rejected)
        if not final:
            return genome, None
        parents = [one.id for one in work.context.parents]
        return genome, await self.settlement.verdict_on(self.slot, rewrite, parents)


def in_vain(address: str, parent: str, twin: str) -> str:
    """What a draw did that computes the same as `twin`, the `parent` of the block or its mate."""
    return f"{address} of {parent} was rewritten " + (
        "without effect" if twin == parent else f"to what {twin} computes"
    )


def _noted(child: Offspring, notes: Sequence[str]) -> Offspring:
    """The child, whose first step tells what was drawn before it."""
    if not notes or not child.steps:
        return child
    first, *others = child.steps
    told = "; ".join(filter(None, (*notes, first.note)))
    return replace(child, steps=(replace(first, note=told), *others))
