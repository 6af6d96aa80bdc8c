"""Scores of genomes: each digest and split once, faults that are not the candidate's tried again."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import CancelledError, Future
from functools import partial
from queue import SimpleQueue
from typing import Literal

from ge_engine.contracts import Evaluation, Job, Probe
from ge_engine.errors import GeError
from ge_engine.events import Announcer
from ge_engine.genome import Genome
from ge_engine.ledger import Ledger
from ge_engine.outcome import Failed, Outcome, Rejected, Scored

Split = Literal["validation", "test"]
Inbox = SimpleQueue[Callable[[], None]]
Then = Callable[[Probe | Rejected], None]
ATTEMPTS = 3


class Scoring:
    """Hands genomes to the evaluation and writes what comes back, in the thread that reads `inbox`.

    Futures may end in any thread: they only put a call into `inbox`. A score is keyed by the genome's
    digest and made with the run's seed, so it does not matter which individual asked first.
    """

    def __init__(
        self,
        evaluation: Evaluation,
        ledger: Ledger,
        objectives: Collection[str],
        random_seed: int,
        inbox: Inbox,
        announce: Announcer,
    ) -> None:
        self._evaluation = evaluation
        self._ledger = ledger
        self._objectives = objectives
        self._random_seed = random_seed
        self._inbox = inbox
        self._announce = announce
        self._running: dict[tuple[str, Split], Future[Outcome]] = {}
        self._probing: set[str] = set()
        self._open = True

    @property
    def busy(self) -> bool:
        """Whether a score is still awaited."""
        return bool(self._running)

    @property
    def load(self) -> int:
        """How many scores are awaited."""
        return len(self._running)

    @property
    def probing(self) -> bool:
        return bool(self._probing)

    def score(self, individual: str, genome: Genome, split: Split = "validation") -> None:
        """Submit unless the digest has its score or is on its way to it."""
        key = (genome.digest, split)
        if not self._open or key in self._running or self._ledger.score(genome.digest, split) is not None:
            return
        self._submit(Job(individual, genome, self._random_seed, split), 1)

    def abandon(self, digest: str) -> None:
        """Nobody wants this score any more: what still comes is dropped."""
        future = self._running.pop((digest, "validation"), None)
        if future is not None:
            future.cancel()

    def probe(self, individual: str, genome: Genome, stored: Probe | None, then: Then) -> None:
        """Call `then` from the inbox's thread with what the worker saw, or with `stored` when given."""
        self._probing.add(individual)
        if stored is None:
            self._probe(individual, genome, then, 1)
        else:
            self._inbox.put(partial(self._probed, individual, stored, then))

    def _probe(self, individual: str, genome: Genome, then: Then, attempt: int) -> None:
        future = self._evaluation.probe(genome)
        future.add_done_callback(
            lambda ended: self._inbox.put(partial(self._take_probe, ended, individual, genome, then, attempt))
        )

    def _take_probe(
        self, ended: Future[Probe], individual: str, genome: Genome, then: Then, attempt: int
    ) -> None:
        try:
            probe = ended.result()
        except GeError:
            raise
        except (Exception, CancelledError) as error:
            if attempt < ATTEMPTS:
                self._announce("retried", individual=individual, attempt=attempt, reason=repr(error))
                self._probe(individual, genome, then, attempt + 1)
                return
            reason = f"the evaluator could not probe it, {attempt} times; the last: {error!r}"
            self._probed(individual, Rejected("probe", reason), then)
            return
        self._ledger.add_probe(genome.digest, probe)
        self._probed(individual, probe, then)

    def _probed(self, individual: str, seen: Probe | Rejected, then: Then) -> None:
        self._probing.discard(individual)
        then(seen)

    def close(self) -> None:
        """Take no new work; what is in flight still comes."""
        self._open = False

    def reopen(self) -> None:
        """Take new work again: the finalists', after breeding was closed."""
        self._open = True

    def drain(self) -> None:
        """Read the inbox until nothing is awaited."""
        while self.busy or self.probing:
            self._inbox.get()()

    def _submit(self, job: Job, attempt: int) -> None:
        future = self._evaluation.submit(job)
        self._running[job.genome.digest, job.split] = future
        self._announce("submitted", individual=job.key, split=job.split)
        future.add_done_callback(lambda ended: self._inbox.put(partial(self._take, ended, job, attempt)))

    def _take(self, ended: Future[Outcome], job: Job, attempt: int) -> None:
        key = (job.genome.digest, job.split)
        if self._running.get(key) is not ended:
            return
        del self._running[key]
        outcome = self._outcome(ended)
        if isinstance(outcome, Failed) and outcome.fault != "candidate" and attempt < ATTEMPTS:
            self._announce("retried", individual=job.key, attempt=attempt, reason=outcome.reason)
            self._submit(job, attempt + 1)
            return
        self._ledger.add_score(job.genome.digest, job.split, outcome)
        self._announce("outcome", individual=job.key, split=job.split, **described(outcome))

    def _outcome(self, ended: Future[Outcome]) -> Outcome:
        try:
            outcome = ended.result()
        except GeError:
            raise
        except (Exception, CancelledError) as error:
            return Failed("evaluate", "error", f"the evaluator failed: {error!r}", "engine")
        return self._complete(outcome) if isinstance(outcome, Scored) else outcome

    def _complete(self, outcome: Scored) -> Outcome:
        """Every objective is there and finite, or the individual is failed: nothing else is compared."""
        for name in self._objectives:
            if name not in outcome.objectives:
                return Failed("evaluate", "error", f"the evaluator gave no objective {name!r}", "engine")
            value = outcome.objectives[name]
            if not math.isfinite(value):
                return Failed("evaluate", "not finite", f"the objective {name!r} is {value}")
        return Scored({name: float(outcome.objectives[name]) for name in self._objectives}, outcome.details)


def described(outcome: Outcome) -> Mapping[str, object]:
    """An outcome as an event tells it."""
    if isinstance(outcome, Scored):
        return {
            "kind": "scored",
            "objectives": dict(outcome.objectives),
            "reason": "",
            "details": outcome.details,
        }
    kind = outcome.kind if isinstance(outcome, Failed) else outcome.stage
    return {"kind": kind, "objectives": {}, "reason": outcome.reason, "details": {}}
