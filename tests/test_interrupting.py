"""One interrupt: what runs ends, what waits does not begin, and nothing is lost or changed by it."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path
from typing import Any

import doubles
import pytest
from conftest import Ge
from typer.testing import CliRunner

from ge_engine import loop
from ge_engine.cli.app import app
from ge_engine.contracts import Job
from ge_engine.evaluation.futures import then
from ge_engine.ledger.history import History
from ge_engine.ledger.replicates import replicates
from ge_engine.outcome import Outcome
from ge_engine.search.rescoring import OwnSettings
from tests.evaluation import genome, shop
from tests.patience import PATIENT


class Turnstile:
    """Lets one training end for each `turn`, and all once it is open: what runs and what waits when a signal
    comes does not depend on how quick the machine is."""

    def __init__(self) -> None:
        self.open = False
        self._turns = threading.Semaphore(1)

    def turn(self) -> None:
        self._turns.release()

    def later(self, work: Any, of: Any, _: str) -> Any:
        while work is doubles._score and not self.open:
            if self._turns.acquire(timeout=0.01):
                break
        return work(of)


@pytest.mark.parametrize(("schedule", "waiting"), [("generational", 1), ("steady", 0)])
def test_an_interrupt_that_trains_what_waits_or_changes_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, schedule: str, waiting: int
) -> None:
    """With one worker. The schedule `steady` keeps no more children waiting than that soon needs."""
    plain = doubles.registry()
    registry = replace(plain, language_models={**plain.language_models, "replay": doubles.Replay()})
    settings = {"schedule": schedule, "evaluator": "threaded", "workers": 1, "population": 10}
    config = doubles.config(**settings, generations=3, llm="scripted:good")
    told, before, turnstile = doubles.Observer(), list[int](), Turnstile()
    monkeypatch.setattr(doubles, "_later", turnstile.later)

    def interrupt(name: str, data: Mapping[str, Any]) -> None:
        told(name, data)
        begun, ended = len(told.of("submitted")), len(told.of("outcome"))
        if name == "outcome" and begun - ended >= 1 + waiting and not before:
            before.append(ended)
            os.kill(os.getpid(), signal.SIGINT)
        elif name == "outcome":
            turnstile.turn()
        elif name == "interrupted":
            turnstile.open = True

    result = loop.run(doubles.seed(), config, registry, tmp_path / "cut", interrupt)
    assert result.stopped_because == "interrupted by SIGINT"
    (interrupted,) = told.of("interrupted")
    assert interrupted["running"] <= 1
    assert interrupted["waiting"] >= waiting
    assert len(told.of("outcome")) - before[0] == interrupted["running"]

    loop.run(doubles.seed(), config, registry, tmp_path / "cut", told)
    model = f"replay:{tmp_path / 'cut'}" if schedule == "steady" else "scripted:good"
    whole = doubles.config(**settings, generations=3, llm=model)
    loop.run(doubles.seed(), whole, registry, tmp_path / "whole", doubles.Observer())
    with History(tmp_path / "cut") as one, History(tmp_path / "whole") as other:
        assert one.content() == other.content()


def evolve(folder: Path, observe: Any = lambda *_: None, **settings: Any) -> loop.Result:
    config = doubles.config(llm="scripted:good", generations=2, **settings)
    return loop.run(doubles.seed(), config, doubles.registry(), folder, observe)


def rescore(folder: Path, observe: Any = lambda *_: None) -> loop.Result:
    own = OwnSettings(evaluator="instant")
    return loop.rescore(folder, 2, doubles.registry(), observe, own)


class Interrupt(doubles.Observer):
    """Sends a signal at the first event that `when` holds of."""

    def __init__(self, when: Callable[[str, Mapping[str, Any]], bool]) -> None:
        super().__init__()
        self.when = when
        self.sent = False

    def __call__(self, name: str, data: Mapping[str, Any]) -> None:
        super().__call__(name, data)
        if not self.sent and self.when(name, data):
            self.sent = True
            os.kill(os.getpid(), signal.SIGINT)


def test_finalists_that_are_trained_on_after_an_interrupt(tmp_path: Path) -> None:
    told = Interrupt(lambda name, data: name == "outcome" and data["split"] == "test")
    result = evolve(tmp_path / "cut", told, rescore_seeds=2)
    assert result.stopped_because == "interrupted by SIGINT"
    with History(tmp_path / "cut") as history:
        assert history.stopped_because == "interrupted by SIGINT"
        assert not replicates(history)
    assert evolve(tmp_path / "cut", rescore_seeds=2).stopped_because == "finished: 2/2 generations"
    evolve(tmp_path / "whole", rescore_seeds=2)
    with History(tmp_path / "cut") as one, History(tmp_path / "whole") as other:
        assert one.content() == other.content()


def test_an_interrupt_in_the_last_generation_that_reads_as_its_end(tmp_path: Path) -> None:
    told = Interrupt(lambda name, data: name == "generation_finished" and data["generation"] == 1)
    result = evolve(tmp_path, told)
    assert result.stopped_because == "interrupted by SIGINT"
    assert told.of("stopping") == [{"reason": "interrupted by SIGINT"}]
    assert not result.tests
    assert set(evolve(tmp_path).tests) == {"seed", *(one.id for one in result.front)}


def test_a_run_without_a_scored_baseline_whose_log_refers_to_itself(tmp_path: Path, ge: Ge) -> None:
    folder = tmp_path / "cut"

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        evolve(folder, stop)
    command = f"ge resume {folder}"
    for words in (("log", folder), ("log", folder, "--stats"), ("log", folder, "--front")):
        code, out, err = ge(*words)
        assert (code, err) == (0, "")
        first, second = out.splitlines()
        assert first == "The baseline has no score yet. Unless the run is going on, resume it:"
        assert second.endswith(command)
    code, _, err = ge("show", f"{folder}:seed")
    assert code == 2
    assert f"`{command}` resumes the run" in " ".join(err.split())
    assert "ge log" not in err


def test_a_rescoring_that_goes_on_after_an_interrupt(tmp_path: Path) -> None:
    for folder in ("cut", "whole"):
        evolve(tmp_path / folder)
    told = Interrupt(lambda name, _: name == "finalists")
    with pytest.raises(KeyboardInterrupt):
        rescore(tmp_path / "cut", told)
    with History(tmp_path / "cut") as cut:
        assert cut.stopped_because == "finished: 2/2 generations"
        assert not replicates(cut)
    for folder in ("cut", "whole"):
        rescore(tmp_path / folder)
    with History(tmp_path / "cut") as one, History(tmp_path / "whole") as other:
        assert one.content() == other.content()


def test_a_rescoring_that_is_interrupted_and_ends_as_if_it_were_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    evolve(tmp_path / "run")
    words = ["rescore", str(tmp_path / "run"), "--plugin", "doubles", "--evaluator", "instant"]
    blocked = [name for module in doubles.REPLACED for name in ("--no-plugin", module)]
    score = doubles._score

    def interrupted(job: Job) -> Outcome:
        os.kill(os.getpid(), signal.SIGINT)
        monkeypatch.setattr(doubles, "_score", score)
        return score(job)

    monkeypatch.setattr(doubles, "_score", interrupted)
    first = CliRunner().invoke(app, [*words, *blocked])
    assert first.exit_code == 130, first.output
    assert "Rerun the same command to resume." in first.output
    assert CliRunner().invoke(app, [*words, *blocked]).exit_code == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGUSR1])
def test_a_baseline_that_waits_for_machines_and_cannot_be_interrupted(
    number: signal.Signals, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(self: doubles.Instant, _: object) -> Future[Any]:
        threading.Timer(0.1, os.kill, [os.getpid(), number]).start()
        return Future()

    config = doubles.config(generations=1)
    with monkeypatch.context() as patched:
        patched.setattr(doubles.Instant, "probe", never)
        with pytest.raises(KeyboardInterrupt):
            loop.run(doubles.seed(), config, doubles.registry(), tmp_path, lambda *_: None)
    result = loop.run(doubles.seed(), config, doubles.registry(), tmp_path, lambda *_: None)
    assert result.stopped_because.startswith("finished")


@pytest.mark.long
def test_a_training_that_runs_given_up_as_one_that_waits(tmp_path: Path) -> None:
    with shop(tmp_path, workers=1) as evaluation:
        slow = genome(top="import time", forward="if training: time.sleep(0.2)")
        running, waiting = (
            evaluation.job_spec("train", slow, rng_seed=seed, timeout=30.0) for seed in (0, 1)
        )
        first, second = (
            then(evaluation.executor.submit(one), lambda ending: ending) for one in (running, waiting)
        )
        while not evaluation.executor._running:  # type: ignore[attr-defined]
            time.sleep(0.005)
        assert not first.cancel()
        assert second.cancel()
        assert first.result(PATIENT).status == 0
        assert second.cancelled()
