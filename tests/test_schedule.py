"""The steady schedule: busier workers, nothing lost or scored twice, the same run again from its database."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import doubles
import pytest
import virtual

from ge_engine import loop
from ge_engine.ledger.history import History
from ge_engine.registry import Registry
from ge_engine.runs.audit import check
from ge_engine.search import event_loop

REGISTRY = doubles.registry()
STEADY: dict[str, Any] = {"schedule": "steady", "generations": 4, "population": 10, "workers": 2}


def run(folder: Path, registry: Registry = REGISTRY, **settings: Any) -> loop.Result:
    config = doubles.config(**{**STEADY, **settings})
    return loop.run(doubles.seed(), config, registry, folder, lambda *_: None)


def content(folder: Path) -> Mapping[str, Any]:
    with History(folder) as history:
        return history.content()


def test_a_steady_run_that_loses_children(tmp_path: Path) -> None:
    result = run(tmp_path / "run", evaluator="threaded")
    assert check(tmp_path / "run") == []
    with History(tmp_path / "run") as history:
        everybody = list(history.individuals())
        assert len(everybody) == 41
        assert history.unmerged(99) == ()
        assert len(history.generations()) > 1
        scored = [one for one in everybody if one.scored]
    assert result.stopped_because == "finished: 4/4 generations"
    best = max(one.objectives["accuracy"] for one in scored)
    assert max(one.objectives["accuracy"] for one in result.front) == best


@pytest.mark.parametrize(
    ("slots", "schedule", "population", "told"),
    [
        ([8], "generational", 10, 1),
        ([0, 0, 16], "generational", 10, 1),  # machines come when the run has begun
        ([8], "steady", 10, 0),
        ([8], "generational", 16, 0),
        ([7], "generational", 2, 0),
    ],
)
def test_many_workers_that_wait_for_each_other_untold(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    slots: list[int],
    schedule: str,
    population: int,
    told: int,
) -> None:
    known = iter(slots)
    monkeypatch.setattr(doubles.Instant, "at_once", lambda _: next(known, slots[-1]))
    remarks: list[str] = []

    def watch(name: str, data: Mapping[str, Any]) -> None:
        if name == "remark" and data["model"] == "schedule":
            remarks.append(data["message"])

    settings = {"schedule": schedule, "population": population, "generations": 4}
    loop.run(doubles.seed(), doubles.config(**settings), REGISTRY, tmp_path / "run", watch)
    assert len(remarks) == told
    assert all(f"{slots[-1]} trainings can run at once" in one for one in remarks)


def test_machines_that_a_steady_run_does_not_fill(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its stock is for the trainings that run at once wherever they do, not for the cores of the engine."""
    monkeypatch.setattr(doubles.Instant, "at_once", lambda _: 10)
    run(tmp_path / "run", workers=1, population=50, generations=1)
    with History(tmp_path / "run") as history:
        assert history.size(0) == 30


class Stop(Exception):
    pass


@pytest.mark.parametrize("event", ["reply", "outcome", "survivors"])
def test_a_steady_run_that_is_killed_and_asks_or_scores_again(tmp_path: Path, event: str) -> None:
    asked: list[str] = []
    scored: list[str] = []
    for session in range(5):
        left = [7 if session < 4 else 10**9]

        def watch(name: str, data: Mapping[str, Any], left: list[int] = left) -> None:
            if name == "reply":
                asked.append(data["key"])
            if name == "outcome":
                scored.append(f"{data['individual']}/{data['split']}")
            left[0] -= name == event
            if not left[0]:
                raise Stop

        config = doubles.config(**STEADY, evaluator="threaded")
        try:
            loop.run(doubles.seed(), config, REGISTRY, tmp_path / "run", watch)
        except Stop:
            continue
    assert len(asked) == len(set(asked))
    assert len(scored) == len(set(scored))
    assert check(tmp_path / "run") == []
    with History(tmp_path / "run") as history:
        assert len(list(history.individuals())) == 41


@pytest.mark.parametrize("workers", [1, 3])
def test_a_replayed_steady_run_with_an_order_of_its_own(tmp_path: Path, workers: int) -> None:
    models = {**REGISTRY.language_models, "replay": doubles.Replay()}
    registry = dataclasses.replace(REGISTRY, language_models=models)
    run(tmp_path / "first", evaluator="threaded")
    again = {"llm": f"replay:{tmp_path / 'first'}", "evaluator": "threaded", "workers": workers}
    run(tmp_path / "again", registry, **again)
    assert content(tmp_path / "again") == content(tmp_path / "first")


@pytest.mark.long
def test_workers_that_idle_while_replies_come(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hours = {}
    for schedule in ("generational", "steady"):
        clock = virtual.Clock(8)
        queue = virtual.Queue(clock)
        monkeypatch.setattr(event_loop, "SimpleQueue", lambda queue=queue: queue)
        settings = {
            "llm": "virtual",
            "evaluator": "virtual",
            "workers": 8,
            "population": 40,
            "generations": 6,
        }

        def look(name: str, data: Mapping[str, Any], schedule: str = schedule, clock: Any = clock) -> None:
            if name == "generation_finished":
                hours[schedule] = clock.now / 3600

        config = doubles.config(schedule=schedule, **settings)
        loop.run(doubles.seed(), config, virtual.registry(clock), tmp_path / schedule, look)
    assert hours["steady"] < 0.92 * hours["generational"]
