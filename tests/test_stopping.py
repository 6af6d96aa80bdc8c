"""Each limit stops cleanly, says so, and can be raised."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import doubles
import pytest

from ge_engine import loop
from ge_engine.errors import ConfigError
from ge_engine.ledger.history import History
from ge_engine.runs.audit import check
from ge_engine.search.termination import Interrupts, StopConditions, gain_after

REGISTRY = doubles.registry()


def run(folder: Path, **settings: Any) -> loop.Result:
    config = doubles.config(**{"llm": "scripted:good", "generations": 9, "population": 6, **settings})
    return loop.run(doubles.seed(), config, REGISTRY, folder, lambda *_: None)


def evaluations(folder: Path) -> int:
    with History(folder) as history:
        return history.evaluations()


def test_more_evaluations_than_were_granted(tmp_path: Path) -> None:
    result = run(tmp_path / "run", max_evaluations=10)
    assert result.stopped_because == "all 10 evaluations are used"
    assert evaluations(tmp_path / "run") == 10
    assert set(result.tests) == {"seed", *(one.id for one in result.front)}
    again = run(tmp_path / "run", max_evaluations=20)
    assert again.stopped_because == "all 20 evaluations are used"
    assert evaluations(tmp_path / "run") == 20


def test_trainings_that_run_and_do_not_count_as_evaluations(tmp_path: Path) -> None:
    run(tmp_path / "run", max_evaluations=4)
    with History(tmp_path / "run") as history:
        termination = StopConditions(doubles.config(max_evaluations=10), {}, history, Interrupts())
        assert termination.evaluations_left() == 6
        assert [termination.slots(8, running) for running in (0, 2, 5, 9)] == [6, 4, 1, 1]
        assert termination.slots(3, 1) == 3
        assert StopConditions(doubles.config(), {}, history, Interrupts()).slots(8, 99) == 8


def test_a_token_budget_that_is_overlooked(tmp_path: Path) -> None:
    result = run(tmp_path / "run", token_budget=3000, context=0)
    with History(tmp_path / "run") as history:
        read, written = history.tokens()
        rounds = len({call.generation for one in history.individuals() for call in history.calls(one.id)})
    assert result.stopped_because.startswith(f"{read + written} of 3000 tokens are used; a call may take ")
    assert 0 < read + written <= 3000
    assert rounds < 9


def test_a_cost_budget_that_is_overlooked(tmp_path: Path) -> None:
    result = run(tmp_path / "run", cost_budget=0.01, price_in=1.0, price_out=5.0)
    assert "of 0.01 are spent" in result.stopped_because
    with pytest.raises(ConfigError, match="price"):
        doubles.config(cost_budget=1.0)


def test_a_session_that_outlives_its_seconds_and_cannot_go_on(tmp_path: Path) -> None:
    first = run(tmp_path / "run", llm="scripted:good,0.02", max_seconds=0.4, generations=6)
    assert first.stopped_because == "the session has used its 0.4 seconds"
    run(tmp_path / "run", generations=6)
    run(tmp_path / "whole", generations=6)
    with History(tmp_path / "run") as stopped, History(tmp_path / "whole") as whole:
        left, right = stopped.content(), whole.content()
    for table in ("calls", "individuals", "generations", "survivors", "fronts"):
        mine = [tuple(str(v) for v in row) for row in left[table]]
        assert mine == [tuple(str(v) for v in row) for row in right[table]], table


def test_a_target_that_is_reached_and_passed(tmp_path: Path) -> None:
    result = run(tmp_path / "run", stop_when="accuracy>=0.6 and parameters<60000")
    assert " reached accuracy>=0.6" in result.stopped_because
    name = result.stopped_because.split()[0]
    with History(tmp_path / "run") as history:
        one = history.individual(name)
        assert one is not None
        assert one.generation == history.next_generation() - 1
    assert one.objectives["accuracy"] >= 0.6
    with pytest.raises(ConfigError, match="no objective 'speed'"):
        run(tmp_path / "other", stop_when="speed>1")


def test_a_run_without_progress_that_goes_on(tmp_path: Path) -> None:
    result = run(tmp_path / "run", llm="scripted:same", stall=2, generations=20)
    assert result.stopped_because == "no more hypervolume in 2 generations"
    with History(tmp_path / "run") as history:
        assert history.next_generation() == 3


def test_progress_that_is_not_seen() -> None:
    points = [(0, (1.0, 1.0)), (1, (0.5, 1.0)), (2, (2.0, 2.0))]
    assert gain_after(points, 0) > 0
    assert gain_after(points, 1) == 0


@pytest.mark.parametrize(
    ("little", "more", "says"),
    [
        ({"token_budget": 3000}, {"token_budget": 9000}, "of 3000 tokens are used"),
        ({"cost_budget": 0.01}, {"cost_budget": 0.03}, "of 0.01 are spent"),
        ({"max_evaluations": 9}, {"max_evaluations": 0}, "all 9 evaluations are used"),
        ({"stop_when": "accuracy>=0.3"}, {"stop_when": ""}, "reached accuracy>=0.3"),
        ({"stall": 1, "llm": "scripted:same"}, {"stall": 0, "generations": 4}, "no more hypervolume in 1"),
        ({"generations": 1}, {"generations": 3}, "finished: 1/1 generation"),
    ],
)
@pytest.mark.parametrize("schedule", ["generational", "steady"])
def test_a_limit_after_which_a_larger_one_is_refused_or_begins_again(
    tmp_path: Path, little: dict[str, Any], more: dict[str, Any], says: str, schedule: str
) -> None:
    settings = {"generations": 5, "schedule": schedule, "workers": 2, "price_in": 1.0, "price_out": 5.0}
    first = run(tmp_path / "run", **{**settings, **little})
    assert says in first.stopped_because
    with History(tmp_path / "run") as history:
        before = {one.id for one in history.individuals()}
        asked = {key for key, _ in history.replies()}
    second = run(tmp_path / "run", **{**settings, **little, **more})
    assert says not in second.stopped_because
    with History(tmp_path / "run") as history:
        assert before < {one.id for one in history.individuals()}
        assert asked < {key for key, _ in history.replies()}
    assert check(tmp_path / "run") == []


def test_a_steady_run_that_is_stopped_after_batches_instead_of_generations(tmp_path: Path) -> None:
    settings = {"schedule": "steady", "workers": 1, "population": 12, "generations": 20}
    result = run(tmp_path / "run", llm="scripted:same", stall=2, **settings)
    assert result.stopped_because == "no more hypervolume in 2 generations"
    with History(tmp_path / "run") as history:
        assert history.slots_before(history.next_generation()) >= 24
