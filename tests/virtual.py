"""Virtual time for a whole run: replies and scores arrive when a simulated clock says so.

Takes the place of the event loop's queue. A reply arrives `Reply.seconds` after its batch was asked, a score
when one of the simulated workers has spent the job's time on it. Nothing sleeps.
"""

from __future__ import annotations

import heapq
import itertools
import random
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from math import exp, log
from pathlib import Path
from typing import Any

import doubles

from ge_engine.config import RunConfig
from ge_engine.contracts import (
    Evaluation,
    Evaluator,
    Job,
    LanguageModel,
    LanguageModelFactory,
    Probe,
    Reply,
    Request,
)
from ge_engine.genome import Genome
from ge_engine.outcome import Outcome
from ge_engine.registry import Registry

P95 = 1.6448536269514722


def lognormal(key: str, median: float, p95: float) -> float:
    """Seconds drawn from the log-normal with this median and 95th percentile."""
    return exp(random.Random(key).gauss(log(median), log(p95 / median) / P95))


class Clock:
    """Now, the workers' next free moments, and the seconds that they have worked."""

    def __init__(self, workers: int) -> None:
        self.now = 0.0
        self.free = [0.0] * workers
        self.worked = 0.0
        self.scores: dict[int, float] = {}

    def work(self, seconds: float) -> float:
        """When the first free worker has done a job handed in now."""
        start = max(self.now, heapq.heappop(self.free))
        heapq.heappush(self.free, start + seconds)
        self.worked += seconds
        return start + seconds


class Queue:
    """Where the event loop finds tasks whose future has ended. Replies of the model's thread wait for their
    time, scores for theirs."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._order = itertools.count()
        self._lock = threading.Lock()
        self._waiting: list[tuple[float, int, Callable[[], None]]] = []
        self._last_reply = 0.0

    def put(self, action: Callable[[], None]) -> None:
        """`action` is of a future that has ended, its last argument, or of the moment."""
        with self._lock:
            moment = self._moment(action.args[-1]) if isinstance(action, partial) else self._clock.now
            heapq.heappush(self._waiting, (moment, next(self._order), action))

    def _moment(self, future: Future[Any]) -> float:
        if id(future) in self._clock.scores:
            return self._clock.scores.pop(id(future))
        if threading.current_thread().name != "language-model":
            return self._clock.now
        reply = future.result()
        if not isinstance(reply, Reply):
            return max(self._clock.now, self._last_reply)
        moment = self._clock.now + reply.seconds
        self._last_reply = max(self._last_reply, moment)
        return moment

    def get(self) -> Callable[[], None]:
        for thread in threading.enumerate():
            if thread.name == "language-model":
                thread.join()
        moment, _, action = heapq.heappop(self._waiting)
        self._clock.now = max(self._clock.now, moment)
        return action


class Model(doubles.Scripted):
    """Good replies that each take their time: median 59 s, 95th percentile 147 s."""

    def __init__(self) -> None:
        super().__init__("good", 0)

    def generate(self, requests: Sequence[Request]) -> Iterator[tuple[int, Reply]]:
        for index, request in enumerate(requests):
            reply = self._reply(request)
            yield index, replace(reply, seconds=lognormal(request.key, 59, 147))


class ModelFactory(LanguageModelFactory):
    name = "virtual"

    def open(self, argument: str, config: RunConfig) -> LanguageModel:
        return Model()


class Workers(Evaluation):
    """Trainings of median 97 s, 95th percentile 360 s."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def probe(self, genome: Genome) -> Future[Probe]:
        return doubles._done(doubles._probe(genome))

    def submit(self, job: Job) -> Future[Outcome]:
        future: Future[Outcome] = doubles._done(doubles._score(job))
        self._clock.scores[id(future)] = self._clock.work(lognormal(job.genome.digest, 97, 360))
        return future


class WorkersEvaluator(Evaluator):
    name = "virtual"

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    @contextmanager
    def open(
        self, seed: Genome, config: RunConfig, objectives: Sequence[Any], scratch: Path, tasks: Any = None
    ) -> Iterator[Evaluation]:
        yield Workers(self._clock)


def registry(clock: Clock) -> Registry:
    plain = doubles.registry()
    return replace(
        plain,
        language_models={**plain.language_models, "virtual": ModelFactory()},
        evaluators={**plain.evaluators, "virtual": WorkersEvaluator(clock)},
    )
