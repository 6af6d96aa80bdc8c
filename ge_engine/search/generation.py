"""One generation: children made side by side, prompts in rounds, verdicts at a barrier, all recorded.

Those that were made by hand have their verdicts before the others begin, so that these can be given at any
time.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ge_engine.ledger import ChildRecord
from ge_engine.ledger.hand_made import HandMade
from ge_engine.outcome import Rejected
from ge_engine.population import Child, ChildWithoutGenome, Individual, with_genome
from ge_engine.search.by_hand import HandMadeChild
from ge_engine.search.child import ChildPipeline, Offspring
from ge_engine.search.prompting import Prompting
from ge_engine.search.screen import Screen
from ge_engine.search.services import RunServices
from ge_engine.search.settlement import Settlement
from ge_engine.search.slots import Slot
from ge_engine.search.variation import MatingPool


class Generation:
    """Generates a child for each of `drawn`, from the pool of the slot's island, after those of `made`.
    `resumed` when an earlier session began the generation; `screen` says which of them are trained."""

    def __init__(
        self,
        services: RunServices,
        number: int,
        pools: Sequence[MatingPool],
        drawn: Sequence[Slot],
        made: Mapping[Slot, HandMade],
        resumed: bool,
        screen: Screen,
    ) -> None:
        self._services = services
        self._prompting = Prompting(services, number, resumed)
        self._settlement = settlement = Settlement(services, number, resumed, screen)
        self._made = [HandMadeChild(slot, one, services, settlement) for slot, one in made.items()]
        self._drawn = [
            ChildPipeline(slot, pools[slot.island], services, self._prompting, settlement) for slot in drawn
        ]
        self._begun = 0
        self._bred: dict[Slot, Offspring] = {}
        self._recorded: dict[Slot, ChildRecord] = {}

    def breed(self) -> str:
        """Generate until every child is recorded; the reason when the run was told to stop before that."""
        return self._breed(self._made) or self._breed(self._drawn)

    def _breed(self, children: Sequence[ChildPipeline | HandMadeChild]) -> str:
        services, prompting = self._services, self._prompting
        self._begun += len(children)
        for child in children:
            services.event_loop.start(self._live(child))
        while len(self._recorded) < self._begun:
            while prompting.asking:
                if reason := services.termination.now() or prompting.round():
                    return reason
            services.event_loop.until(self._all_wait)
            self._record_ended()
        return ""

    async def _live(self, child: ChildPipeline | HandMadeChild) -> None:
        self._bred[child.slot] = await child.breed()

    def _all_wait(self) -> bool:
        """Whether no child is on its way: each has ended or waits for its verdict."""
        return len(self._bred) + self._settlement.waiting == self._begun

    def admitted(self) -> Iterator[Individual]:
        """Those that passed the checks, in the order of their numbers, without an outcome."""
        for slot in sorted(self._recorded):
            if self._recorded[slot].rejected is None:
                yield from with_genome([self._recorded[slot].individual])

    def rejections(self) -> Mapping[str, int]:
        """Rejected children by stage."""
        return Counter(one.rejected.stage for one in self._recorded.values() if one.rejected)

    def broken(self) -> str:
        """The commonest reason where a plugin's fault has cost every child; "" where it has not."""
        rejected = [one.rejected for one in self._recorded.values()]
        faults = [one.reason for one in rejected if one and one.stage == "plugin"]
        return Counter(faults).most_common(1)[0][0] if faults and len(faults) == len(rejected) else ""

    def _record_ended(self) -> None:
        """Give verdicts, and record the children that have ended, in the order of their numbers."""
        probed, void = self._settlement.give_verdicts(self._bred.keys())
        ended = {
            slot: self._row(slot, bred, probed[slot].function if slot in probed else "")
            for slot, bred in sorted(self._bred.items())
            if slot not in self._recorded
        }
        self._services.ledger.record_children(ended.values(), void)
        self._recorded |= ended
        for row in ended.values():
            self._tell(row.individual, row.rejected)

    def _row(self, slot: Slot, bred: Offspring, function: str) -> ChildRecord:
        made = slot.id, slot.generation, slot.number, bred.parents, bred.steps
        if bred.genome is None:
            assert bred.rejected is not None
            return ChildRecord(ChildWithoutGenome(*made, bred.rejected, slot.island), function, bred.rejected)
        return ChildRecord(Individual(*made, bred.genome, island=slot.island), function, bred.rejected)

    def _tell(self, one: Child, rejected: Rejected | None) -> None:
        made: dict[str, Any] = {
            "individual": one.id,
            "parents": one.parents,
            "operators": tuple(step.operator for step in one.steps),
            "personas": tuple(step.persona for step in one.steps),
            "intents": tuple(step.intent for step in one.steps),
            "address": one.steps[-1].address if one.steps else "",
        }
        if rejected:
            self._services.announce("rejected", stage=rejected.stage, reason=rejected.reason, **made)
        else:
            self._services.announce("admitted", **made)
