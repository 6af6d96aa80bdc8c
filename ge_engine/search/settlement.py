"""The barrier at which the children of a generation get their verdicts, in the order of their numbers.

A verdict never depends on the order in which replies, probes and scores arrive. A child is checked at once
against what was known when the generation began, so that its training can start; and at the barrier again,
where another child of the generation has the same digest or function. One that passed in a group of which
only the best is trained waits on, until the checks are through with all of the group.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field, replace

from ge_engine.contracts import Probe
from ge_engine.genome import Genome
from ge_engine.outcome import Rejected
from ge_engine.search.check_pipeline import LookUp, Rewrite, Verdict
from ge_engine.search.event_loop import completion
from ge_engine.search.screen import Screen
from ge_engine.search.services import RunServices
from ge_engine.search.slots import Slot


@dataclass(slots=True)
class Probed:
    """A probed child that waits for its verdict. `parents` are ids; `probe`: what the worker saw, or why it
    saw nothing; `twin`: another child of its function was found."""

    slot: Slot
    rewrite: Rewrite
    parents: Sequence[str]
    probe: Probe | Rejected
    rejected: Rejected | None = None
    twin: bool = False
    verdict: Future[Verdict | None] = field(default_factory=Future)

    @property
    def digest(self) -> str:
        return self.rewrite.genome.digest

    @property
    def fingerprint(self) -> str:
        return self.probe.fingerprint if isinstance(self.probe, Probe) else ""

    @property
    def function(self) -> str:
        """The function under which the run database knows it."""
        return self.fingerprint if self.rejected is None or self.twin else ""


class Settlement:
    """Verdicts of one generation. `resumed` when an earlier session began it; `screen` says which children
    compete for one training."""

    def __init__(self, services: RunServices, generation: int, resumed: bool, screen: Screen) -> None:
        self._services = services
        self._generation = generation
        self._resumed = resumed
        self._screen = screen
        self._held: dict[Slot, Probed] = {}
        self._waiting: dict[Slot, Probed] = {}
        self._alike: defaultdict[str, list[Probed]] = defaultdict(list)
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

    def objection(self, child: Probed) -> Rejected | None:
        """Why the child cannot pass by what is known now."""
        probe = child.probe
        child.rejected = (
            probe
            if isinstance(probe, Rejected)
            else self._services.checks.probed(child.rewrite, probe, self.seen, self._seen_function(child))
        )
        return child.rejected

    def score_can_wait(self, child: Probed) -> bool:
        """Whether the score need not begin before `give_verdicts`: an earlier child computes the
        same function, or an earlier session has recorded this one, or another child of the same code may have
        another parent to inherit from, and come first; or another of its group may be trained in its
        place."""
        if self._services.scoring.inherits or self._screen.chooses(child.slot):
            return True
        return (self._resumed and self._services.ledger.has_recorded(child.slot.id)) or any(
            one.rejected is None and one.slot < child.slot for one in self._alike[child.fingerprint]
        )

    async def verdict_on(self, slot: Slot, rewrite: Rewrite, parents: Sequence[str]) -> Verdict | None:
        """Probe, begin the training, wait for `give_verdicts`. Gives None for a child that passes."""
        genome, scoring = rewrite.genome, self._services.scoring
        probe = self.stored(genome) or await scoring.probe(slot.id, genome)
        child = Probed(slot, rewrite, parents, probe)
        if self.objection(child) is None and not self.score_can_wait(child):
            scoring.score_child(slot.id, genome, parents)
        self._waiting[slot] = child
        if child.fingerprint:
            self._alike[child.fingerprint].append(child)
        verdict = (await completion(child.verdict)).result()
        del self._waiting[child.slot]
        return verdict

    def give_verdicts(self, ended: Collection[Slot]) -> tuple[dict[Slot, Probed], list[str]]:
        """Give the verdicts of all that wait, in the order of their numbers, and let them go on; but those
        whose group is not through yet wait on. `ended` are the slots that expect no verdict any more. Returns
        those that have theirs, and the digests whose scores belong to no individual."""
        tried = {slot: one for slot, one in sorted(self._waiting.items()) if slot not in self._held}
        for one in tried.values():
            self._check_again(one)
            self._digests.setdefault(one.digest, one.slot.id)
            if one.rejected is None and one.fingerprint:
                self._functions.setdefault(one.fingerprint, one.slot.id)
        passed = {slot: one for slot, one in tried.items() if one.rejected is None}
        self._held |= {slot: one for slot, one in passed.items() if self._screen.chooses(slot)}
        tried = {slot: one for slot, one in tried.items() if slot not in self._held} | self._chosen(ended)
        for _, one in sorted(tried.items()):
            if one.rejected is None:
                self._admitted.add(one.digest)
                self._services.scoring.score_child(one.slot.id, one.rewrite.genome, one.parents)
        void = self._void({one.digest for one in tried.values() if one.rejected is not None})
        for digest in void:
            self._services.scoring.abandon(digest)
        for _, one in sorted(tried.items()):
            one.verdict.set_result(self._verdict(one))
        self._services.event_loop.until(lambda: not self._waiting.keys() & tried.keys())
        self._alike.clear()
        return tried, void

    def _chosen(self, ended: Collection[Slot]) -> dict[Slot, Probed]:
        """The children of groups with which the checks are through, that have waited for it: one of each is
        trained, and the others are rejected."""
        through: dict[Slot, Probed] = {}
        for group in self._screen.groups:
            passed = {slot: self._held[slot] for slot in group if slot in self._held}
            if not passed or not all(slot in ended or slot in passed for slot in group):
                continue
            probes = {slot: one.probe for slot, one in passed.items() if isinstance(one.probe, Probe)}
            _, rejections = self._screen.rejections(probes)
            for slot, rejected in rejections.items():
                passed[slot].rejected = rejected
            through |= passed
        self._held = {slot: one for slot, one in self._held.items() if slot not in through}
        return through

    def _check_again(self, child: Probed) -> None:
        """Check again where this generation has the same digest or function by now."""
        if child.rejected is None and (child.digest in self._digests or child.fingerprint in self._functions):
            child.rejected = self._services.checks.static(child.rewrite, self.seen) or self.objection(child)

    def _void(self, refused: Iterable[str]) -> list[str]:
        ledger = self._services.ledger
        unknown = (digest for digest in refused if ledger.seen(digest, self._generation) is None)
        held = {one.digest for one in self._held.values()}
        return sorted(digest for digest in unknown if digest not in self._admitted | held)

    def _verdict(self, one: Probed) -> Verdict | None:
        if one.rejected is None:
            return None
        probe = one.probe if isinstance(one.probe, Probe) else None
        look_up = self._seen_function(one)
        verdict = self._services.checks.with_feedback(one.rewrite, probe, one.rejected, self.seen, look_up)
        known = self._known_function(one.fingerprint)
        return replace(verdict, twin=known) if known is not None and known in one.parents else verdict

    def _seen_function(self, child: Probed) -> LookUp:
        def look_up(fingerprint: str) -> str | None:
            known = self._known_function(fingerprint)
            child.twin = child.twin or known is not None
            return known

        return look_up

    def _known_function(self, fingerprint: str) -> str | None:
        """The individual that computes this function."""
        return self._functions.get(fingerprint) or self._services.ledger.seen_function(
            fingerprint, self._generation
        )
