"""What became of a child is the same in every count, and every stage of a rejection is one that is told."""

from __future__ import annotations

import ast
from collections import Counter
from pathlib import Path

import doubles
import pytest
from test_architecture import FILES, module_of
from typer.testing import CliRunner

from ge_engine import loop
from ge_engine.api import Run
from ge_engine.cli.app import app
from ge_engine.cli.summary import print_summary
from ge_engine.contracts import Job
from ge_engine.ledger import History
from ge_engine.outcome import STAGES, Outcome, Rejected, counted_rejections, shown_stage
from ge_engine.population import SEED_ID
from ge_engine.report.counts import check_order, check_pipeline
from ge_engine.report.data import read_run
from ge_engine.views.live import line_of
from ge_engine.views.outcomes import describe_outcome


def stages_given() -> set[tuple[str, str]]:
    """The stages that the engine's code gives by name, with the module that does."""
    return {
        (str(node.args[0].value), module_of(path).removeprefix("ge_engine."))
        for path in FILES
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Rejected"
        if node.args and isinstance(node.args[0], ast.Constant) and "testing" not in path.parts
    }


def test_a_stage_that_the_table_leaves_out_or_gives_to_another_module() -> None:
    told = {stage.name: stage.modules for stage in STAGES}
    given = stages_given()
    for name, module in sorted(given):
        assert any(f"{module}.".startswith(f"{one}.") for one in told[name]), (name, module)
    for name, modules in told.items():
        for one in modules:
            assert any(name == stage and f"{where}.".startswith(f"{one}.") for stage, where in given), name


def test_a_child_that_breaks_a_constraint_counted_as_another_in_one_of_the_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    score = doubles._score

    def constrained(job: Job) -> Outcome:
        broken = job.key != SEED_ID and int(job.genome.digest[:2], 16) % 2
        return Rejected("constraint", "parameters<=1 does not hold") if broken else score(job)

    monkeypatch.setattr(doubles, "_score", constrained)
    registry = doubles.registry()
    loop.run(doubles.seed(), doubles.config(llm="scripted:mixed"), registry, tmp_path, lambda *_: None)
    with History(tmp_path) as history:
        children = [one for one in history.individuals() if one.id != SEED_ID]
        rejected = Counter(one.outcome.stage for one in children if isinstance(one.outcome, Rejected))
        assert history.rejections() == rejected
        order = check_order(registry.checks.values())
        lost = {step.name: step.lost for step in check_pipeline(read_run(history, order))}
    assert rejected["constraint"] > 1
    assert {name: lost[shown_stage(name)] for name in rejected} == rejected
    assert list(lost).index("constraint") == list(lost).index("trained and scored") - 1
    failed = len(children) - rejected.total() - sum(one.scored for one in children)
    assert lost["trained and scored"] == failed
    print_summary(Run(tmp_path))
    said = " ".join(capsys.readouterr().out.split())
    assert f"{rejected['constraint']} rejected at constraint" in said
    assert (f"{failed} failed in training" in said) == bool(failed)
    logged = CliRunner().invoke(app, ["log", str(tmp_path)]).output
    assert f"{rejected['constraint']} rejected at constraint" in logged


@pytest.mark.parametrize(
    ("stage", "one", "several"),
    [
        ("extract", "unparseable reply", "unparseable replies"),
        ("build", "rejected at build", "rejected at build"),
    ],
)
def test_an_unparseable_reply_that_is_called_by_its_stored_stage(stage: str, one: str, several: str) -> None:
    event = {"individual": "g0s0", "stage": stage, "reason": "why"}
    assert str(describe_outcome(Rejected(stage, "why"), {})) == f"{one}: why"
    assert f"g0s0     {one}: why" in str(line_of("rejected", event))
    assert [counted_rejections(count, stage) for count in (1, 2)] == [f"1 {one}", f"2 {several}"]
