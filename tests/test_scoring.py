"""Scores: whose fault is tried again, what nobody wants is given up, and nothing is submitted twice."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import doubles
import pytest

from ge_engine.contracts import Evaluation, Job, Probe
from ge_engine.genome import Genome
from ge_engine.ledger import Ledger
from ge_engine.outcome import Failed, Fault, Outcome, Scored
from ge_engine.search.event_loop import EventLoop
from ge_engine.search.scoring import ATTEMPTS, Scoring

GOOD = Scored({"accuracy": 0.5, "parameters": 3.0})
SEED = doubles.seed()


class Prepared(Evaluation):
    """An evaluation whose answers are given by the test, one after the other; None leaves one open."""

    def __init__(self, *answers: Outcome | Exception | None) -> None:
        self.answers = list(answers)
        self.jobs: list[Job] = []
        self.futures: list[Future[Outcome]] = []

    def probe(self, genome: Genome) -> Future[Probe]:
        return doubles._done(doubles._probe(genome))

    def submit(self, job: Job) -> Future[Outcome]:
        self.jobs.append(job)
        future: Future[Outcome] = Future()
        self.futures.append(future)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            future.set_exception(answer)
        elif answer is not None:
            future.set_result(answer)
        return future


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger.create(tmp_path / "run", SEED, doubles.config()) as made:
        yield made


def scoring(evaluation: Any, ledger: Ledger) -> Scoring:
    return Scoring(evaluation, ledger, ("accuracy", "parameters"), 7, EventLoop(), lambda *_, **__: None)


def scored(evaluation: Prepared, ledger: Ledger) -> Outcome | None:
    made = scoring(evaluation, ledger)
    made.score("g0s0", SEED.genome)
    made.drain()
    return ledger.score(SEED.genome.digest)


def fault(of: Fault) -> Failed:
    return Failed("train", "crash", "it died", of)


@pytest.mark.parametrize("of", ["engine", "infrastructure"])
def test_a_fault_of_the_machine_that_is_not_tried_again(ledger: Ledger, of: Fault) -> None:
    evaluation = Prepared(fault(of), fault(of), GOOD)
    assert scored(evaluation, ledger) == GOOD
    assert len(evaluation.jobs) == 3
    assert len(set(evaluation.jobs)) == 1


@pytest.mark.parametrize(
    ("errors", "kept"),
    [
        ({"accuracy": 0.1, "other": "x"}, {"accuracy": 0.1}),
        ({"accuracy": None}, {}),
        ({"parameters": 0}, {"parameters": 0.0}),
    ],
)
def test_errors_that_are_not_kept_with_the_score(
    ledger: Ledger, errors: dict[str, Any], kept: dict[str, float]
) -> None:
    assert scored(Prepared(Scored(GOOD.objectives, {}, errors)), ledger) == Scored(GOOD.objectives, {}, kept)


@pytest.mark.parametrize("error", [-0.1, float("nan"), float("inf"), "small", 10**400])
def test_an_error_that_is_no_number_and_ends_the_run(ledger: Ledger, error: Any) -> None:
    bad = Scored(GOOD.objectives, {}, {"accuracy": error})
    outcome = scored(Prepared(*[bad] * ATTEMPTS), ledger)
    assert isinstance(outcome, Failed)
    assert "the error of 'accuracy' is" in outcome.reason


def test_a_fault_of_the_candidate_that_is_tried_again(ledger: Ledger) -> None:
    evaluation = Prepared(fault("candidate"), GOOD)
    assert scored(evaluation, ledger) == fault("candidate")
    assert len(evaluation.jobs) == 1


def test_a_machine_that_is_tried_without_end(ledger: Ledger) -> None:
    evaluation = Prepared(*[OSError("no more processes")] * 9)
    outcome = scored(evaluation, ledger)
    assert isinstance(outcome, Failed)
    assert outcome.fault == "engine"
    assert "no more processes" in outcome.reason
    assert len(evaluation.jobs) == ATTEMPTS


def test_a_score_that_is_known_and_asked_for_again(ledger: Ledger) -> None:
    evaluation = Prepared(GOOD, None)
    made = scoring(evaluation, ledger)
    made.score("g0s0", SEED.genome)
    made.score("g0s1", SEED.genome)
    made.drain()
    made.score("g0s2", SEED.genome)
    assert [job.key for job in evaluation.jobs] == ["g0s0"]
    made.score("g0s0", SEED.genome, "test")
    assert [(job.split, job.rng_seed) for job in evaluation.jobs] == [("validation", 7), ("test", 7)]


def test_a_training_that_nobody_wants_and_goes_on(ledger: Ledger) -> None:
    evaluation = Prepared(None)
    made = scoring(evaluation, ledger)
    made.score("g0s0", SEED.genome)
    made.abandon(SEED.genome.digest)
    assert evaluation.futures[0].cancelled()
    assert not made.load


def test_an_abandoned_score_that_comes_late_and_is_written(ledger: Ledger) -> None:
    """A training that runs cannot be cancelled: what it gives belongs to nobody."""
    evaluation = Prepared(None)
    made = scoring(evaluation, ledger)
    made.score("g0s0", SEED.genome)
    (future,) = evaluation.futures
    assert future.set_running_or_notify_cancel()
    made.abandon(SEED.genome.digest)
    future.set_result(GOOD)
    made._event_loop.turn()
    assert ledger.score(SEED.genome.digest) is None


def test_work_that_is_taken_after_the_end(ledger: Ledger) -> None:
    evaluation = Prepared(GOOD)
    made = scoring(evaluation, ledger)
    made.close()
    made.score("g0s0", SEED.genome)
    made.rescore("g0s0", SEED.genome, 3)
    assert evaluation.jobs == []
    made.reopen()
    made.score("g0s0", SEED.genome)
    assert len(evaluation.jobs) == 1
