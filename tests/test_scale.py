"""A run of many children: questions to its database use an index, its list and its report hold all they must,
and the benchmark that measures all that works."""

from __future__ import annotations

import sqlite3
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import synthetic
from benchmarks_here import FOLDER

sys.path.insert(0, str(FOLDER.parent))
from benchmarks.bench_scale import missed, row
from benchmarks.scaled import Simulated, simulate
from ge_engine.api import open_run
from ge_engine.cli import log
from ge_engine.ledger import History, Ledger
from ge_engine.ledger.best import front_ids
from ge_engine.noise import front_of
from ge_engine.population import with_genome
from ge_engine.report import read_run, shown
from ge_engine.report.counts import best_values, check_pipeline, progress, reasons

GOOD = Simulated(1000, 20_000, 0.97, 100.0, 90.0, 100, 105, 120, 10**8)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("many") / "run"
    synthetic.write_run(run, 150)
    return run


def test_a_check_of_a_child_that_reads_all_children_before_it(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, dict[str, Any]]] = []
    read = Ledger._rows

    def heard(self: Ledger, sql: str, **values: Any) -> list[sqlite3.Row]:
        asked.append((sql, values))
        return read(self, sql, **values)

    monkeypatch.setattr(Ledger, "_rows", heard)
    with Ledger.open(folder) as ledger:
        asked.clear()
        ledger.seen("digest", 3)
        ledger.seen_function("function", 3)
        ledger.tried("digest", "Block", "edits", 3)
        assert len(asked) == 3
        for sql, values in asked:
            plan = [step[-1] for step in ledger._db.execute(f"EXPLAIN QUERY PLAN {sql}", values)]
            assert not [step for step in plan if step.startswith("SCAN")], plan


def test_a_front_that_differs_when_it_is_read_in_parts(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ge_engine.ledger.best.AT_ONCE", 7)
    with History(folder) as history:
        whole = front_of(with_genome(history.individuals()), history.directions, history.ties)
        assert front_ids(history) == [one.id for one in whole]
        assert len(whole) > 2


def test_a_long_list_that_leaves_somebody_out(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = open_run(folder)
    log._print_lines(run)
    lines = capsys.readouterr().out.splitlines()
    names = [line.removeprefix("*").split()[0] for line in lines]
    assert names == [one.id for one in run.individuals]
    best = {name for name, line in zip(names, lines, strict=True) if line.startswith("*")}
    assert best == {one.id for one in run.front}
    scored = next(one for one in run.front if one.id != "seed")
    said = lines[names.index(scored.id)]
    assert run.notations["accuracy"].measured(scored.objectives["accuracy"]) in said
    assert scored.parents[0] in said


def test_a_report_of_a_large_run_that_counts_some_alone(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with History(folder) as history:
        whole = read_run(history, synthetic.STAGES)
        monkeypatch.setattr(shown, "MOST", 60)
        part = read_run(history, synthetic.STAGES)
    assert len(whole.rows) == 151
    assert len(part.rows) <= 60
    assert [one.id for one in part.front] == [one.id for one in whole.front]
    kept = {one.id: one for one in part.rows}
    assert all(parent in kept for one in part.rows for parent in one.parents)
    assert all(one.exchanges for one in part.rows if one.id != "seed")
    assert check_pipeline(part) == check_pipeline(whole)
    assert progress(part) == progress(whole)
    assert {name: one.id for name, one in best_values(part).items()}.items() == {
        name: one.id for name, one in best_values(whole).items()
    }.items()
    assert all(one.example in kept for one in reasons(part) if one.example)
    assert "of 151" in str(part.settings["shown one by one"])


@pytest.mark.long
def test_a_bench_that_does_not_run(tmp_path: Path) -> None:
    one = simulate(tmp_path / "run", 4, 120)
    assert one.children == 200
    assert 0.5 < one.utilisation <= 1.000001
    assert one.database > 100_000
    assert row(one).split()[:2] == ["4", "200"]


@pytest.mark.parametrize(
    ("one", "told"),
    [
        (GOOD, []),
        (replace(GOOD, workers=100, utilisation=0.5, seconds=10**4), []),
        (replace(GOOD, utilisation=0.9), ["1,000 workers were busy for 90.0% of their time"]),
        (replace(GOOD, seconds=2000.0), ["10.0 children a second with 1,000 workers"]),
        (replace(GOOD, late=120), ["memory grew by 20.0% with 1,000 workers"]),
    ],
)
def test_a_bound_that_is_missed_unnoticed(one: Simulated, told: list[str]) -> None:
    assert missed(one) == told
