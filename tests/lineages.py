"""An evaluator without training whose scores hang on what was kept of all ancestors, as inherited weights do.

`--plugin lineages`. What a genome "learns" is a number of its digest and of its parent's, kept in a file.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from queue import Empty, Queue
from threading import Thread
from typing import Any

import doubles

from ge_engine.config import RunConfig
from ge_engine.contracts import Evaluation, Evaluator, Job, Objective, Probe, Task
from ge_engine.genome import Genome
from ge_engine.hookspecs import hookimpl
from ge_engine.outcome import Outcome, Scored

LOST = "lost"
PAUSE = 0.05


def learnt(genome: Genome, before: str) -> str:
    """What a genome has learnt that began with what its parent had learnt `before`."""
    return hashlib.sha256(f"{genome.digest}{before}".encode()).hexdigest()


def accuracy(known: str) -> float:
    return int(known[:8], 16) / 2**32


class LastFirst:
    """Does what it was asked for last first, once nothing more has been asked for a while."""

    def __init__(self) -> None:
        self._asked: Queue[Callable[[], None] | None] = Queue()
        self._thread = Thread(target=self._work)
        self._thread.start()

    def submit(self, work: Callable[[Any], Any], of: Any) -> Future[Any]:
        future: Future[Any] = Future()
        self._asked.put(lambda: future.set_result(work(of)))
        return future

    def close(self) -> None:
        self._asked.put(None)
        self._thread.join()

    def _work(self) -> None:
        waiting: list[Callable[[], None]] = []
        while True:
            try:
                one = self._asked.get(timeout=PAUSE if waiting else None)
            except Empty:
                while waiting:
                    waiting.pop()()
                continue
            if one is None:
                return
            waiting.append(one)


class Lineage(Evaluation):
    """`scored` are the jobs. With several `workers`, what was asked for last ends first."""

    def __init__(self, folder: Path, workers: int) -> None:
        self._folder = folder
        self._last_first = LastFirst() if workers > 1 else None
        self.scored: list[Job] = []

    def probe(self, genome: Genome) -> Future[Probe]:
        return self._ended(doubles._probe, genome)

    def submit(self, job: Job) -> Future[Outcome]:
        self.scored.append(job)
        return self._ended(self._score, job)

    def _ended(self, work: Callable[[Any], Any], of: Any) -> Future[Any]:
        return self._last_first.submit(work, of) if self._last_first else doubles._done(work(of))

    def keep_parents(self, digests: Collection[str]) -> None:
        for file in self._folder.iterdir():
            if file.name not in digests:
                file.unlink()

    def close(self) -> None:
        if self._last_first:
            self._last_first.close()

    def _score(self, job: Job) -> Outcome:
        outcome = doubles._score(job)
        if not isinstance(outcome, Scored) or job.split != "validation":
            return outcome
        held = self._folder / job.parent
        before = "" if not job.parent else held.read_text() if held.is_file() else LOST
        known = learnt(job.genome, before)
        (self._folder / job.genome.digest).write_text(known)
        figures = {"inherited": 0.0 if before == LOST else 1.0} if job.parent else {}
        objectives = {**outcome.objectives, "accuracy": accuracy(known)}
        return replace(outcome, objectives=objectives, details={"figures": figures})


class LineageEvaluator(Evaluator):
    name = "lineage"
    inherits = True

    def __init__(self) -> None:
        self.opened: list[Lineage] = []

    @contextmanager
    def open(
        self,
        seed: Genome,
        config: RunConfig,
        objectives: Sequence[Objective],
        scratch: Path,
        tasks: Mapping[str, Task] | None = None,
    ) -> Iterator[Evaluation]:
        folder = scratch / "learnt"
        folder.mkdir(exist_ok=True)
        evaluation = Lineage(folder, config.workers)
        self.opened.append(evaluation)
        try:
            yield evaluation
        finally:
            evaluation.close()


LINEAGE = LineageEvaluator()


@hookimpl
def ge_evaluators() -> list[Evaluator]:
    return [LINEAGE]
