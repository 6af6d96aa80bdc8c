"""One generation's slots: prompts as one batch, trials as they come, verdicts in slot order.

What decides never depends on the order in which replies, probes and scores arrive. A trial is judged at once
against what was known when the phase began, so that its training can start; and at the end of the phase
again, in slot order, where another slot of the generation has the same digest or function.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from ge_engine.contracts import Probe
from ge_engine.events import Announcer
from ge_engine.ledger import Ledger, Settled
from ge_engine.outcome import Rejected
from ge_engine.population import Child, Individual, RejectedChild, individual_id, individuals_of
from ge_engine.search.conversation import Conversation
from ge_engine.search.models import Models
from ge_engine.search.scoring import Inbox, Scoring
from ge_engine.search.slots import Answer, Ask, Bred, Breeder, Pool, Slot
from ge_engine.search.stopping import Limits
from ge_engine.search.survey import Surveys
from ge_engine.validate import Ladder, Trial, Verdict, nobody


@dataclass(frozen=True)
class Shop:
    """What breeding works with, the same for every generation. `breeders` are those of the islands."""

    ledger: Ledger
    breeders: Sequence[Breeder]
    ladder: Ladder
    scoring: Scoring
    models: Models
    surveys: Surveys
    inbox: Inbox
    announce: Announcer
    limits: Limits


class Breeding:
    """Breeds one generation: slot n on island `islands[n]`, from that one's pool of `pools`. `resumed` when
    an earlier session began it."""

    def __init__(self, shop: Shop, pools: Sequence[Pool], islands: Sequence[int], resumed: bool) -> None:
        self._shop = shop
        self._resumed = resumed
        self._generation = pools[0].generation
        self._slots = [self._slot(number, island, pools[island]) for number, island in enumerate(islands)]
        self._talk = Conversation(
            shop.ledger,
            shop.models,
            shop.surveys,
            shop.inbox,
            shop.announce,
            shop.breeders[0].blame,
            shop.limits,
            self._generation,
            resumed,
        )
        self._digests: dict[str, str] = {}
        self._functions: dict[str, str] = {}
        self._admitted: set[str] = set()

    def _slot(self, number: int, island: int, pool: Pool) -> Slot:
        chain = self._shop.breeders[island].chain(pool, number)
        return Slot(individual_id(pool.generation, number), number, island, chain, pool.experience.odds)

    def run(self) -> str:
        """Breed until every slot is settled; the reason when the run was told to stop before that."""
        for slot in self._slots:
            self._advance(slot, None)
        while not all(slot.settled for slot in self._slots):
            while asking := [slot for slot in self._slots if slot.ask]:
                if reason := self._shop.limits.now() or self._talk.round(asking, self._advance):
                    return reason
            while self._shop.scoring.probing:
                self._shop.inbox.get()()
            self._settle()
        return ""

    def admitted(self) -> Iterator[Individual]:
        """The admitted, in slot order, without an outcome."""
        for slot in self._slots:
            if slot.bred and slot.bred.rejected is None:
                yield from individuals_of([self._child(slot, slot.bred)])

    def rejections(self) -> Mapping[str, int]:
        """Rejected slots of this generation by stage."""
        return Counter(slot.bred.rejected.stage for slot in self._slots if slot.bred and slot.bred.rejected)

    def _advance(self, slot: Slot, sent: Answer | Rejected | Verdict | None) -> None:
        """Let the chain go on until it asks, waits for a probe, or has ended."""
        slot.ask = slot.trial = None
        while True:
            try:
                want = slot.chain.send(sent)
            except StopIteration as end:
                slot.bred = end.value
                return
            if isinstance(want, Ask):
                slot.ask = want
                return
            sent = self._shop.ladder.static(want, self._seen if want.final else nobody)
            if sent is None and want.final:
                slot.trial, slot.probe, slot.verdict, slot.twin = want, None, None, False
                stored = self._shop.ledger.probe(want.genome.digest) if self._resumed else None
                self._shop.scoring.probe(slot.id, want.genome, stored, partial(self._probed, slot, want))
                return

    def _probed(self, slot: Slot, trial: Trial, seen: Probe | Rejected) -> None:
        """Start the training at once unless a rung objects, a slot before this one does the same, or an
        earlier session has decided: then `_settle` finds the score, or none is wanted."""
        if isinstance(seen, Rejected):
            slot.verdict = seen
            return
        slot.probe = seen
        slot.verdict = self._shop.ladder.probed(trial, seen, self._seen, partial(self._seen_function, slot))
        decided = self._resumed and self._shop.ledger.settled(slot.id)
        known = decided or self._twin_before(slot, seen.fingerprint)
        if slot.verdict is None and not known:
            self._shop.scoring.score(slot.id, trial.genome)

    def _twin_before(self, slot: Slot, fingerprint: str) -> bool:
        before = self._slots[: slot.number] if fingerprint else []
        return any(
            one.trial and one.verdict is None and one.probe and one.probe.fingerprint == fingerprint
            for one in before
        )

    def _seen(self, digest: str) -> str | None:
        return self._digests.get(digest) or self._shop.ledger.seen(digest, self._generation)

    def _seen_function(self, slot: Slot, fingerprint: str) -> str | None:
        known = self._functions.get(fingerprint)
        known = known or self._shop.ledger.seen_function(fingerprint, self._generation)
        slot.twin = slot.twin or known is not None
        return known

    def _settle(self) -> None:
        """Give every trial its verdict, in slot order, and record the slots that have ended."""
        tried = [slot for slot in self._slots if slot.trial]
        functions = {slot.id: slot.probe.fingerprint for slot in tried if slot.probe}
        void: set[str] = set()
        for slot in tried:
            assert slot.trial is not None
            genome = slot.trial.genome
            slot.verdict = self._verdict(slot, slot.trial)
            self._digests.setdefault(genome.digest, slot.id)
            if slot.verdict is not None:
                void.add(genome.digest)
                continue
            self._admitted.add(genome.digest)
            self._functions.setdefault(functions.get(slot.id, ""), slot.id)
            self._shop.scoring.score(slot.id, genome)
        self._functions.pop("", None)
        void = {d for d in void - self._admitted if self._shop.ledger.seen(d, self._generation) is None}
        for digest in void:
            self._shop.scoring.abandon(digest)
        for slot in tried:
            self._advance(slot, self._told(slot))
        self._record([slot for slot in self._slots if slot.bred and not slot.settled], functions, void)

    def _verdict(self, slot: Slot, trial: Trial) -> Rejected | None:
        probe = slot.probe
        if slot.verdict is not None or probe is None:
            return slot.verdict
        if trial.genome.digest not in self._digests and probe.fingerprint not in self._functions:
            return None
        return self._shop.ladder.static(trial, self._seen) or self._shop.ladder.probed(
            trial, probe, self._seen, partial(self._seen_function, slot)
        )

    def _told(self, slot: Slot) -> Verdict | None:
        if slot.verdict is None or slot.trial is None:
            return None
        ladder = self._shop.ladder
        return ladder.verdict(
            slot.trial, slot.probe, slot.verdict, self._seen, partial(self._seen_function, slot)
        )

    def _record(self, ended: list[Slot], functions: Mapping[str, str], void: set[str]) -> None:
        rows = []
        for slot in ended:
            bred = slot.bred
            assert bred is not None
            one = self._child(slot, bred)
            function = functions.get(slot.id, "") if bred.rejected is None or slot.twin else ""
            rows.append(Settled(one, function, bred.rejected))
        self._shop.ledger.settle(rows, sorted(void))
        for slot, row in zip(ended, rows, strict=True):
            slot.settled = True
            self._tell(row)

    def _child(self, slot: Slot, bred: Bred) -> Child:
        made = (slot.id, self._generation, slot.number, bred.parents, bred.steps)
        if bred.genome is None:
            assert bred.rejected is not None
            return RejectedChild(*made, bred.rejected, slot.island)
        return Individual(*made, bred.genome, island=slot.island)

    def _tell(self, row: Settled) -> None:
        one = row.individual
        made: dict[str, Any] = {
            "individual": one.id,
            "parents": one.parents,
            "operators": tuple(step.operator for step in one.steps),
            "personas": tuple(step.persona for step in one.steps),
            "intents": tuple(step.intent for step in one.steps),
            "address": one.steps[-1].address if one.steps else "",
        }
        if row.rejected:
            self._shop.announce("rejected", stage=row.rejected.stage, reason=row.rejected.reason, **made)
        else:
            self._shop.announce("admitted", **made)
