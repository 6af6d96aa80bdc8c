"""Objectives and figures of the user's own, from the evaluator to every view."""

from __future__ import annotations

import json
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import doubles
import pytest
from typer.testing import CliRunner

from ge_engine.api import Run
from ge_engine.cli.app import app
from ge_engine.contracts import Job
from ge_engine.ledger.history import History
from ge_engine.loop import run
from ge_engine.outcome import LONGEST_NAME, MOST_FIGURES, Outcome, Scored, figures_in
from ge_engine.report import payload, read_run


class Own(doubles.Instant):
    """Scores by a figure that no plugin knows, and tells more."""

    def submit(self, job: Job) -> Future[Outcome]:
        figures = doubles.figures(job.genome)
        scored = Scored(
            {"rmse": figures["accuracy"], "parameters": figures["parameters"]},
            {"figures": {"minutes": 2.5, "flops": 3e9}, "feedback": f"{{said}} of {job.genome.digest[:9]}"},
            {"rmse": 0.001},
        )
        return doubles._done(scored)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("own") / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(doubles, "Instant", Own)
        settings: dict[str, Any] = {"generations": 2, "population": 3, "llm": "scripted:good"}
        settings |= {"instructions": "Rare {boxes}.", "context": 4000, "operators": ["mutation"]}
        config = doubles.config(objectives=("rmse:min", "parameters"), **settings)
        run(doubles.seed(), config, doubles.registry(), path, lambda *_: None)
    return path


def test_a_run_by_a_figure_of_ones_own_that_is_maximised_or_a_share(folder: Path) -> None:
    told = Run(folder)
    assert told.directions == {"rmse": "min", "parameters": "min"}
    assert not told.notations["rmse"].is_share
    best = min(one.objectives["rmse"] for one in told.individuals if one.scored)
    assert min(one.objectives["rmse"] for one in told.front) == best
    assert "%" not in told.verdict.sentence.partition("rmse")[2].partition(",")[0]


def test_figures_that_are_no_objectives_and_no_view_shows(folder: Path) -> None:
    listed = CliRunner().invoke(app, ["log", str(folder), "--json"]).stdout.splitlines()
    assert all(json.loads(line)["figures"] == {"minutes": 2.5, "flops": 3e9} for line in listed)
    shown = CliRunner().invoke(app, ["show", f"{folder}:seed"]).stdout
    assert "also measured  flops 3,000,000,000, minutes 2.5" in shown
    with History(folder) as history:
        data = read_run(history, ())
    assert [one["name"] for one in payload.objectives(data)] == ["rmse", "parameters"]
    assert [(one["name"], one["direction"]) for one in payload.besides(data)] == [
        ("flops", None),
        ("minutes", None),
    ]
    assert payload.rows(data)["scores"]["minutes"] == [2.5] * len(data.rows)


def test_feedback_that_does_not_reach_the_children_or_a_view(folder: Path) -> None:
    told = Run(folder)
    child = told.individuals[-1]
    (call,) = told.calls(child.id)
    parent = told.individual(child.parents[0])
    assert parent.genome is not None
    assert f"```text\n{{said}} of {parent.genome.digest[:9]}\n```" in call.prompt.user
    assert "What the user says of the problem:\nRare {boxes}." in call.prompt.user
    assert told.config.instructions == "Rare {boxes}."
    listed = CliRunner().invoke(app, ["log", str(folder), "--json"]).stdout.splitlines()
    assert all(json.loads(line)["feedback"].startswith("{said} of") for line in listed)
    assert "── feedback\n{said} of" in CliRunner().invoke(app, ["show", f"{folder}:seed"]).stdout
    with History(folder) as history:
        (*_, feedback) = payload.details(read_run(history, ()))["rows"][0]
    assert feedback.startswith("{said} of")


def test_instructions_that_are_left_out_without_a_word(tmp_path: Path) -> None:
    observer = doubles.Observer()
    config = doubles.config(
        generations=1, population=1, llm="scripted:good", context=3, instructions="x" * 99
    )
    run(doubles.seed(), config, doubles.registry(), tmp_path, observer)
    (said,) = observer.of("remark")
    assert "instructions take 33 tokens and prompts have 3" in said["message"]


def test_figures_without_end_or_of_endless_names() -> None:
    many = {f"n{at}": at for at in range(2 * MOST_FIGURES)}
    assert len(figures_in(many, ())) == MOST_FIGURES
    odd = {"rmse": 1, "x" * 999: 1, "nan": float("nan"), "huge": 10**400, "no": True, "text": "1"}
    assert figures_in(odd, ("rmse",)) == {"x" * LONGEST_NAME: 1.0}
    assert figures_in([1, 2], ()) == {}
