"""What a run is said to have found is what its figures hold, everywhere in the same words."""

from __future__ import annotations

import json
from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path
from typing import Any

import doubles
import pytest
from typer.testing import CliRunner

from ge_engine import Run, loop
from ge_engine.cli.app import app
from ge_engine.cli.summary import print_summary
from ge_engine.contracts import Job
from ge_engine.errors import ConfigError
from ge_engine.ledger.history import History
from ge_engine.ledger.replicates import mean_scores, replicates
from ge_engine.notation import Notation
from ge_engine.outcome import Outcome, Scored
from ge_engine.report.data import RunData, read_run
from ge_engine.report.payload import about, rows
from ge_engine.runs.audit import check
from ge_engine.views.live import line_of
from ge_engine.views.progress import Progress

ERROR = 0.01
Told = Mapping[str, tuple[float, float, float]]
"""By individual: accuracy in validation, accuracy on the test split, parameters."""
SMALLER: Told = {"seed": (0.8, 0.8, 1000), "g0s0": (0.795, 0.804, 400), "g0s1": (0.7, 0.7, 399)}
LUCKY: Told = {"seed": (0.8, 0.8, 1000), "g0s0": (0.83, 0.79, 1000), "g0s1": (0.7, 0.7, 999)}
TRADE: Told = {"seed": (0.8, 0.8, 1000), "g0s0": (0.85, 0.85, 1790), "g0s1": (0.7, 0.7, 999)}


class ByName(doubles.Instant):
    """Figures by individual; those who are not named are much worse. Further seeds move them by `moved`, and
    in validation those of `slipped` by its figure."""

    def __init__(self) -> None:
        super().__init__()
        self.told: Told = {}
        self.errors: Mapping[str, float] = {"accuracy": ERROR}
        self.moved = 0.0
        self.slipped: Mapping[str, float] = {}

    def submit(self, job: Job) -> Future[Outcome]:
        self.scored.append(f"{job.key}/{job.split}/{job.rng_seed}")
        validation, test, parameters = self.told.get(job.key, (0.1, 0.1, 5000))
        further = self.moved * (job.rng_seed - doubles.config().random_seed)
        accuracy = (test if job.split == "test" else validation) + further
        if job.split == "both":
            accuracy += self.slipped.get(job.key, 0.0)
        figures = {"accuracy": accuracy, "parameters": float(parameters)}
        details: dict[str, Any] = {"images": 360 if job.split == "test" else 288}
        if job.split == "both":
            other = Scored({**figures, "accuracy": test + further}, {"images": 360}, self.errors)
            details["test"] = other
        return doubles._done(Scored(figures, details, self.errors))


@pytest.fixture
def evaluation(monkeypatch: pytest.MonkeyPatch) -> ByName:
    opened = ByName()
    monkeypatch.setattr(doubles, "Instant", lambda: opened)
    return opened


def evolve(folder: Path, observe: Any = lambda *_: None, **settings: Any) -> loop.Result:
    config = doubles.config(llm="scripted:good", **{"generations": 1, **settings})
    return loop.run(doubles.seed(), config, doubles.registry(), folder, observe)


def shown(*arguments: object) -> str:
    result = CliRunner().invoke(app, [str(one) for one in arguments], env={"COLUMNS": "300"})
    assert result.exit_code in (0, 1), result.output
    return " ".join(result.output.split())


def read(folder: Path) -> RunData:
    with History(folder) as history:
        return read_run(history, ())


def summary(folder: Path, capsys: pytest.CaptureFixture[str]) -> str:
    capsys.readouterr()
    print_summary(Run(folder))
    return " ".join(capsys.readouterr().out.split())


# --- the verdict ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("told", "says", "exported"),
    [
        (
            SMALLER,
            "1 child is better than the baseline beyond noise; best: g0s0, as good in accuracy within noise, "
            "with 60 % fewer parameters (by the test split).",
            True,
        ),
        (
            LUCKY,
            "No child beats the baseline beyond noise: the test split has 360 images, one is 0.28 %.",
            False,
        ),
        (
            TRADE,
            "No child beats the baseline beyond noise: validation has 288 images, one is 0.35 %. "
            "A trade-off: g0s0, accuracy +5.00 ± 1.41 percentage points, with 79 % more parameters.",
            False,
        ),
    ],
)
def test_a_worse_model_that_is_presented_as_the_result(
    told: Told,
    says: str,
    exported: bool,
    tmp_path: Path,
    evaluation: ByName,
    capsys: pytest.CaptureFixture[str],
) -> None:
    evaluation.told = told
    result = evolve(tmp_path)
    printed = summary(tmp_path, capsys)
    assert printed.startswith(says)
    assert ("-o better.py" in printed) is exported
    assert f"report {tmp_path}" in printed
    assert " train " not in printed, "something else than the built-in trainer scores the run"
    assert "what changed in g0s0" in printed
    assert says in result.message
    assert says in Run(tmp_path).verdict.sentence
    assert says in shown("log", tmp_path)
    with History(tmp_path) as history:
        assert says in str(about(read_run(history, ()))["verdict"])


@pytest.mark.parametrize(("told", "better"), [(SMALLER, True), (LUCKY, False)])
def test_a_better_model_whose_full_training_is_not_told_of(
    told: Told,
    better: bool,
    tmp_path: Path,
    evaluation: ByName,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    evaluation.told = told
    evolve(tmp_path)
    monkeypatch.setattr(Run, "config", property(lambda _: doubles.config(evaluator="train")))
    assert (f"train {tmp_path}:g0s0 -o trained" in summary(tmp_path, capsys)) is better


def test_a_tolerance_that_one_view_of_a_run_holds_to_and_another_does_not(
    tmp_path: Path, evaluation: ByName, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A child with 60 % fewer parameters is better, and is not for one who wants 70 %; a resumed run takes
    the new word. The front stays."""
    monkeypatch.chdir(tmp_path)
    run = Path("run")
    evaluation.told = SMALLER
    first = evolve(run)
    for again, better in (("parameters=70%", False), ("parameters=50%", True)):
        result = evolve(run, tolerance=[again])
        assert [one.id for one in result.front] == [one.id for one in first.front]
        says = "1 child is better" if better else "No child beats the baseline"
        assert summary(run, capsys).startswith(says)
        assert says in shown("log", run)
        child = next(row for row in read(run).rows if row.id == "g0s0")
        assert child.to_seed["parameters"] == int(better)
        assert child.better is better
        twin = Path(f"twin-{better}")
        evolve(twin, tolerance=[again])
        table = shown("compare", run, twin)
        assert ("-60.0 % ≈" in table) is not better
        assert says in table


@pytest.mark.parametrize("entry", ["speed=1%", "parameters=little"])
def test_a_tolerance_that_is_refused_after_the_seed_model_was_trained(
    entry: str, tmp_path: Path, evaluation: ByName
) -> None:
    with pytest.raises(ConfigError, match="tolerance"):
        evolve(tmp_path / "run", tolerance=[entry])
    assert not evaluation.scored
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("setting", [{"tolerance": ["speed=1%"]}, {"stop_when": "speed>1"}])
def test_a_run_that_keeps_a_setting_with_which_it_was_refused(
    setting: dict[str, Any], tmp_path: Path, evaluation: ByName
) -> None:
    evaluation.told = SMALLER
    evolve(tmp_path)
    before = Run(tmp_path).config, Run(tmp_path).verdict
    with pytest.raises(ConfigError, match="speed"):
        evolve(tmp_path, **setting)
    assert (Run(tmp_path).config, Run(tmp_path).verdict) == before


@pytest.mark.parametrize(
    ("child", "level", "says"),
    [
        ((0.33, 0.34, 100), 1 / 3, "No child can be told from the baseline, which is near chance (33.33 %)"),
        ((0.33, 0.34, 100), 0.1, "1 child is better"),
        (
            (0.60, 0.61, 1000),
            1 / 3,
            "1 child is better than the baseline beyond noise; best: g0s0, accuracy +",
        ),
    ],
)
def test_a_smaller_model_that_is_as_good_as_guesses_and_called_better(
    child: tuple[float, float, float],
    level: float,
    says: str,
    tmp_path: Path,
    evaluation: ByName,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Of three classes 34 % are near chance, and of ten they are not; one that is better than guesses is."""
    monkeypatch.setattr(doubles.Named, "chance", lambda self, _: level if self.name == "accuracy" else None)
    evaluation.told = {"seed": (0.34, 0.34, 1000), "g0s0": child, "g0s1": (0.3, 0.3, 99)}
    assert evolve(tmp_path).message.startswith(says)


def test_a_count_that_differs_by_less_than_a_hundredth_and_is_a_finding(
    tmp_path: Path, evaluation: ByName
) -> None:
    evaluation.told = {"seed": (0.8, 0.8, 1000), "g0s0": (0.8, 0.8, 991)}
    assert evolve(tmp_path / "less").message.startswith("No child beats the baseline")
    evaluation.told = {"seed": (0.8, 0.8, 1000), "g0s0": (0.8, 0.8, 989)}
    assert evolve(tmp_path / "more").message.startswith("1 child is better")
    evaluation.told = {"seed": (0.8, 0.8, 1000), "g0s0": (0.9, 0.9, 1009)}
    assert evolve(tmp_path / "grown").message.startswith("1 child is better")


def test_a_trade_off_that_is_called_better(
    tmp_path: Path, evaluation: ByName, capsys: pytest.CaptureFixture[str]
) -> None:
    evaluation.told = TRADE
    evolve(tmp_path)
    told = (
        "not better than the baseline: accuracy +5.00 ± 1.41 percentage points, with 79 % more parameters, "
        "by validation)"
    )
    assert told in summary(tmp_path, capsys)


def test_a_refusal_that_does_not_say_by_which_figures(
    tmp_path: Path, evaluation: ByName, capsys: pytest.CaptureFixture[str]
) -> None:
    """As good and smaller on the test split, and two points worse in validation: not better, and why."""
    evaluation.told = {"seed": (0.8, 0.8, 1000), "g0s0": (0.78, 0.8, 400)}
    evolve(tmp_path)
    printed = summary(tmp_path, capsys)
    assert printed.startswith("No child beats the baseline beyond noise")
    assert "as good in accuracy within noise, with 60 % fewer parameters, by the test split" in printed
    assert "; not so in validation)" in printed


def test_a_gain_in_validation_that_trainings_with_further_seeds_do_not_show(
    tmp_path: Path, evaluation: ByName
) -> None:
    """The test split of the run itself agrees with validation here; two further trainings do not."""
    evaluation.told = {"seed": (0.8, 0.8, 1000), "g0s0": (0.85, 0.85, 1000)}
    evolve(tmp_path / "once")
    assert "1 child is better" in Run(tmp_path / "once").verdict.sentence
    evaluation.moved = -0.03
    evaluation.told = {"seed": (0.8, 0.8, 1000), "g0s0": (0.85, 0.81, 1000)}
    evolve(tmp_path / "again", rescore_seeds=2)
    sentence = Run(tmp_path / "again").verdict.sentence
    assert sentence.startswith("No child beats the baseline beyond noise: the test split has 360 images")


def test_a_child_that_is_as_good_on_test_images_and_lost_in_validation_when_trained_again(
    tmp_path: Path, evaluation: ByName
) -> None:
    """Four times smaller, equal on the test split. In validation the difference has an error of 0.0141: a
    loss of 0.014 is within it, one of 0.017 is not."""
    evaluation.told = {"seed": (0.8, 0.8, 1000), "g0s0": (0.795, 0.8, 250)}
    for slip, found in (
        (0.0, "1 child is better"),
        (-0.009, "1 child is better"),
        (-0.012, "No child beats"),
    ):
        evaluation.slipped = {"g0s0": slip}
        folder = tmp_path / str(slip)
        evolve(folder, rescore_seeds=2)
        assert Run(folder).verdict.sentence.startswith(found), slip


def test_further_trainings_that_count_for_nothing_where_there_is_no_test_split(
    tmp_path: Path, evaluation: ByName
) -> None:
    """Of a metric without errors: three points better in the run, and as good when trained again."""
    evaluation.errors = {}
    evaluation.told = {"seed": (0.8, 0.8, 1000), "g0s0": (0.83, 0.83, 1000)}
    evolve(tmp_path / "same", rescore_seeds=2)
    told = Run(tmp_path / "same").verdict.sentence
    assert told == (
        "1 child is better than the baseline; best: g0s0, accuracy 83.00 % (by validation, trained again "
        "with 2 further random seeds; the errors of these figures are not known)."
    )
    evaluation.slipped = {"g0s0": -0.03}
    evolve(tmp_path / "lost", rescore_seeds=2)
    assert Run(tmp_path / "lost").verdict.sentence == "No child beats the baseline."


def test_errors_of_means_that_are_not_those_by_hand(tmp_path: Path, evaluation: ByName) -> None:
    """0.77 and 0.74: a standard deviation of 0.0212, over the root of 2 it is 0.015."""
    evaluation.told, evaluation.moved = {"seed": (0.8, 0.8, 1000)}, -0.03
    evolve(tmp_path, rescore_seeds=2)
    with History(tmp_path) as history:
        count, mean = mean_scores(history, "test")["seed"]
    assert (count, mean.objectives["accuracy"]) == (2, pytest.approx(0.755))
    assert mean.errors == {"accuracy": pytest.approx((0.015**2 + ERROR**2) ** 0.5)}


def test_noise_that_is_claimed_where_no_error_is_known(tmp_path: Path, evaluation: ByName) -> None:
    evaluation.told, evaluation.errors = LUCKY, {}
    assert evolve(tmp_path / "none").message == "No child beats the baseline."
    evaluation.told = {"seed": (0.8, 0.8, 1000), "g0s0": (0.8, 0.8, 400)}
    told = evolve(tmp_path / "one").message
    assert told == (
        "1 child is better than the baseline; best: g0s0, 60 % fewer parameters (by validation; the errors "
        "of these figures are not known)."
    )


def test_a_test_split_that_is_claimed_where_nothing_else_was_scored(
    tmp_path: Path, evaluation: ByName, capsys: pytest.CaptureFixture[str]
) -> None:
    evaluation.told = {"seed": (0.8, 0.8, 1000), "g0s0": (0.85, 0.85, 1000)}
    assert "(by validation)" in evolve(tmp_path / "same").message
    told = "No figure of the test split differs from validation's"
    assert told in summary(tmp_path / "same", capsys)
    evaluation.told = {"seed": (0.8, 0.8, 1000), "g0s0": (0.85, 0.84, 1000)}
    evolve(tmp_path / "other")
    assert told not in summary(tmp_path / "other", capsys)


# --- figures with their errors ----------------------------------------------------------------------


def test_a_figure_that_is_shown_without_its_error(
    tmp_path: Path, evaluation: ByName, capsys: pytest.CaptureFixture[str]
) -> None:
    evaluation.told = SMALLER
    events: list[tuple[str, Mapping[str, Any]]] = []
    evolve(tmp_path, lambda *event: events.append(event), rescore_seeds=0)
    child = "79.50 ± 1.00 %"
    for text in (
        shown("log", tmp_path),
        shown("show", f"{tmp_path}:g0s0"),
        shown("diff", f"{tmp_path}:g0s0"),
        shown("diff", f"{tmp_path}:g0s0", "--stat", "--static"),
        summary(tmp_path, capsys),
        str(Run(tmp_path)),
        Run(tmp_path)._repr_html_(),
    ):
        assert child in text
    assert "80.40 ± 1.00 %" in shown("show", f"{tmp_path}:g0s0"), "the test split's"
    records = [
        json.loads(line)
        for line in CliRunner().invoke(app, ["log", str(tmp_path), "--json"]).output.splitlines()
    ]
    assert all(record["errors"] == {"accuracy": ERROR} for record in records)
    compared = json.loads(CliRunner().invoke(app, ["diff", f"{tmp_path}:g0s0", "--json"]).output)
    assert compared["b_scores"]["errors"] == compared["a_scores"]["errors"] == {"accuracy": ERROR}
    Run(tmp_path).export("g0s0", tmp_path / "child.py")
    assert child in (tmp_path / "child.py").read_text()
    progress = Progress()
    lines = []
    for name, data in events:
        progress.update(name, data)
        lines.append(line_of(name, data, progress.notations))
    assert any(line and "seed     accuracy 80.00 ± 1.00 %" in line.plain for line in lines)
    assert any(line and child in line.plain for line in lines)
    assert [child] == [row[1] for row in progress.front_rows(9) if row[0] == "g0s0"]


def test_a_report_that_marks_chance_as_a_gain(tmp_path: Path, evaluation: ByName) -> None:
    evaluation.told = SMALLER
    evolve(tmp_path)
    with History(tmp_path) as history:
        run = read_run(history, ())
    told = rows(run)
    at = told["id"].index("g0s0")
    assert told["errors"]["accuracy"][at] == ERROR
    assert told["testErrors"][str(at)] == {"accuracy": ERROR}
    assert {name: signs[at] for name, signs in told["toSeed"].items()} == {"accuracy": 0, "parameters": 1}
    for name, signs in told["toParent"].items():
        assert signs[1:] == told["toSeed"][name][1:], "all are children of the seed"
    assert at in told["better"]
    assert told["id"].index("g0s1") not in told["better"]


def test_a_front_that_does_not_mark_what_is_within_chance(
    tmp_path: Path, evaluation: ByName, capsys: pytest.CaptureFixture[str]
) -> None:
    evaluation.told = SMALLER
    evolve(tmp_path)
    printed = summary(tmp_path, capsys)
    assert "79.50 ± 1.00 % -0.50 ≈ 400 -60.0 % 80.40 ± 1.00 %" in printed
    assert "70.00 ± 1.00 % -10.00 399" in printed


def test_one_objective_that_is_called_a_pareto_front(
    tmp_path: Path, evaluation: ByName, capsys: pytest.CaptureFixture[str]
) -> None:
    evaluation.told = LUCKY
    evolve(tmp_path, objectives=("accuracy",))
    assert "Pareto" not in summary(tmp_path, capsys) + str(Run(tmp_path)) + Run(tmp_path)._repr_html_()


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        (Notation("", ",.0f").change(518_230, 518_220), "0.0 %"),
        (Notation("", ".2%").change(0.5, 0.49999), "0.00"),
        (Notation("", ".2%").gain(-0.0028, 7.9e-17), "-0.28 ± 0.00"),
        (Notation("s", ".4g").measured(0.25, 0.01), "0.25 ± 0.01 s"),
        (Notation("s", ".4g").title("latency"), "latency (s)"),
    ],
)
def test_a_figure_of_nothing_with_a_sign_or_a_latency_without_a_unit(text: str, wanted: str) -> None:
    assert text == wanted


# --- who is trained again ---------------------------------------------------------------------------


def again(evaluation: ByName) -> set[str]:
    first = doubles.config().random_seed
    return {entry.split("/")[0] for entry in evaluation.scored if not entry.endswith(f"/{first}")}


def test_finalists_that_are_not_trained_again_where_it_is_cheap(tmp_path: Path, evaluation: ByName) -> None:
    """Seven trainings leave three for further seeds, which is not one child and the seed model twice; eight
    leave four."""
    evaluation.told = SMALLER
    for population, wanted in ((6, set()), (7, {"seed", "g0s0"})):
        evaluation.scored.clear()
        folder = tmp_path / str(population)
        evolve(folder, population=population, rescore_seeds=-1)
        assert again(evaluation) == wanted
        with History(folder) as history:
            assert {len(seeds) for seeds in replicates(history).values()} == ({2} if wanted else set())
    evaluation.scored.clear()
    evolve(tmp_path / "7", population=7, rescore_seeds=-1)
    assert evaluation.scored == [], "a run that has ended is not trained again"


def test_a_run_with_little_time_that_trains_finalists_again(tmp_path: Path, evaluation: ByName) -> None:
    evaluation.told = SMALLER
    evolve(tmp_path, population=12, rescore_seeds=-1, max_seconds=600.0)
    assert again(evaluation) == set()


def test_children_that_are_worse_and_trained_again(tmp_path: Path, evaluation: ByName) -> None:
    evaluation.told = TRADE
    evolve(tmp_path, population=12, rescore_seeds=-1)
    assert again(evaluation) == set()


# --- the run database -------------------------------------------------------------------------------------


class Noisy(doubles.Instant):
    """Drawn figures whose accuracy has an error that makes many of them tie."""

    def submit(self, job: Job) -> Future[Outcome]:
        outcome = doubles._score(job)
        if isinstance(outcome, Scored):
            outcome = Scored(outcome.objectives, outcome.details, {"accuracy": 0.2})
        return doubles._done(outcome)


def run(folder: Path, observe: Any = lambda *_: None, **settings: Any) -> loop.Result:
    wanted = {
        "generations": 4,
        "population": 8,
        "elites": 4,
        "islands": 2,
        "migrate_every": 1,
        "random_seed": 3,
    }
    config = doubles.config(**{**wanted, **settings})
    registry = replace(
        doubles.registry(), language_models={"scripted": doubles.SCRIPTED, "replay": doubles.Replay()}
    )
    return loop.run(doubles.seed(), config, registry, folder, observe)


def test_ties_that_a_resumed_run_or_an_audit_sees_otherwise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doubles, "Instant", Noisy)

    def stop(name: str, data: Mapping[str, Any]) -> None:
        if name == "survivors" and data["generation"] == 1:
            raise KeyboardInterrupt

    run(tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "resumed", stop)
    run(tmp_path / "resumed")
    run(tmp_path / "raw", ties=0.0)
    contents = {}
    for name in ("whole", "resumed", "raw"):
        assert check(tmp_path / name) == []
        with History(tmp_path / name) as history:
            contents[name] = history.content()
    assert contents["whole"] == contents["resumed"]
    for table in ("survivors", "fronts"):
        assert contents["whole"][table] != contents["raw"][table]
    run(tmp_path / "replayed", llm=f"replay:{tmp_path / 'whole'}")
    with History(tmp_path / "replayed") as history:
        assert history.content()["survivors"] == contents["whole"]["survivors"]


def test_an_old_run_that_is_refused_for_ties_that_it_never_knew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without errors nothing ties, whatever was asked for; with them it decides who is selected."""
    run(tmp_path / "old", generations=1)
    run(tmp_path / "old", generations=2, ties=0.0)
    monkeypatch.setattr(doubles, "Instant", Noisy)
    run(tmp_path / "new", generations=1)
    with pytest.raises(Exception, match="ties = 1"):
        run(tmp_path / "new", generations=2, ties=0.0)
