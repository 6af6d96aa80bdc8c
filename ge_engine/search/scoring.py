"""Scores of genomes: each digest and split once, faults that are not the candidate's tried again."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import CancelledError, Future
from dataclasses import replace

from ge_engine.contracts import Evaluation, Job, Probe
from ge_engine.errors import GeError, with_place
from ge_engine.events import Announcer
from ge_engine.genome import Genome
from ge_engine.ledger import Ledger
from ge_engine.ledger.records import as_number
from ge_engine.ledger.score_key import ScoreKey, Split, counted
from ge_engine.outcome import Failed, Outcome, Rejected, Scored
from ge_engine.population import SEED_ID
from ge_engine.search.event_loop import EventLoop, completion

AtRung = Callable[[Job, Scored], bool | None]
Behind = Callable[[Job, Scored], str]
ATTEMPTS = 3


class Scoring:
    """Hands genomes to the evaluation and writes what comes back: each training is a task of `event_loop`.

    A score is keyed by the genome's digest and made with the run's random seed, so it does not matter which
    individual asked first, unless trainings begin with the weights of parents: then the first one counts.
    `digest_of` gives a parent's digest there, and is None where trainings begin from scratch.

    `rungs` are the epochs after which a child's training pauses, and where `seed_pauses` the seed model's,
    which always goes on. `at_rung` is asked there whether a child's does; without it, or where it says None,
    the training waits for `go_on` or `stop`. `behind` says why one was stopped.
    """

    def __init__(
        self,
        evaluation: Evaluation,
        ledger: Ledger,
        objectives: Collection[str],
        random_seed: int,
        event_loop: EventLoop,
        announce: Announcer,
        rungs: Sequence[int] = (),
        digest_of: Callable[[str], str] | None = None,
        seed_pauses: bool = False,
    ) -> None:
        self._evaluation = evaluation
        self._ledger = ledger
        self._objectives = objectives
        self._random_seed = random_seed
        self._event_loop = event_loop
        self._announce = announce
        self.rungs = tuple(rungs)
        self._digest_of = digest_of
        self._seed_pauses = seed_pauses
        self.at_rung: AtRung = lambda *_: None
        self.behind: Behind = lambda *_: "behind others there"
        self._running: dict[tuple[str, ScoreKey], tuple[Job, Future[Outcome]]] = {}
        self._probing = 0
        self._open = True

    @property
    def load(self) -> int:
        """How many scores are awaited."""
        return len(self._running)

    def at_once(self) -> int:
        """How many trainings run at once, as far as that is known by now; 0 where it is not."""
        return self._evaluation.at_once()

    @property
    def has_test_split(self) -> bool:
        """Whether the test split is other data than validation's."""
        return self._evaluation.has_test_split

    @property
    def inherits(self) -> bool:
        """Whether a child's training begins with its parent's weights, so that it matters who asks first."""
        return self._digest_of is not None

    def score_child(self, individual: str, genome: Genome, parents: Sequence[str]) -> None:
        """As `score`, of a child: where trainings inherit, with the weights of its first parent."""
        self.score(individual, genome, parent=self._digest_of(parents[0]) if self._digest_of else "")

    def keep_parents(self, digests: Callable[[], Collection[str]]) -> None:
        """Only these genomes' weights will be inherited from now on; they are asked for where any are."""
        if self.inherits:
            self._evaluation.keep_parents(digests())

    def score(self, individual: str, genome: Genome, split: Split = "validation", parent: str = "") -> None:
        """Submit unless the digest has its score or is on its way to it; `parent` is the digest of whose
        weights the training begins with. A child's training goes on from the first rung that the run database
        does not hold."""
        if not self._open or self._ledger.score(genome.digest, ScoreKey(split)) is not None:
            return
        job = Job(individual, genome, self._random_seed, split, parent=parent)
        pauses = individual != SEED_ID or self._seed_pauses
        if split == "test" or not pauses or not self.rungs:
            self._start(job)
            return
        for epochs in (*self.rungs, 0):
            job = replace(job, epochs=epochs)
            known = self._ledger.score(genome.digest, ScoreKey(epochs=epochs))
            if not isinstance(known, Scored):
                self._start(job)
                return
            promoted = self._ledger.promoted(genome.digest, ScoreKey(epochs=epochs))
            if promoted is not True:
                if promoted is False:
                    self.stop(job)
                return

    def go_on(self, job: Job) -> None:
        """Submit the rung after `job`'s unless the run database holds it."""
        later = [epochs for epochs in self.rungs if epochs > job.epochs]
        following = replace(job, epochs=later[0] if later else 0)
        if self._open and self._ledger.score(job.genome.digest, ScoreKey(epochs=following.epochs)) is None:
            self._start(following)

    def stop(self, job: Job) -> None:
        """Record that a training ends after `job`'s rung: a failure of its own kind, without a score."""
        digest = job.genome.digest
        if self._ledger.score(digest) is None:
            reached = self._ledger.score(digest, ScoreKey(epochs=job.epochs))
            assert isinstance(reached, Scored)
            figures = ", ".join(f"{name} {value:.6g}" for name, value in reached.objectives.items())
            reason = f"stopped after {counted(job.epochs)} ({figures}), {self.behind(job, reached)}"
            self._record(job, ScoreKey(), Failed("train", "stopped", reason))
        self.discard(job.genome)

    def discard(self, genome: Genome) -> None:
        """Nothing more will be asked of a training by rungs."""
        if self.rungs:
            self._evaluation.discard(genome)

    def rescore(self, individual: str, genome: Genome, seeds: int, epochs: int = 0) -> None:
        """Submit a training with each of `seeds` further random seeds, without those in the run database.
        `epochs` are those of the evaluation, where it was opened for longer trainings than the run's (0: the
        run's own)."""
        for number in range(1, seeds + 1):
            keys = ScoreKey("validation", number, epochs), ScoreKey("test", number, epochs)
            if self._open and any(self._ledger.score(genome.digest, key) is None for key in keys):
                self._start(Job(individual, genome, self._random_seed + number, "both", epochs))

    def abandon(self, digest: str) -> None:
        """Nobody wants this score any more: what still comes is dropped."""
        for key in [key for key in self._running if key[0] == digest]:
            job, future = self._running.pop(key)
            future.cancel()
            self.discard(job.genome)

    async def probe(self, individual: str, genome: Genome) -> Probe | Rejected:
        """What a worker sees of the genome, or that the evaluator could not probe it."""
        self._probing += 1
        try:
            return await self._probe_with_retries(individual, genome)
        finally:
            self._probing -= 1

    async def _probe_with_retries(self, individual: str, genome: Genome) -> Probe | Rejected:
        for attempt in range(1, ATTEMPTS + 1):
            ended = await completion(self._evaluation.probe(genome))
            try:
                probe = ended.result()
            except GeError:
                raise
            except (Exception, CancelledError) as error:
                reason = repr(error)
            else:
                self._ledger.add_probe(genome.digest, probe)
                return probe
            if attempt < ATTEMPTS:
                self._announce("retried", individual=individual, attempt=attempt, reason=reason)
        reason = f"the evaluator could not probe it, {ATTEMPTS} times; the last: {reason}"
        return Rejected("probe", reason)

    def close(self) -> None:
        """Take no new work; what is in flight still comes."""
        self._open = False

    async def halt(self, interrupted: Future[None]) -> None:
        """Once the run is interrupted, take no new work and give up what has not begun; what runs still
        comes."""
        await completion(interrupted)
        self.close()
        waiting = [key for key, (_, future) in self._running.items() if future.cancel()]
        for key in waiting:
            del self._running[key]
        self._announce("interrupted", running=len(self._running), waiting=len(waiting))

    def reopen(self) -> None:
        """Take new work again: the finalists', after the last child was generated."""
        self._open = True

    def drain(self) -> None:
        """Take turns until nothing is awaited."""
        self._event_loop.until(lambda: not self._running and not self._probing)

    def _key(self, job: Job) -> ScoreKey:
        """Where `job`'s score stands in the run database; those of both splits stand there under two keys."""
        return ScoreKey(job.split, job.rng_seed - self._random_seed, job.epochs)

    def _start(self, job: Job) -> None:
        if (job.genome.digest, self._key(job)) not in self._running:
            self._event_loop.start(self._score_job(job))

    async def _score_job(self, job: Job) -> None:
        """Submit, try again what is not the candidate's fault, and write what came of it."""
        key = self._key(job)
        outcome = await self._attempt(job, key)
        for attempt in range(1, ATTEMPTS):
            if not isinstance(outcome, Failed) or outcome.fault == "candidate":
                break
            self._announce("retried", individual=job.key, attempt=attempt, reason=outcome.reason)
            outcome = await self._attempt(job, key)
        if outcome is None:
            return
        if job.split == "both":
            self._take_both(job, outcome)
        elif job.split == "test":
            self._record(job, key, outcome)
        elif job.epochs and isinstance(outcome, Scored):
            self._take_rung(job, outcome)
        else:
            self._record(job, replace(key, epochs=0), outcome)
            self.discard(job.genome)

    async def _attempt(self, job: Job, score_key: ScoreKey) -> Outcome | None:
        """What one attempt gave; None where nobody wants it any more."""
        key, future = (job.genome.digest, score_key), self._evaluation.submit(job)
        self._running[key] = job, future
        self._announce("submitted", individual=job.key, split=str(score_key))
        await completion(future)
        if key not in self._running or self._running[key][1] is not future:
            return None
        del self._running[key]
        return self._outcome(future)

    def _take_rung(self, job: Job, outcome: Scored) -> None:
        """Write the rung's figures together with what follows from them, then act on it."""
        promoted = True if job.key == SEED_ID else self.at_rung(job, outcome)
        self._record(job, self._key(job), outcome, promoted)
        if promoted is True:
            self.go_on(job)
        elif promoted is False:
            self.stop(job)

    def _take_both(self, job: Job, outcome: Outcome) -> None:
        """An evaluator that does not answer both splits at once is asked for the test split as well."""
        number = job.rng_seed - self._random_seed
        tested: Outcome | None = outcome
        if isinstance(outcome, Scored):
            details = dict(outcome.details)
            scores = details.pop("test", None)
            outcome = replace(outcome, details=details)
            scores = Scored(scores) if isinstance(scores, Mapping) else scores
            tested = self._complete(scores) if isinstance(scores, Scored) else None
        self._record(job, ScoreKey("validation", number, job.epochs), outcome)
        if tested is not None:
            self._record(job, ScoreKey("test", number, job.epochs), tested)
        else:
            self._start(replace(job, split="test"))

    def _record(self, job: Job, key: ScoreKey, outcome: Outcome, promoted: bool | None = None) -> None:
        self._ledger.add_score(job.genome.digest, key, outcome, promoted)
        self._announce("outcome", individual=job.key, split=str(key), **described(outcome))

    def _outcome(self, ended: Future[Outcome]) -> Outcome:
        try:
            outcome = ended.result()
        except GeError:
            raise
        except (Exception, CancelledError) as error:
            return Failed("evaluate", "error", f"the evaluator failed: {with_place(error)}", "engine")
        if not isinstance(outcome, Outcome):
            return Failed("evaluate", "error", f"the evaluator gave a {type(outcome).__name__}", "engine")
        return self._complete(outcome) if isinstance(outcome, Scored) else outcome

    def _complete(self, outcome: Scored) -> Outcome:
        """Every objective is there and finite, or the individual is failed: nothing else is compared."""
        figures: dict[str, float] = {}
        for name in self._objectives:
            if name not in outcome.objectives:
                return Failed("evaluate", "error", f"the evaluator gave no objective {name!r}", "engine")
            value = as_number(outcome.objectives[name])
            if value is None:
                kind = type(outcome.objectives[name]).__name__
                return Failed("evaluate", "error", f"the objective {name!r} is a {kind}, no number", "engine")
            if not math.isfinite(value):
                return Failed("evaluate", "not finite", f"the objective {name!r} is {value}")
            figures[name] = value
        return _with_errors(Scored(figures, outcome.details), outcome.errors)


def _with_errors(scored: Scored, given: Mapping[str, float]) -> Outcome:
    """The score with the errors of its objectives, or a failure where one is no number of 0 or more."""
    errors: dict[str, float] = {}
    for name in scored.objectives:
        if given.get(name) is None:
            continue
        error = as_number(given[name])
        if error is None or not 0 <= error < math.inf:
            reason = f"the error of {name!r} is {given[name]!r:.100}, not 0 or more"
            return Failed("evaluate", "error", reason, "engine")
        errors[name] = error
    return replace(scored, errors=errors)


def described(outcome: Outcome) -> Mapping[str, object]:
    """An outcome as an event tells it."""
    if isinstance(outcome, Scored):
        return {
            "kind": "scored",
            "objectives": dict(outcome.objectives),
            "errors": dict(outcome.errors),
            "reason": "",
            "details": outcome.details,
        }
    kind = outcome.kind if isinstance(outcome, Failed) else outcome.stage
    return {"kind": kind, "objectives": {}, "errors": {}, "reason": outcome.reason, "details": {}}
