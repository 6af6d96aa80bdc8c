"""Finalists trained again with further seeds, and trainings that are ended for their slowness."""

from __future__ import annotations

import json
import math
import statistics
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path
from typing import Any

import doubles
import pytest
from conftest import Ge
from typer.testing import CliRunner

from ge_engine import loop
from ge_engine.api import open_run
from ge_engine.cli.app import app
from ge_engine.config import config_from_dict
from ge_engine.contracts import Job
from ge_engine.errors import ConfigError
from ge_engine.ledger.history import History
from ge_engine.ledger.replicates import Spread, longer_trainings, replicates, spreads
from ge_engine.outcome import Failed, Outcome, Scored
from ge_engine.population import SEED_ID
from ge_engine.registry import load_registry
from ge_engine.report.data import read_run
from ge_engine.report.payload import rows
from ge_engine.runs.audit import check
from ge_engine.runs.export import rescored_line
from ge_engine.runs.learning import still_rising
from ge_engine.search.rescoring import OwnSettings, settings_for
from tests.evaluation import data, genome, outcome_of, shop
from tests.patience import PATIENT

BASE = doubles.config().random_seed
OWN = OwnSettings(evaluator="instant")


class Noisy(doubles.Instant):
    """Accuracy by seed: `noise[number]` is added, and as much again on the test split."""

    noise = (0.0, 0.01, 0.03, -0.02)

    def submit(self, job: Job) -> Future[Outcome]:
        self.scored.append(f"{job.genome.digest}/{job.split}/{job.rng_seed}")
        scores = doubles.figures(job.genome)
        number = job.rng_seed - BASE
        child = job.key != SEED_ID
        scores["accuracy"] += self.noise[number] * (1 if child else -1) * (2 if job.split == "test" else 1)
        return doubles._done(Scored(scores))


@pytest.fixture
def evaluation(monkeypatch: pytest.MonkeyPatch) -> Noisy:
    opened = Noisy()
    monkeypatch.setattr(doubles, "Instant", lambda: opened)
    return opened


def evolve(folder: Path, **settings: Any) -> loop.Result:
    config = doubles.config(llm="scripted:good", generations=2, **settings)
    return loop.run(doubles.seed(), config, doubles.registry(), folder, lambda *_: None)


def test_figures_that_are_not_those_by_hand(tmp_path: Path, evaluation: Noisy) -> None:
    result = evolve(tmp_path, rescore_seeds=3)
    child = next(one for one in result.front if one.id != SEED_ID)
    assert child.genome is not None
    own = doubles.figures(child.genome)["accuracy"]
    with History(tmp_path) as history:
        assert history.seed.genome.digest
        seeds = doubles.figures(history.seed.genome)["accuracy"]
        spread = spreads(history)[child.id].validation["accuracy"]
        tested = spreads(history)[child.id].test["accuracy"]
        size = spreads(history)[child.id].validation["parameters"]
        fewer = (
            doubles.figures(history.seed.genome)["parameters"] - doubles.figures(child.genome)["parameters"]
        )
    values = [own + noise for noise in Noisy.noise[1:]]
    gains = [own - seeds + 2 * noise for noise in Noisy.noise[1:]]
    assert spread.count == 3
    assert spread.mean == pytest.approx(statistics.fmean(values))
    assert spread.deviation == pytest.approx(statistics.stdev(values))
    assert spread.gain == pytest.approx(statistics.fmean(gains))
    assert spread.gain_deviation == pytest.approx(statistics.stdev(gains))
    assert spread.gain_error == pytest.approx(statistics.stdev(gains) / math.sqrt(3))
    assert spread.claimed == pytest.approx(own - seeds)
    assert tested.deviation == pytest.approx(2 * statistics.stdev(values))
    assert fewer
    assert (size.gain, size.claimed, size.deviation) == (fewer, fewer, 0.0), "fewer parameters are a gain"


@pytest.mark.parametrize(
    ("gain", "deviation", "claimed", "within", "refuted"),
    [
        (0.02, 0.01, 0.02, False, False),
        (0.01, 0.02, 0.03, True, False),
        (0.01, None, 0.01, True, False),
        (-0.01, 0.02, 0.03, False, True),
        (-0.01, 0.02, -0.03, False, False),
        (1272.0, 0.0, 1272.0, False, False),
        (0.0, 0.0, 0.0, False, False),
    ],
)
def test_a_gain_below_the_spread_that_stands_unmarked(
    gain: float, deviation: float | None, claimed: float, within: bool, refuted: bool
) -> None:
    spread = Spread(0.5, 0.1, 3, gain, deviation, None, claimed)
    assert (spread.within, spread.refuted) == (within, refuted)


def test_rescoring_that_changes_who_is_selected(tmp_path: Path, evaluation: Noisy) -> None:
    plain = evolve(tmp_path / "plain")
    again = evolve(tmp_path / "again", rescore_seeds=3)
    assert [one.id for one in plain.front] == [one.id for one in again.front]
    assert [one.id for one in plain.population] == [one.id for one in again.population]


def test_a_finished_run_that_cannot_be_rescored_or_is_scored_twice(tmp_path: Path, evaluation: Noisy) -> None:
    first = evolve(tmp_path / "at-once", rescore_seeds=3)
    evolve(tmp_path / "later")
    asked = len(evaluation.scored)
    for seeds in (2, 3, 3):
        loop.rescore(tmp_path / "later", seeds, doubles.registry(), lambda *_: None, OWN)
    finalists = len({SEED_ID, *(one.id for one in first.front)})
    assert len(evaluation.scored) - asked == 2 * 3 * finalists
    with History(tmp_path / "at-once") as at_once, History(tmp_path / "later") as later:
        assert at_once.content() == later.content()
        assert {len(by_seed) for by_seed in replicates(later).values()} == {3}


def test_a_run_that_goes_on_and_is_rescored(tmp_path: Path, evaluation: Noisy) -> None:
    def stop(name: str, _: Any) -> None:
        if name == "generation_finished":
            raise KeyboardInterrupt

    config = doubles.config(llm="scripted:good")
    with pytest.raises(KeyboardInterrupt):
        loop.run(doubles.seed(), config, doubles.registry(), tmp_path, stop)
    with pytest.raises(ConfigError, match="has not ended"):
        loop.rescore(tmp_path, 3, doubles.registry(), lambda *_: None)


def test_a_spread_that_is_recorded_and_not_shown(tmp_path: Path, evaluation: Noisy) -> None:
    result = evolve(tmp_path, rescore_seeds=3)
    child = next(one for one in result.front if one.id != SEED_ID)
    shown = CliRunner().invoke(app, ["log", str(tmp_path), "--front"], env={"COLUMNS": "200"}).output
    assert "±" in shown
    lines = CliRunner().invoke(app, ["log", str(tmp_path), "--front", "--json"]).output.splitlines()
    records = {record["id"]: record for record in map(json.loads, lines)}
    assert records[child.id]["rescored"]["test"]["accuracy"]["seeds"] == 3
    assert "±" in CliRunner().invoke(app, ["show", f"{tmp_path}:{child.id}"]).output
    with History(tmp_path) as history:
        assert "test accuracy" in rescored_line(history, child.id)
        run = read_run(history, ())
    place = next(at for at, row in enumerate(run.rows) if row.id == child.id)
    assert "±" in rows(run)["further"][str(place)]


def test_both_splits_at_once_that_score_otherwise_than_each(tmp_path: Path) -> None:
    with shop(tmp_path, dataset=data(train=96), recipe={"epochs": 1}) as opened:
        both, one, other = (
            opened.submit(Job("x", genome(), 3, split)).result(PATIENT)  # type: ignore[arg-type]
            for split in ("both", "validation", "test")
        )
    assert isinstance(both, Scored)
    assert isinstance(one, Scored)
    assert isinstance(other, Scored)
    assert both.objectives == one.objectives
    assert both.details["test"] == Scored(other.objectives, both.details["test"].details, other.errors)
    assert both.errors == one.errors
    assert set(one.errors) == {"accuracy"}
    assert one.details["images"] == len(data(train=96).validation.labels)
    assert one.objectives != other.objectives


@pytest.mark.long
def test_a_slow_candidate_that_trains_to_the_end(tmp_path: Path) -> None:
    slow = genome(forward="for _ in range(200 * training):\n    self.body(x)")
    with shop(tmp_path, max_slowdown=12.0, timeout=300.0, recipe={"epochs": 5}) as opened:
        ended = outcome_of(opened, slow)
        assert isinstance(ended, Failed)
        assert (ended.kind, ended.fault) == ("too slow", "candidate")
        assert "12 times that is allowed" in ended.reason
        assert "ms at best; the seed model's takes" in ended.reason
        assert isinstance(outcome_of(opened, genome(init="self.spare = 1")), Scored)
        assert isinstance(opened.submit(Job("x", slow, 0, "test")).result(PATIENT), Scored)
        opened.max_slowdown = 0.01
        assert isinstance(outcome_of(opened, genome()), Scored), "the seed is held to nothing"
        assert isinstance(outcome_of(opened, genome(init="self.spare = 2")), Failed)


def scored_ids(folder: Path) -> tuple[Any, ...]:
    with History(folder) as history:
        return tuple(one.id for one in history.individuals()), history.test_outcomes(), spreads(history)


def test_longer_trainings_that_are_taken_for_the_runs_own(
    tmp_path: Path, evaluation: Noisy, monkeypatch: pytest.MonkeyPatch, ge: Ge
) -> None:
    monkeypatch.setattr(doubles.InstantEvaluator, "takes_epochs", True)
    result = evolve(tmp_path, rescore_seeds=2)
    before, seen = scored_ids(tmp_path), []
    submit = Noisy.submit

    def watched(self: Noisy, job: Job) -> Future[Outcome]:
        seen.append((job.split, job.rng_seed - BASE, job.epochs))
        monkeypatch.setattr(Noisy, "noise", (0.0, 0.2, 0.2, 0.2))
        return submit(self, job)

    with History(tmp_path) as history:
        own = replicates(history), spreads(history)

    monkeypatch.setattr(Noisy, "submit", watched)
    for _ in range(2):
        loop.rescore(tmp_path, 1, doubles.registry(), lambda *_: None, OWN, epochs=12)
    finalists = len({SEED_ID, *(one.id for one in result.front)})
    assert sorted(seen) == sorted([("both", 1, 12), ("test", 1, 12)] * finalists), "each once"
    assert scored_ids(tmp_path) == before
    with History(tmp_path) as history:
        assert longer_trainings(history) == [12]
        assert (replicates(history), spreads(history)) == own
        assert replicates(history, 12) != own[0]
        assert len(spreads(history, 12)) == finalists
        assert {len(by_seed) for by_seed in replicates(history, 12).values()} == {1}
        assert history.config.recipe.epochs == 4
        assert history.config.rescore_seeds == 2
    assert check(tmp_path) == []
    code, out, _ = ge("log", tmp_path)
    assert code == 0
    assert "trained again for 12 epochs with further random seeds" in out
    records = [json.loads(line) for line in ge("log", tmp_path, "--json")[1].splitlines()]
    assert {tuple(one.get("rescored_longer", ())) for one in records} == {("12",), ()}


def test_longer_trainings_that_are_not_longer_or_that_nobody_hears_of(
    tmp_path: Path, evaluation: Noisy, monkeypatch: pytest.MonkeyPatch
) -> None:
    evolve(tmp_path)
    with pytest.raises(ConfigError, match="is told no epochs"):
        loop.rescore(tmp_path, 1, doubles.registry(), lambda *_: None, OWN, epochs=12)
    with pytest.raises(ConfigError, match="trained for 4 epochs, and 4 are no more"):
        loop.rescore(tmp_path, 1, doubles.registry(), lambda *_: None, OWN, epochs=4)
    config = config_from_dict({"evaluator": "command", "evaluator_argument": "t.py {path}"})
    with pytest.raises(ConfigError, match="is told no epochs"):
        settings_for(config, 12, load_registry())
    config = config_from_dict({"evaluator": "command", "evaluator_argument": "t.py {path} {epochs}"})
    longer = settings_for(config, 12, load_registry())
    assert (longer.recipe.epochs, longer.timeout) == (12, 3 * config.timeout)


@pytest.mark.parametrize(
    ("accuracies", "rises"),
    [
        ([0.3, 0.5, 0.57], True),
        ([0.9, 0.985, 0.99], False),
        ([0.5, 0.51001], True),
        ([0.5, 0.4], False),
        ([0.5], False),
        ([], False),
    ],
)
def test_a_curve_that_rises_and_is_taken_for_one_that_has_come_to_its_end(
    accuracies: list[float], rises: bool
) -> None:
    curve = [{"epoch": at, "loss": 1.0, "accuracy": one} for at, one in enumerate(accuracies, 1)]
    found = still_rising(Scored({"accuracy": 1.0}, {"curve": curve}))
    assert (found is not None) == rises
    assert found is None or found.epochs == len(accuracies)
    for other in (None, Failed("train", "error", "x"), Scored({}), Scored({}, {"curve": "odd"})):
        assert still_rising(other) is None


def test_a_baseline_that_still_learns_and_nobody_says_so(
    tmp_path: Path, evaluation: Noisy, monkeypatch: pytest.MonkeyPatch, ge: Ge
) -> None:
    submit, curve = Noisy.submit, [{"epoch": n, "accuracy": n / 10, "loss": 1.0} for n in (1, 2, 3, 4)]

    def learning(self: Noisy, job: Job) -> Future[Outcome]:
        outcome = submit(self, job).result()
        assert isinstance(outcome, Scored)
        return doubles._done(replace(outcome, details={"curve": curve}))

    monkeypatch.setattr(Noisy, "submit", learning)
    monkeypatch.setattr(doubles.InstantEvaluator, "takes_epochs", True)
    evolve(tmp_path)
    said = " ".join(ge("log", tmp_path)[1].split())
    assert "learning curve still rises at its last epoch (accuracy in training 30.0 to 40.0 %)" in said
    assert f"rescore {tmp_path} --epochs 8" in said
    assert open_run(tmp_path).as_data()["baseline_still_rising"]
    loop.rescore(tmp_path, 1, doubles.registry(), lambda *_: None, OWN, epochs=8)
    assert "still rises" not in ge("log", tmp_path)[1]
