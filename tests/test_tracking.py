"""Trackers: nothing lost between event and event file, and no tracker that ends a run."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import accelerate.tracking
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from ge_engine.errors import ConfigError
from ge_engine.tracking import tracked

ADMITTED = {
    "individual": "g0s1",
    "parents": ("seed",),
    "operators": ("mutation",),
    "personas": ("expert",),
    "intents": ("reduce",),
    "address": "Net.forward",
}
CURVE = [
    {"epoch": 1, "loss": 2.0, "accuracy": 0.25, "lr": 0.1},
    {"epoch": 2, "loss": 1.0, "accuracy": 0.5, "lr": 0.05},
]


def outcome(split: str = "validation", **values: Any) -> Mapping[str, Any]:
    scored = {"individual": "g0s1", "split": split, "kind": "scored", "objectives": {"accuracy": 0.75}}
    return {**scored, "reason": "", "details": {"curve": CURVE}, **values}


FINISHED = {
    "generation": 0,
    "admitted": 2,
    "scored": 1,
    "rejected": {"build": 3},
    "front": [("g0s1", {"accuracy": 0.75}), ("g0s2", {"accuracy": 0.5})],
}


def scalars(folder: Path) -> dict[str, list[tuple[int, float]]]:
    read = EventAccumulator(str(folder))
    read.Reload()
    return {tag: [(one.step, one.value) for one in read.Scalars(tag)] for tag in read.Tags()["scalars"]}


def test_the_curve_and_the_objectives_of_an_individual_are_read_back(tmp_path: Path) -> None:
    told: list[str] = []
    with tracked(["tensorboard"], tmp_path, lambda name, data: told.append(name)) as observe:
        observe("admitted", ADMITTED)
        observe("outcome", outcome())
        observe("generation_finished", FINISHED)
    assert told == ["admitted", "outcome", "generation_finished"]
    seen = scalars(tmp_path / "tracking" / "g0s1")
    assert seen["training/loss"] == [(1, 2.0), (2, 1.0)]
    assert seen["objective/accuracy"] == [(2, 0.75)]
    (kept,) = (tmp_path / "tracking" / "g0s1").glob("*/hparams.yml")
    assert "block: Net.forward" in kept.read_text()
    whole = scalars(tmp_path / "tracking" / "run")
    assert whole["generation/scored"] == [(0, 1.0)]
    assert whole["rejected/build"] == [(0, 3.0)]
    assert whole["front/accuracy most"] == [(0, 0.75)]


def test_splits_have_runs_of_their_own_and_stages_have_none(tmp_path: Path) -> None:
    with tracked(["tensorboard"], tmp_path, lambda name, data: None) as observe:
        observe("outcome", outcome("validation/1 epoch"))
        observe("outcome", outcome("test", details={}))
        observe("outcome", outcome("validation/seed 1"))
        observe("outcome", outcome(kind="timeout", objectives={}))
    written = {one.name for one in (tmp_path / "tracking").iterdir()}
    assert written == {"g0s1 test", "g0s1 validation seed 1"}
    assert scalars(tmp_path / "tracking" / "g0s1 test") == {"objective/accuracy": [(0, 0.75)]}


def test_an_unknown_tracker_is_refused_with_the_known_ones(tmp_path: Path) -> None:
    with (
        pytest.raises(ConfigError, match="no tracker 'tensorbord'") as told,
        tracked(["tensorbord"], tmp_path, lambda name, data: None),
    ):
        pass
    assert "tensorboard" in told.value.hint


def test_a_tracker_that_is_not_installed_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(accelerate.tracking, "_available_trackers", [])
    with (
        pytest.raises(ConfigError, match="not installed") as told,
        tracked(["comet_ml"], tmp_path, lambda name, data: None),
    ):
        pass
    assert told.value.hint == "pip install comet-ml"


def test_a_tracker_that_fails_is_told_once_and_ends_nothing(tmp_path: Path) -> None:
    (tmp_path / "tracking").write_text("a file where the folder should be")
    told: list[str] = []
    with tracked(["tensorboard"], tmp_path, lambda name, data: told.append(name)) as observe:
        observe("outcome", outcome())
        observe("outcome", outcome())
    assert told == ["outcome", "observer_failed", "outcome"]


def test_no_tracker_needs_no_accelerate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "accelerate.tracking", None)

    def observe(name: str, data: Mapping[str, Any]) -> None:
        raise AssertionError

    with tracked([], tmp_path, observe) as same:
        assert same is observe
