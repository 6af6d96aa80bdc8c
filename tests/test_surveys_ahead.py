"""What moves of the seed model do is found out while it trains: once, in any thread, and never in the way."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import doubles
import pytest

from ge_engine import loop
from ge_engine.contracts import Job, Size
from ge_engine.errors import PluginError
from ge_engine.genome import Genome, Seed
from ge_engine.outcome import Outcome, Scored
from ge_engine.population import SEED_ID
from ge_engine.registry import load_registry
from ge_engine.search.survey import Surveys
from tests.patience import PATIENT

NET = Seed.load(Path(__file__).resolve().parent.parent / "examples" / "exquisitenet_v2.py").genome


def sizes_of(genomes: Sequence[Genome]) -> tuple[Size | None, ...]:
    return tuple(Size(len(one.source), float(len(one.source))) for one in genomes)


class Held:
    """Answers when it is told to; `asked` is set when it is asked."""

    def __init__(self) -> None:
        self.asked, self.calls = threading.Event(), 0
        self._waiting: Future[tuple[Size | None, ...]] = Future()

    def measure(self, genomes: Sequence[Genome]) -> Future[tuple[Size | None, ...]]:
        self.calls += 1
        future: Future[tuple[Size | None, ...]] = Future()
        if self.asked.is_set():
            future.set_result(sizes_of(genomes))
            return future
        self._first = genomes
        self._waiting = future
        self.asked.set()
        return future

    def answer(self) -> None:
        self._waiting.set_result(sizes_of(self._first))


def test_a_block_that_is_surveyed_by_two_threads() -> None:
    held = Held()
    surveys = Surveys(held.measure)
    surveys.begin(NET, ["DFSEB"])
    assert held.asked.wait(PATIENT)
    with ThreadPoolExecutor(2) as pool:
        several = [pool.submit(surveys.of, NET, "DFSEB") for _ in range(2)]
        held.answer()
        first, second = (one.result(PATIENT) for one in several)
    surveys.end()
    assert first is second
    assert len(first) > 10
    assert held.calls == 2


def test_surveys_that_go_on_after_the_run() -> None:
    held = Held()
    surveys = Surveys(held.measure)
    surveys.begin(NET, ["DFSEB", "ExquisiteNetV2", "FCT", "DFSEB.__init__"])
    assert held.asked.wait(PATIENT)
    ending = threading.Thread(target=surveys.end)
    ending.start()
    held.answer()
    ending.join(PATIENT)
    assert not ending.is_alive()
    assert held.calls == 2


def test_a_survey_whose_error_nobody_hears() -> None:
    broken = [True, True]

    def fails(genomes: Sequence[Genome]) -> Future[tuple[Size | None, ...]]:
        if broken:
            broken.pop()
            raise PluginError(f"It is broken for the {2 - len(broken)}. time.", "Mend it.")
        return doubles._done(sizes_of(genomes))

    surveys = Surveys(fails)
    surveys.begin(NET, ["DFSEB"])
    surveys.end()
    with pytest.raises(PluginError, match=r"broken for the 2\. time"):
        surveys.of(NET, "DFSEB")
    assert surveys.of(NET, "DFSEB")


class Sizing(doubles.Instant):
    """Scores the seed model when a move of it has been tried, and says who asked."""

    measures_sizes = True

    def __init__(self) -> None:
        super().__init__()
        self.tried, self.threads = threading.Event(), set[str]()

    def sizes(self, genomes: Sequence[Genome]) -> Future[tuple[Size | None, ...]]:
        self.threads.add(threading.current_thread().name)
        self.tried.set()
        return doubles._done(sizes_of(genomes))

    def submit(self, job: Job) -> Future[Outcome]:
        if job.key != SEED_ID:
            return super().submit(job)
        following: Future[Outcome] = Future()
        threading.Thread(target=self._score, args=(job, following)).start()
        return following

    def _score(self, job: Job, following: Future[Outcome]) -> None:
        self.tried.wait(1.0)
        following.set_result(Scored(doubles.figures(job.genome), {"curve": [0.5]}))


class SizingEvaluator(doubles.InstantEvaluator):
    name = "sizing"

    def made(self) -> Sizing:
        return Sizing()


@pytest.mark.parametrize("operator", ["redesign", "mutation"])
def test_a_seed_model_that_trains_while_nothing_else_is_done(tmp_path: Path, operator: str) -> None:
    evaluator, known = SizingEvaluator(), doubles.registry()
    grammars = load_registry().grammars
    registry = replace(known, evaluators={**known.evaluators, "sizing": evaluator}, grammars=grammars)
    config = doubles.config(
        evaluator="sizing", operators=(operator,), p_mating=0, p_eot=0, generations=1, population=1
    )
    loop.run(NET.seed, config, registry, tmp_path / "run", lambda *_: None)
    (evaluation,) = evaluator.opened
    assert isinstance(evaluation, Sizing)
    assert ("ge-surveys" in evaluation.threads) == (operator == "redesign")
    assert not [one for one in threading.enumerate() if one.name == "ge-surveys"]
