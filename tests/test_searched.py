"""`bench_search`: what it runs, what it does not run again, and the figures of what was run."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path
from typing import Any

import doubles
import pytest
from benchmarks_here import FOLDER

sys.path.insert(0, str(FOLDER.parent))
from benchmarks.bench_search import planned
from benchmarks.searched import (
    Found,
    Search,
    arms_of,
    finished,
    gains,
    median_run,
    missed,
    smallest_as_good,
    table,
)
from ge_engine import loop
from ge_engine.ablation import Arm
from ge_engine.config import RunConfig
from ge_engine.config.setting import fields_of
from ge_engine.contracts import Job
from ge_engine.outcome import Outcome, Scored

ERROR = 0.01
TOLD: Mapping[str, tuple[float, float, float]] = {
    "seed": (0.5, 0.5, 1000),
    "g0s0": (0.51, 0.49, 100),
    "g0s1": (0.52, 0.50, 400),
    "g0s2": (0.53, 0.52, 700),
    "g0s3": (0.49, 0.60, 50),
}
"""Accuracy in validation, accuracy on the test split, parameters."""


class Told(doubles.Instant):
    """Figures by individual; all others are much worse."""

    def submit(self, job: Job) -> Future[Outcome]:
        validation, test, parameters = TOLD.get(job.key, (0.1, 0.1, 5000))
        accuracy = test if job.split == "test" else validation
        figures = {"accuracy": accuracy, "parameters": float(parameters)}
        return doubles._done(Scored(figures, {}, {"accuracy": ERROR}))


def search(folder: Path, observe: Any = lambda *_: None, **settings: Any) -> Path:
    config = doubles.config(llm="scripted:good", **{"generations": 1, **settings})
    loop.run(doubles.seed(), config, doubles.registry(), folder, observe)
    return folder


def interrupted(folder: Path) -> Path:
    def stop(name: str, _: Mapping[str, Any]) -> None:
        if name == "survivors":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        search(folder, stop)
    return folder


def plan(tmp_path: Path, *more: str) -> Any:
    (tmp_path / "data").mkdir(exist_ok=True)
    return planned(["--data", str(tmp_path / "data"), "--out", str(tmp_path / "out"), *more])


# --- what is run ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--data", "{here}/none"], "none is not there; give the data as --data ZIP-OR-FOLDER."),
        (["--data", "{here}", "--baseline", "{here}"], "`make test` in that checkout makes it."),
        (["--data", "{here}", "--arms", "baseline"], "The arm baseline wants --baseline CHECKOUT."),
    ],
)
def test_a_mistake_that_is_found_after_an_hour(
    arguments: list[str], says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as end:
        planned([word.replace("{here}", str(tmp_path)) for word in arguments])
    assert end.value.code == 2
    assert says in capsys.readouterr().err


def other_checkout(folder: Path, seed_flag: str) -> Path:
    """A checkout whose program, run there, has this flag for the random seed."""
    python = folder / "other" / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    checkout = folder / "other"
    python.write_text(f'#!/bin/sh\n[ "$PWD" = {checkout} ] && echo {seed_flag} || echo --random-seed\n')
    python.chmod(0o755)
    return checkout


def test_a_flag_that_an_older_checkout_does_not_have(tmp_path: Path) -> None:
    asked = plan(tmp_path, "--baseline", str(other_checkout(tmp_path, "--seed")))
    words = asked.command("baseline", 3)
    assert words[words.index("--seed") + 1] == "3"
    assert "--random-seed" not in words
    assert "--random-seed" in asked.command("uniform", 3)


def test_arms_that_are_not_trained_alike(tmp_path: Path) -> None:
    checkout = other_checkout(tmp_path, "--random-seed")
    asked = plan(tmp_path, "--baseline", str(checkout), "--images", "70", "--seeds", "3", "4")
    assert asked.arms == ("baseline", "uniform", "smollm2")
    words = {arm: asked.command(arm, 3) for arm in asked.arms}
    python, *baseline = words["baseline"]
    assert python == str(checkout / ".venv" / "bin" / "python")
    assert words["uniform"][0] == sys.executable
    run = str(asked.folder("baseline", 3))
    assert [w.replace(run, str(asked.folder("uniform", 3))) for w in baseline] == words["uniform"][1:]
    known = {field.flag for field in fields_of(RunConfig).values()} | {"--run", "--epochs", "--train-limit"}
    assert {word for word in baseline if word.startswith("--")} <= known
    assert baseline[baseline.index("--train-limit") + 1] == "70"


def test_a_finished_run_that_is_run_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doubles, "Instant", Told)
    asked = plan(tmp_path, "--seeds", "1", "2")
    assert asked.arms == ("uniform", "smollm2"), "no other checkout is given"
    done = search(asked.folder("uniform", 1))
    assert not finished(interrupted(asked.folder("smollm2", 1)))
    assert asked.left() == [("smollm2", 1), ("uniform", 2), ("smollm2", 2)]
    assert asked.done() == {"uniform": [Search.of(done)]}


def test_a_part_of_another_machine_that_is_run_again_or_taken_for_other_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doubles, "Instant", Told)
    kept = ("--records", str(tmp_path / "kept.jsonl"), "--seeds", "1", "2")
    first = plan(tmp_path, *kept)
    found = Search.of(search(first.folder("uniform", 1)))
    for _ in range(2):
        first.record()
        assert first.done() == {"uniform": [found]}
    assert len((tmp_path / "kept.jsonl").read_text().splitlines()) == 1
    elsewhere = plan(tmp_path, *kept, "--out", str(tmp_path / "elsewhere"))
    assert elsewhere.left() == [("smollm2", 1), ("uniform", 2), ("smollm2", 2)]
    assert elsewhere.done() == {"uniform": [found]}
    assert smallest_as_good(found) == smallest_as_good(elsewhere.done()["uniform"][0])
    other = plan(tmp_path, *kept, "--out", str(tmp_path / "other"))
    assert replace(other, data=tmp_path / "other data").done() == {}
    longer = plan(tmp_path, *kept, "--out", str(tmp_path / "longer"), "--epochs", "5")
    assert longer.done() == {}
    assert len(longer.left()) == 4


@pytest.mark.parametrize("words", [("--epochs", "5"), ("--images", "70"), ("--population", "3")])
def test_a_finished_run_that_is_taken_for_one_with_other_settings(
    words: tuple[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doubles, "Instant", Told)
    seeds = ("--seeds", "1", "--arms", "uniform")
    search(plan(tmp_path, *seeds).folder("uniform", 1))
    assert plan(tmp_path, *seeds).left() == []
    other = plan(tmp_path, *seeds, *words)
    assert other.left() == [("uniform", 1)]
    assert other.done() == {}
    assert other.folder("uniform", 1).name == "uniform-1"


# --- figures ----------------------------------------------------------------------------------------


def test_a_child_that_is_as_accurate_by_one_split_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doubles, "Instant", Told)
    found = smallest_as_good(Search.of(search(tmp_path / "run", ties=0.0)))
    assert found is not None
    assert (found.id, found.size) == ("g0s1", 0.4)
    assert found.validation == pytest.approx((0.02, 2**0.5 * ERROR))
    assert found.test == pytest.approx((0.0, 2**0.5 * ERROR))
    assert found.in_words() == (
        "g0s1, 40.0 % of the parameters, +2.00 ± 1.41 on validation, +0.00 ± 1.41 on test"
    )
    (arm,) = arms_of({"uniform": [Search.of(tmp_path / "run")]})
    assert len(arm.traces[0]) > 4, "the seed and its children"
    assert gains(arm) == [arm.finals[0] - arm.traces[0][0]]
    assert gains(arm)[0] > 0


def arm(name: str, finals: list[float], p_value: float | None) -> Arm:
    return Arm(name, tuple((0.1, (0.1 + final) / 2, final) for final in finals), p_value)


def test_a_median_that_is_the_mean_or_the_best() -> None:
    assert median_run(arm("a", [0.9, 0.2, 0.3], None)) == 2
    assert median_run(arm("a", [0.4, 0.2, 0.3, 0.9], None)) == 2


@pytest.mark.parametrize(
    ("finals", "p_value", "size", "misses"),
    [
        ([0.4, 0.5], 0.01, 0.5, 0),
        ([0.34, 0.34], 0.01, 0.5, 1),
        ([0.4, 0.5], 0.05, 0.5, 1),
        ([0.4, 0.5], 0.01, 0.51, 1),
        ([0.2, 0.2], 0.01, None, 3),
    ],
)
def test_a_search_that_is_called_better_and_is_not(
    finals: list[float], p_value: float, size: float | None, misses: int
) -> None:
    """The first arm gains 0.2; 1.3 times that is 0.26."""
    arms = [arm("baseline", [0.2, 0.4], None), arm("uniform", finals, p_value)]
    found = {"uniform": Found("g0s0", size, (0.0, 0.0), (0.0, 0.0)) if size else None}
    assert len(missed(arms, found)) == misses


def test_runs_of_unequal_length_that_have_no_figure_at_the_end() -> None:
    short = Arm("uniform", ((0.1, 0.2), (0.1, 0.2, 0.4, 0.4, 0.4)), 0.04)
    lines = table([arm("baseline", [0.2, 0.4], None), short])
    assert lines[0].split() == ["hypervolume", "after", "1", "2", "3", "4", "5", "evaluations"]
    assert lines[2].endswith("0.3000 ± 0.1414")
    assert lines[-1].split()[:5] == ["uniform", "0.2000", "±", "0.1414", "1.00"]
    assert "p = 0.0400" in lines[-1]
