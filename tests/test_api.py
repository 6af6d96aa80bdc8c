"""The engine from Python has the power of the command line, and says the same."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from ge_engine.api import Run, blocks, diff, evolve, open_run
from ge_engine.errors import ConfigError, LedgerError
from ge_engine.population import pareto_front

PLAIN = Path(__file__).resolve().parent.parent / "examples" / "plain_cnn.py"
REPLACED = ("checks", "objectives", "tasks", "evaluators", "models", "grammars", "probe_checks")
QUICK: dict[str, Any] = {
    "llm": "scripted:good",
    "evaluator": "instant",
    "operators": ["mutation", "mating", "eot"],
    "checks": ["seen", "seen-function"],
    "generations": 2,
    "population": 6,
    "plugins": ["doubles"],
    "no_plugins": REPLACED,
}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return evolve(PLAIN, run=tmp_path_factory.mktemp("api") / "run", observe=lambda *_: None, **QUICK)


def test_a_run_that_reads_otherwise_than_its_ledger(run: Run) -> None:
    everybody = run.individuals
    assert everybody[0].id == run.seed.id == "seed"
    assert len(everybody) == 13
    best = pareto_front(everybody, {"accuracy": "max", "parameters": "min"})
    assert [one.id for one in run.front] == [one.id for one in best]
    assert run.directions == {"accuracy": "max", "parameters": "min"}
    assert run.stopped_because
    assert open_run(run.folder) == run


def test_a_run_that_does_not_go_on_in_its_folder(run: Run, tmp_path: Path) -> None:
    started: list[Any] = []

    def observe(name: str, data: Any) -> None:
        if name == "run_started":
            started.append(data["resumed"])

    again = evolve(PLAIN, run=run.folder, observe=observe, **QUICK)
    assert started == [True]
    assert [one.id for one in again.individuals] == [one.id for one in run.individuals]


def test_an_exported_file_that_the_command_line_would_write_otherwise(run: Run, tmp_path: Path) -> None:
    best = run.front[-1]
    ours = run.export(best.id, tmp_path / "ours.py")
    command = [
        sys.executable,
        "-m",
        "ge_engine.cli",
        "export",
        f"{run.folder}:{best.id}",
        "-o",
        tmp_path / "theirs.py",
    ]
    subprocess.run(command, check=True, capture_output=True)
    assert ours.read_bytes() == (tmp_path / "theirs.py").read_bytes()
    assert f"run:{best.id}" in ours.read_text().splitlines()[0]
    compile(ours.read_bytes(), "ours.py", "exec")
    with pytest.raises(ConfigError, match="exists"):
        run.export(best.id, ours)
    run.export("seed", ours, force=True)


def test_a_diff_that_the_command_line_would_show_otherwise(run: Run) -> None:
    child = next(one for one in run.individuals if one.genome and one.id != "seed")
    command = [sys.executable, "-m", "ge_engine.cli", "diff", f"{run.folder}:{child.id}", "--json"]
    theirs = json.loads(subprocess.run(command, capture_output=True, text=True, check=False).stdout)
    for ours in (diff(f"{run.folder}:{child.id}"), run.diff(child.id), diff(run.seed, child)):
        assert [change.address for change in ours] == [change["address"] for change in theirs["changes"]]
        assert len(ours) == 1
    assert str(ours).count("\n@@") == 1


def test_a_diff_of_one_file(tmp_path: Path) -> None:
    assert diff(PLAIN, PLAIN).changes == ()
    with pytest.raises(ConfigError, match="nothing to compare"):
        diff(PLAIN)


def test_blocks_that_the_command_line_lists_otherwise() -> None:
    command = [sys.executable, "-m", "ge_engine.cli", "blocks", PLAIN, "--static", "--json"]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    assert list(blocks(PLAIN)) == [json.loads(line)["address"] for line in lines]
    assert list(blocks(PLAIN, "Head.*")) == ["Head.__init__", "Head.forward"]
    assert blocks(PLAIN)["Head.forward"].code.startswith("def forward(self, x):")


def test_text_of_a_model_that_becomes_markup_in_a_notebook(run: Run, tmp_path: Path) -> None:
    hostile = tmp_path / "hostile.py"
    hostile.write_text(PLAIN.read_text().replace("(2, 3))", "(2, 3))  # <script>alert(1)</script>"))
    shown = diff(PLAIN, hostile)._repr_html_()
    assert "<script>" not in shown
    assert "&lt;script&gt;" in shown
    assert run._repr_html_().count("<tr>") == 1 + len(run.front)
    assert all(one.id in str(run) for one in run.front)


def test_a_folder_without_a_run(tmp_path: Path) -> None:
    with pytest.raises(LedgerError):
        open_run(tmp_path)
    with pytest.raises(ConfigError, match="no setting"):
        evolve(PLAIN, run=tmp_path / "run", generation=3)  # type: ignore[call-arg]
