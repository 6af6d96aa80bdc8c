"""What moves of the seed model do is found out while it trains: once, in any thread, and never in the way."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any

import doubles
import pytest

from ge_engine import loop
from ge_engine.contracts import Job, Size
from ge_engine.errors import PluginError
from ge_engine.evaluation.train_evaluation import SIZED_TOGETHER
from ge_engine.genome import Genome, Seed
from ge_engine.outcome import Outcome, Scored
from ge_engine.population import SEED_ID
from ge_engine.registry import load_registry
from ge_engine.search import survey
from ge_engine.search.survey import Surveys
from ge_engine.structure.change import Change, MoveSource
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
    assert held.calls == 3


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
    assert held.calls == 3


def test_a_variant_whose_process_takes_the_parents_size_along() -> None:
    ending: list[Genome] = []

    def together(genomes: Sequence[Genome]) -> tuple[Size | None, ...]:
        ending.extend(one for one in genomes if one.digest != NET.digest and not ending)
        lost = any(one is ending[0] for one in genomes if ending)
        return (None,) * len(genomes) if lost else sizes_of(genomes)

    def measure(genomes: Sequence[Genome]) -> Future[tuple[Size | None, ...]]:
        parts = [genomes[at : at + SIZED_TOGETHER] for at in range(0, len(genomes), SIZED_TOGETHER)]
        return doubles._done(tuple(chain(*map(together, parts))))

    assert len(Surveys(measure).of(NET, "ExquisiteNetV2")) > 10
    assert ending


class Broken(MoveSource):
    name = "broken"

    def changes(self, code: str, classes: Sequence[str]) -> Iterable[Change]:
        raise PluginError("It is broken.", "Mend it.")


def test_a_source_of_moves_that_fails_in_a_thread(capsys: pytest.CaptureFixture[str]) -> None:
    surveys = Surveys(lambda genomes: doubles._done(sizes_of(genomes)), (Broken(),))
    surveys.begin(NET, ["DFSEB", "FCT"])
    surveys.end()
    assert capsys.readouterr().err == ""
    with pytest.raises(PluginError, match="It is broken"):
        surveys.of(NET, "DFSEB")


class Endless(MoveSource):
    name = "endless"

    def __init__(self) -> None:
        self.asked, self.leave = threading.Event(), threading.Event()

    def changes(self, code: str, classes: Sequence[str]) -> Iterable[Change]:
        self.asked.set()
        self.leave.wait(PATIENT)
        return ()


def test_a_source_of_moves_that_holds_up_the_end_of_a_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(survey, "END_SECONDS", 0.01)
    source = Endless()
    surveys = Surveys(lambda genomes: doubles._done(sizes_of(genomes)), (source,))
    surveys.begin(NET, ["DFSEB", "FCT"])
    assert source.asked.wait(PATIENT)
    surveys.end()
    assert not source.leave.is_set()
    source.leave.set()


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
    """Scores the seed model when a move of it is being tried, which ends after that; and says who asked."""

    measures_sizes = True

    def __init__(self) -> None:
        super().__init__()
        self.tried, self.told = threading.Event(), threading.Event()
        self.threads: list[str] = []

    def sizes(self, genomes: Sequence[Genome]) -> Future[tuple[Size | None, ...]]:
        self.threads.append(name := threading.current_thread().name)
        self.tried.set()
        if name == "ge-surveys":
            self.told.wait(PATIENT)
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


def ahead() -> list[threading.Thread]:
    return [one for one in threading.enumerate() if one.name == "ge-surveys"]


@pytest.mark.parametrize("operator", ["redesign", "mutation"])
def test_a_seed_model_that_trains_while_nothing_else_is_done(tmp_path: Path, operator: str) -> None:
    evaluator, known = SizingEvaluator(), doubles.registry()
    grammars = load_registry().grammars
    registry = replace(known, evaluators={**known.evaluators, "sizing": evaluator}, grammars=grammars)
    config = doubles.config(
        evaluator="sizing", operators=(operator,), p_mating=0, p_eot=0, generations=1, population=1
    )

    def observe(kind: str, _: Mapping[str, Any]) -> None:
        if kind == "seed_scored":
            (evaluation,) = evaluator.opened
            assert isinstance(evaluation, Sizing)
            evaluation.told.set()
            for one in ahead():
                one.join(PATIENT)

    loop.run(NET.seed, config, registry, tmp_path / "run", observe)
    (evaluation,) = evaluator.opened
    assert isinstance(evaluation, Sizing)
    assert evaluation.threads.count("ge-surveys") in ((1, 2, 3) if operator == "redesign" else (0,))
    assert not ahead()
