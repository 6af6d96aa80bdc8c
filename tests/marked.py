"""An objective, an evaluator and a check whose names and reasons are markup, for what shows them as HTML."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Any

import doubles

from ge_engine.contracts import Candidate, Check, Evaluation, Evaluator, Job, Objective
from ge_engine.hookspecs import hookimpl
from ge_engine.outcome import Outcome, Rejected, Scored

NAME = "<img src=x onerror=alert(1)>"
REASON = "</pre><script>alert('no & more')</script>"


class Marked(doubles.Instant):
    def submit(self, job: Job) -> Future[Outcome]:
        figures = doubles.figures(job.genome)
        future: Future[Outcome] = Future()
        future.set_result(Scored({"accuracy": figures["accuracy"], NAME: figures["parameters"]}))
        return future


class MarkedEvaluator(Evaluator):
    name = "marked"

    @contextmanager
    def open(self, *_: Any, **__: Any) -> Iterator[Evaluation]:
        yield Marked()


class Rejecting(Check):
    """Turns down one child of four."""

    name = "marked"
    order = 95

    def check(self, candidate: Candidate) -> Rejected | None:
        return Rejected("marked", REASON) if int(candidate.genome.digest[-1], 16) < 4 else None


@hookimpl
def ge_objectives() -> list[Objective]:
    return [doubles.Named(NAME, "min")]


@hookimpl
def ge_evaluators() -> list[Evaluator]:
    return [MarkedEvaluator()]


@hookimpl
def ge_checks() -> list[Check]:
    return [Rejecting()]
