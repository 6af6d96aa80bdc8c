"""Successive halving: who goes on, what is compared with what, and that breaks change nothing."""

from __future__ import annotations

import dataclasses
import sqlite3
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import doubles
import pytest
from cut_off import cut_off, interrupt_at, require_equal
from hypothesis import given
from hypothesis import strategies as st

from ge_engine import loop
from ge_engine.config import RunConfig, config_from_dict
from ge_engine.contracts import Job
from ge_engine.errors import ConfigError
from ge_engine.evaluation.command import open_command
from ge_engine.ledger import Ledger
from ge_engine.ledger.history import History
from ge_engine.ledger.score_key import VALIDATION, ScoreKey
from ge_engine.outcome import Failed, Outcome, Scored
from ge_engine.pareto import best_first
from ge_engine.population import Direction
from ge_engine.search.event_loop import EventLoop
from ge_engine.search.halving import Halving, rungs_of, survivors
from ge_engine.search.scoring import Scoring
from ge_plugins.evaluators import CommandEvaluator
from tests.evaluation import data, genome, shop, source
from tests.patience import PATIENT

POINTS = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=14)


@given(POINTS, st.integers(2, 4))
def test_a_dominated_one_that_goes_on_in_place_of_what_dominates_it(
    points: list[tuple[float, ...]], rate: int
) -> None:
    chosen = survivors(points, rate)
    assert len(chosen) == -(-len(points) // rate)
    assert sorted(best_first(points)) == list(range(len(points)))
    for kept in chosen:
        for index, other in enumerate(points):
            better = other != points[kept] and all(a <= b for a, b in zip(other, points[kept], strict=True))
            assert not better or index in chosen


def test_a_front_that_is_thinned_at_its_ends() -> None:
    front = [(0.0, 10.0), (1.0, 9.0), (1.1, 8.9), (5.0, 5.0), (10.0, 0.0)]
    assert best_first(front)[:3] == [0, 4, 3]


@pytest.mark.parametrize(
    ("epochs", "rate", "stages"),
    [(8, 2, (1, 2, 4)), (5, 2, (1, 2, 3)), (4, 4, (1,)), (27, 3, (1, 3, 9)), (1, 2, ())],
)
def test_stages_that_leave_epochs_out(epochs: int, rate: int, stages: tuple[int, ...]) -> None:
    made = {"halving": True, "halving_rate": rate, "recipe": {"epochs": epochs}}
    assert rungs_of(config_from_dict(made)) == stages
    assert rungs_of(config_from_dict({**made, "halving": False})) == ()


class InStages(doubles.Instant):
    """Scores after a stage lie above those at the end, so that mixing them up would show on the front."""

    def submit(self, job: Job) -> Future[Outcome]:
        self.scored.append(f"{job.genome.digest}/{job.split}/{job.epochs}")
        outcome = doubles._score(job)
        if isinstance(outcome, Scored) and job.epochs:
            raised = {**outcome.objectives, "accuracy": outcome.objectives["accuracy"] + 2}
            outcome = Scored(raised)
        return doubles._done(outcome)


@pytest.fixture
def evaluation(monkeypatch: pytest.MonkeyPatch) -> InStages:
    opened = InStages()
    monkeypatch.setattr(doubles, "Instant", lambda: opened)
    monkeypatch.setattr(doubles.InstantEvaluator, "takes_epochs", True, raising=False)
    return opened


def halving(**settings: Any) -> RunConfig:
    return doubles.config(halving=True, llm="scripted:good", recipe={"epochs": 4}, **settings)


def evolve(folder: Path, config: RunConfig) -> loop.Result:
    return loop.run(doubles.seed(), config, doubles.registry(), folder, lambda *_: None)


def fates(folder: Path) -> dict[str, dict[ScoreKey, str]]:
    """Of each digest: the keys of its scores and how each ended."""
    found: dict[str, dict[ScoreKey, str]] = {}
    with History(folder) as history:
        for key in (ScoreKey(epochs=1), ScoreKey(epochs=2), VALIDATION):
            for digest, outcome in history.scores(key).items():
                kind = outcome.kind if isinstance(outcome, Failed) else type(outcome).__name__
                found.setdefault(digest, {})[key] = kind
    return found


def test_a_cohort_that_is_trained_to_the_end_or_a_score_of_a_stage_in_the_population(
    tmp_path: Path, evaluation: InStages
) -> None:
    result = evolve(tmp_path, halving(population=8, generations=2))
    for one in (*result.population, *result.front):
        assert one.objectives["accuracy"] <= 1
    with History(tmp_path) as history:
        for number in (0, 1):
            born = [one for one in history.individuals(number) if one.slot >= 0 and one.genome]
            kinds = [fates(tmp_path)[one.genome.digest] for one in born if one.genome]
            healthy = [kind for kind in kinds if kind.get(ScoreKey(epochs=1)) == "Scored"]
            second = [kind for kind in healthy if ScoreKey(epochs=2) in kind]
            ended = [kind for kind in second if kind[VALIDATION] == "Scored"]
            assert len(second) == -(-len(healthy) // 2)
            assert len(ended) == -(-len(second) // 2)
            assert all(kind[VALIDATION] == "stopped" for kind in healthy if kind not in ended)
    assert len(evaluation.scored) == len(set(evaluation.scored))


def test_a_training_that_competes_with_itself(tmp_path: Path) -> None:
    """A resumed run decides again on a stage that the run database holds: the best is not second to
    itself."""
    seed = doubles.seed()
    with Ledger.create(tmp_path / "run", seed, doubles.config()) as ledger:
        mine = Scored({"accuracy": 0.5, "parameters": 3.0})
        ledger.add_score("another", ScoreKey(epochs=1), Scored({"accuracy": 0.4, "parameters": 3.0}))
        ledger.add_score(seed.genome.digest, ScoreKey(epochs=1), mine)
        scoring = Scoring(doubles.Instant(), ledger, (), 0, EventLoop(), lambda *_, **__: None)
        directions: dict[str, Direction] = {"accuracy": "max", "parameters": "min"}
        halving = Halving(doubles.config(halving_rate=3), ledger, scoring, directions)
        assert halving.one_by_one(Job("g0s0", seed.genome, 0, epochs=1), mine)


def test_a_stopped_training_that_does_not_say_where_it_stood(tmp_path: Path, evaluation: InStages) -> None:
    evolve(tmp_path, halving(generations=1))
    with History(tmp_path) as history:
        outcomes = [one.outcome for one in history.individuals()]
    reasons = [o.reason for o in outcomes if isinstance(o, Failed) and o.kind == "stopped"]
    assert reasons
    assert all("stopped after" in reason and "accuracy" in reason for reason in reasons)


@pytest.mark.parametrize("moment", range(1, 26, 3))
def test_a_run_cut_off_within_a_stage_that_ends_differently(
    tmp_path: Path, evaluation: InStages, monkeypatch: pytest.MonkeyPatch, moment: int
) -> None:
    config = halving(population=6, generations=2, rescore_seeds=2)
    evolve(tmp_path / "whole", config)
    with cut_off(monkeypatch, moment):
        evolve(tmp_path / "cut", config)
    evolve(tmp_path / "cut", config)
    require_equal(tmp_path / "whole", tmp_path / "cut")


def test_an_interrupt_between_stages_that_loses_or_changes_something(
    tmp_path: Path, evaluation: InStages
) -> None:
    config = halving(population=6, generations=2)
    evolve(tmp_path / "whole", config)
    interrupt = interrupt_at("validation/1 epoch")
    for stop in (interrupt, lambda *_: None):
        seen = len(evaluation.scored)
        result = loop.run(doubles.seed(), config, doubles.registry(), tmp_path / "cut", stop)
        if stop is interrupt:
            assert result.stopped_because == "interrupted by SIGINT"
            assert not [name for name in evaluation.scored[seen:] if name.endswith("/2")]
    require_equal(tmp_path / "whole", tmp_path / "cut")


def test_a_steady_run_that_is_replayed_with_other_decisions(tmp_path: Path, evaluation: InStages) -> None:
    config = halving(schedule="steady", evaluator="threaded", workers=3, population=8, generations=4)
    evolve(tmp_path / "first", config)
    database = sqlite3.connect(tmp_path / "first" / "ledger.sqlite")
    assert {row[0] for row in database.execute("SELECT promoted FROM scores WHERE epochs > 0")} == {0, 1}
    again = dataclasses.replace(config, workers=1, llm=(f"replay:{tmp_path / 'first'}",))
    registry = doubles.registry()
    registry = dataclasses.replace(
        registry, language_models={**registry.language_models, "replay": doubles.Replay()}
    )
    loop.run(doubles.seed(), again, registry, tmp_path / "second", lambda *_: None)
    assert fates(tmp_path / "second") == fates(tmp_path / "first")


def test_an_evaluator_without_stages_that_trains_all_to_the_end(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="does not train in stages"):
        evolve(tmp_path, halving())


def test_a_command_without_epochs_that_is_halved(tmp_path: Path) -> None:
    config = config_from_dict(
        {"halving": True, "evaluator": "command", "evaluator_argument": "python t.py {path}"}
    )
    with (
        pytest.raises(ConfigError, match="takes no epochs"),
        CommandEvaluator().open(genome(), config, [], tmp_path),
    ):
        raise AssertionError


def test_a_command_that_gets_the_whole_budget_at_each_stage(tmp_path: Path) -> None:
    config = config_from_dict({"recipe": {"epochs": 6}})
    words = ["x", "{path}", "{epochs}", "{split}"]
    with open_command(genome(), config, words, ["a"], tmp_path) as command:
        filled = [
            command._filled(Job("x", genome(), 0, split, epochs), tmp_path)[2:]  # type: ignore[arg-type]
            for split, epochs in (("validation", 2), ("validation", 0), ("test", 0), ("both", 0))
        ]
    assert filled == [["2", "validation"], ["6", "validation"], ["6", "test"], ["6", "validation"]]


def test_a_training_in_stages_that_scores_otherwise_or_leaves_files(tmp_path: Path) -> None:
    candidate = genome(source(forward="x = x + 0.1 * torch.rand_like(x) if self.training else x"))
    with shop(tmp_path, dataset=data(train=96), halving=True, recipe={"epochs": 3, "ema": 0.9}) as opened:
        whole = opened.submit(Job("x", candidate, 5)).result(PATIENT)
        first = opened.submit(Job("x", candidate, 5, epochs=1)).result(PATIENT)
        kept = list((tmp_path / "checkpoints").iterdir())
        second = opened.submit(Job("x", candidate, 5, epochs=2)).result(PATIENT)
        last = opened.submit(Job("x", candidate, 5)).result(PATIENT)
        assert isinstance(whole, Scored)
        assert isinstance(first, Scored)
        assert isinstance(second, Scored)
        assert isinstance(last, Scored)
        assert len(kept) == 1
        assert [len(o.details["curve"]) for o in (first, second, last)] == [1, 2, 3]
        assert last.objectives == whole.objectives
        assert last.details["curve"] == whole.details["curve"]
        assert last.details["facts"]["steps"] == whole.details["facts"]["steps"]
        opened.discard(candidate)
        assert not list((tmp_path / "checkpoints").iterdir())
