"""The life of a child that somebody has made by hand: checked, trained and placed as all others are."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ge_engine.genome import differing
from ge_engine.ledger.hand_made import HandMade
from ge_engine.outcome import Rejected
from ge_engine.patch import transplant
from ge_engine.population import HAND, SEED_ID, Step
from ge_engine.search.check_pipeline import Rewrite
from ge_engine.search.child import Offspring
from ge_engine.search.services import RunServices
from ge_engine.search.settlement import Settlement
from ge_engine.search.slots import Slot

INTENT = "variant"


@dataclass(frozen=True)
class HandMadeChild:
    """A child of the seed model: a step for each block that it rewrites."""

    slot: Slot
    made: HandMade
    services: RunServices
    settlement: Settlement

    async def breed(self) -> Offspring:
        """Check each rewritten block, probe, begin the training, wait for the verdict."""
        genome, rewrites = self.made.genome, list(self._rewrites())
        steps = tuple(Step(HAND, "", INTENT, one.patch.address, "", self.made.note) for one in rewrites)
        return Offspring((SEED_ID,), steps, genome, await self._rejected(rewrites))

    def _rewrites(self) -> Iterator[Rewrite]:
        genome, seed = self.made.genome, self.services.ledger.seed.genome
        for address in differing(seed, genome):
            yield Rewrite(genome, seed, transplant(genome, address))

    async def _rejected(self, rewrites: list[Rewrite]) -> Rejected | None:
        for one in rewrites:
            if rejected := self.services.checks.static(one, self.settlement.seen):
                return rejected
        verdict = await self.settlement.verdict_on(self.slot, rewrites[0], (SEED_ID,))
        return verdict.rejected if verdict else None
