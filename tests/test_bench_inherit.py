"""`bench_inherit`: what it trains, what it does not train again, and the figures of what was trained."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from benchmarks_here import FOLDER

from tests.pictured import noise

sys.path.insert(0, str(FOLDER.parent))
from benchmarks import bench_inherit
from benchmarks.bench_inherit import Child, planned, train_left
from benchmarks.inherited import (
    INHERITED,
    SHORT,
    WHOLE,
    Training,
    correlations,
    lines,
    rank_correlation,
    rank_errors,
    ranks,
    repeated,
    tabled,
)
from ge_engine.config import RunConfig
from ge_engine.contracts import Evaluation, Job
from ge_engine.evaluation.parents import FOLDER as PARENTS
from ge_engine.genome import Seed
from ge_engine.outcome import Failed, Outcome, Scored
from ge_engine.patch import apply, parse_patch
from tests.doubles import _done

SEED = Seed.load(bench_inherit.SEED).genome


def child(width: int) -> Child:
    code = SEED.blocks["get_optimizer"].code.replace("lr=", f"lr={width} * ", 1)
    patch: Any = parse_patch(SEED, "get_optimizer", code)
    genome: Any = apply(SEED, patch)
    return Child(genome, "other")


class Told(Evaluation):
    """Scores by the parent's weights: a file of the settings' epochs, which lies where the real one does."""

    def __init__(self, config: RunConfig, folder: Path) -> None:
        self._config, self._folder = config, folder / PARENTS
        self.jobs: list[Job] = []

    def probe(self, genome: Any) -> Any:
        raise NotImplementedError

    def submit(self, job: Job) -> Any:
        self.jobs.append(job)
        outcome: Outcome = Failed("train", "timeout", "too long")
        if job.genome.digest[0] in "0123456789ab":
            facts = {"train_seconds": 2.0, **({INHERITED: 0.75} if job.parent else {})}
            curve = [{}] * self._config.recipe.epochs
            outcome = Scored({"accuracy": 0.5}, {"facts": facts, "curve": curve})
        if self._config.inherit:
            self._folder.mkdir(parents=True, exist_ok=True)
            (self._folder / f"{job.genome.digest}.safetensors").write_bytes(b"")
        return _done(outcome)


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[tuple[RunConfig, Told]]:
    found: list[tuple[RunConfig, Told]] = []

    @contextmanager
    def opens(config: RunConfig, folder: Path) -> Iterator[Evaluation]:
        found.append((config, Told(config, folder)))
        yield found[-1][1]

    monkeypatch.setattr(bench_inherit, "opened", opens)
    return found


def plan(folder: Path, *more: str) -> Any:
    (folder / "data").mkdir(exist_ok=True)
    return planned(["--data", str(folder / "data"), "--out", str(folder / "out"), "--seeds", "4", *more])


def test_a_training_that_is_made_again_or_begins_with_another_parent(
    tmp_path: Path, opened: list[tuple[RunConfig, Told]], capsys: pytest.CaptureFixture[str]
) -> None:
    children = [child(number) for number in range(5)]
    train_left(plan(tmp_path), children[:2])
    asked = {config.recipe.epochs: (config, told.jobs) for config, told in opened}
    assert sorted(asked) == [2, 8]
    assert [asked[epochs][0].random_seed for epochs in (2, 8)] == [4, 4]
    assert {job.parent for job in asked[2][1]} == {""}
    digests = [one.genome.digest for one in children]
    assert [(job.genome.digest, job.parent) for job in asked[8][1]] == [
        *((digest, "") for digest in digests[:2]),
        (SEED.digest, ""),
        *((digest, SEED.digest) for digest in digests[:2]),
    ]
    opened.clear()
    train_left(plan(tmp_path), children[:3])
    again = [job.genome.digest for _, told in opened for job in told.jobs]
    assert again == [digests[2]] * 3
    opened.clear()
    train_left(plan(tmp_path, "--epochs", "12"), children[:1])
    assert [config.recipe.epochs for config, _ in opened] == [12, 3]
    known = plan(tmp_path).known().values()
    assert {(one.arm, one.epochs, one.share) for one in known if one.accuracy and one.child} == {
        (WHOLE, 8, 0.0),
        (SHORT, 2, 0.0),
        (INHERITED, 8, 0.75),
    }
    failed = {one.child for one in known if one.accuracy is None and one.child}
    said = capsys.readouterr().out
    assert all(f"failed: {name} " in said for name in failed)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--data", "{here}/none"], "none is not there; give the data as --data ZIP-OR-FOLDER."),
        (["--data", "{here}", "--children", "1"], "give two or more with --children."),
    ],
)
def test_a_mistake_that_is_found_after_an_hour(
    arguments: list[str], says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as end:
        planned([word.replace("{here}", str(tmp_path)) for word in arguments])
    assert end.value.code == 2
    assert says in capsys.readouterr().err


# --- figures ----------------------------------------------------------------------------------------


def trained(arm: str, seed: int, accuracies: dict[str, float], **shares: float) -> list[Training]:
    return [
        Training(name, "other", arm, seed, accuracy, shares.get(name, 0.0), 2, 10.0)
        for name, accuracy in accuracies.items()
    ]


WHOLES = {"a": 0.1, "b": 0.2, "c": 0.3, "d": 0.4}
TRAINED = [
    *trained(WHOLE, 1, WHOLES),
    *trained(SHORT, 1, {"a": 0.4, "b": 0.3, "c": 0.2, "d": 0.1}),
    *trained(INHERITED, 1, {"a": 0.2, "b": 0.1, "c": 0.3, "d": 0.4}, a=0.2, b=0.9, c=0.5, d=1.0),
    *trained(WHOLE, 2, WHOLES),
]


def test_ranks_of_equal_figures_that_differ() -> None:
    assert ranks([0.3, 0.1, 0.3]) == [2.5, 1.0, 2.5]
    assert rank_correlation([1, 2, 3], [10, 20, 400]) == pytest.approx(1)
    assert rank_correlation([1, 2, 3], [5, 5, 5]) == 0.0


def test_a_correlation_with_another_arm_than_the_whole_trainings() -> None:
    table = tabled(TRAINED)
    assert correlations(table, SHORT) == pytest.approx([-1.0])
    assert correlations(table, INHERITED) == pytest.approx([0.8])
    assert rank_errors(table, lambda share: share < 0.5) == [1.0]
    assert rank_errors(table, lambda share: share >= 0.5) == [1.0, 0.0, 0.0]


def test_a_child_that_is_ranked_in_one_arm_alone() -> None:
    table = tabled([replace(one, accuracy=None) if one is TRAINED[1] else one for one in TRAINED])
    assert {name: list(held) for name, held in table.items()} == {
        (arm, 1): ["a", "c", "d"] for arm in (INHERITED, SHORT, WHOLE)
    }
    assert repeated(tabled(TRAINED)) == [], "of the second random seed the other arms are missing"


def test_a_table_without_what_it_promises() -> None:
    both = [*TRAINED, *(replace(one, seed=2) for one in TRAINED if one.seed == 1)]
    told = lines(tabled(both), 8, 2)
    assert told[1].split() == ["8", "epochs", "from", "scratch", "1.00", "80", "16"]
    assert told[2].split() == ["2", "epochs", "from", "scratch", "-1.00", "±", "0.00", "80", "16"]
    assert told[3].split() == ["inherited", "0.80", "±", "0.00", "80", "16"]
    assert "1.00 ± 0.00 of 2 that inherit less than 50%, 0.33 ± 0.52 of 6 others" in told[-1]


# --- all of it --------------------------------------------------------------------------------------


@pytest.mark.long
def test_a_benchmark_that_does_not_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a smaller network, so that it takes seconds."""
    monkeypatch.setattr(bench_inherit, "SEED", bench_inherit.SEED.with_name("plain_cnn.py"))
    pictures = noise(tmp_path / "data", 12, "red", "green")
    words = ["--data", pictures, "--out", tmp_path / "out", "--seeds", 1]
    words += ["--children", 2, "--images", 12, "--epochs", 2]
    assert bench_inherit.main([str(word) for word in words]) == 0
    said = capsys.readouterr().out
    assert "2 children: 1 of another depth, 1 of other widths" in said
    assert len(planned([str(word) for word in words]).known()) == 2 * 3 + 1
