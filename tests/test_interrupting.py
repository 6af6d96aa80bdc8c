"""One interrupt: what runs ends, what waits does not begin, and nothing is lost or changed by it."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import doubles
import pytest

from ge_engine import loop
from ge_engine.evaluation.futures import then
from ge_engine.ledger.history import History
from tests.evaluation import genome, shop


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


def test_a_training_that_runs_given_up_as_one_that_waits(tmp_path: Path) -> None:
    with shop(tmp_path, workers=1) as evaluation:
        slow = genome(top="import time", forward="if training: time.sleep(0.2)")
        running, waiting = (evaluation._spec("train", slow, rng_seed=seed, timeout=30.0) for seed in (0, 1))
        first, second = (
            then(evaluation.executor.submit(one), lambda ending: ending) for one in (running, waiting)
        )
        while not evaluation.executor._running:  # type: ignore[attr-defined]
            time.sleep(0.005)
        assert not first.cancel()
        assert second.cancel()
        assert first.result(60).status == 0
        assert second.cancelled()
