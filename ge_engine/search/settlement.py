"""The barrier at which the children of a generation get their verdicts, in slot order.

What decides never depends on the order in which replies, probes and scores arrive. A child is judged at once
against what was known when the phase began, so that its training can start; and at the barrier again, where
another child of the generation has the same digest or function.
"""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import Future
from dataclasses import dataclass, field

from ge_engine.contracts import Probe
from ge_engine.genome import Genome
from ge_engine.outcome import Rejected
from ge_engine.search.check_pipeline import LookUp, Trial, Verdict
from ge_engine.search.event_loop import completion
from ge_engine.search.services import RunServices
from ge_engine.search.slots import Slot


@dataclass(slots=True)
class Tested:
    """A probed child that waits for its verdict. `probe`: what the worker saw, or why it saw nothing; `twin`:
    another child of its function was found."""

    slot: Slot
    trial: Trial
    probe: Probe | Rejected
    rejected: Rejected | None = None
    twin: bool = False
    verdict: Future[Verdict | None] = field(default_factory=Future)

    @property
    def digest(self) -> str:
        return self.trial.genome.digest

    @property
    def fingerprint(self) -> str:
        return self.probe.fingerprint if isinstance(self.probe, Probe) else ""

    @property
    def function(self) -> str:
        """The function under which the ledger knows it."""
        return self.fingerprint if self.rejected is None or self.twin else ""


class Settlement:
    """Verdicts of one generation. `resumed` when an earlier session began it."""

    def __init__(self, services: RunServices, generation: int, resumed: bool) -> None:
        self._services = services
        self._generation = generation
        self._resumed = resumed
        self._waiting: dict[Slot, Tested] = {}
        self._digests: dict[str, str] = {}
        self._functions: dict[str, str] = {}
        self._admitted: set[str] = set()

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    def stored(self, genome: Genome) -> Probe | None:
        """What a worker saw of a genome in an earlier session."""
        return self._services.ledger.probe(genome.digest) if self._resumed else None

    def seen(self, digest: str) -> str | None:
        """The individual that has this digest."""
        return self._digests.get(digest) or self._services.ledger.seen(digest, self._generation)

    def objection(self, tested: Tested) -> Rejected | None:
        """Why the child cannot be admitted by what is known now."""
        probe = tested.probe
        tested.rejected = (
            probe
            if isinstance(probe, Rejected)
            else self._services.checks.probed(tested.trial, probe, self.seen, self._seen_function(tested))
        )
        return tested.rejected

    def decided(self, tested: Tested) -> bool:
        """Whether the score is not to be begun yet: a child of an earlier slot does the same, or an earlier
        session has decided. Then `settle` finds the score, or none is wanted."""
        return (self._resumed and self._services.ledger.settled(tested.slot.id)) or any(
            one.fingerprint == tested.fingerprint != "" and one.rejected is None and one.slot < tested.slot
            for one in self._waiting.values()
        )

    async def verdict(self, tested: Tested) -> Verdict | None:
        """Wait for `settle`; None for an admitted child."""
        self._waiting[tested.slot] = tested
        verdict = (await completion(tested.verdict)).result()
        del self._waiting[tested.slot]
        return verdict

    def settle(self) -> tuple[dict[Slot, Tested], list[str]]:
        """Give all that wait their verdicts, in slot order, and let them go on: those that waited, and the
        digests whose scores belong to nobody."""
        tried = {slot: self._waiting[slot] for slot in sorted(self._waiting)}
        refused: set[str] = set()
        for one in tried.values():
            self._judge(one)
            self._digests.setdefault(one.digest, one.slot.id)
            if one.rejected is not None:
                refused.add(one.digest)
                continue
            self._admitted.add(one.digest)
            if one.fingerprint:
                self._functions.setdefault(one.fingerprint, one.slot.id)
            self._services.scoring.score(one.slot.id, one.trial.genome)
        void = self._void(refused)
        for digest in void:
            self._services.scoring.abandon(digest)
        for one in tried.values():
            one.verdict.set_result(self._told(one))
        self._services.event_loop.until(lambda: not self._waiting)
        return tried, void

    def _judge(self, tested: Tested) -> None:
        """Judge again where this generation has the same digest or function by now."""
        if tested.rejected is None and (
            tested.digest in self._digests or tested.fingerprint in self._functions
        ):
            tested.rejected = self._services.checks.static(tested.trial, self.seen) or self.objection(tested)

    def _void(self, refused: Iterable[str]) -> list[str]:
        ledger = self._services.ledger
        unknown = (digest for digest in refused if ledger.seen(digest, self._generation) is None)
        return sorted(digest for digest in unknown if digest not in self._admitted)

    def _told(self, one: Tested) -> Verdict | None:
        if one.rejected is None:
            return None
        probe = one.probe if isinstance(one.probe, Probe) else None
        look_up = self._seen_function(one)
        return self._services.checks.verdict(one.trial, probe, one.rejected, self.seen, look_up)

    def _seen_function(self, tested: Tested) -> LookUp:
        def look_up(fingerprint: str) -> str | None:
            known = self._functions.get(fingerprint)
            known = known or self._services.ledger.seen_function(fingerprint, self._generation)
            tested.twin = tested.twin or known is not None
            return known

        return look_up
