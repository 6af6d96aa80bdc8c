"""Counts and gains that say what worked."""

from __future__ import annotations

from pathlib import Path

import doubles
import pytest
from typer.testing import CliRunner

from ge_engine import loop
from ge_engine.cli.app import app
from ge_engine.ledger.history import History
from ge_engine.ledger.statistics import DIMENSIONS, gained, repairs, statistics, trace
from ge_engine.outcome import Rejected, shown_stage
from ge_engine.pareto import box, losses, normalised


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> History:
    folder = tmp_path_factory.mktemp("runs") / "run"
    config = doubles.config(generations=4, population=10)
    loop.run(doubles.seed(), config, doubles.registry(), folder, lambda *_: None)
    return History(folder)


def test_a_child_counted_twice_or_not_at_all(history: History) -> None:
    found = statistics(history)
    assert {dimension for dimension, _ in found} == set(DIMENSIONS) - {"island"}
    everybody = [one for one in history.individuals() if one.slot >= 0]
    for dimension, of in (("operator", "operator"), ("persona", "persona"), ("block", "address")):
        for value, stats in [(value, stats) for (kind, value), stats in found.items() if kind == dimension]:
            mine = [i for i in everybody if any(getattr(step, of) == value for step in i.steps)]
            assert stats.children == len(mine)
            assert stats.admitted == sum(not isinstance(one.outcome, Rejected) for one in mine)
            assert stats.scored == sum(one.scored for one in mine)
            assert 0 <= stats.better <= stats.scored <= stats.admitted
    models = {value: stats.children for (kind, value), stats in found.items() if kind == "model"}
    assert models == {"scripted:mixed": len(everybody)}


def test_gains_that_do_not_add_up(history: History) -> None:
    points = [losses(values, history.directions) for _, _, values in history.scored_points()]
    ideal, reference = box(points)
    steps = trace(history)
    assert len(steps) == len(points)
    assert steps[-1][1] == pytest.approx(normalised(points, ideal, reference))
    assert [value for _, value in steps] == sorted(value for _, value in steps)


def test_a_gain_of_what_was_dominated() -> None:
    gains = gained({"seed": (1.0, 1.0), "worse": (2.0, 2.0), "better": (0.0, 0.5), "twin": (0.0, 0.5)})
    assert gains["worse"] == 0.0
    assert gains["better"] > 0.0
    assert gains["twin"] == 0.0
    assert gained({}) == {}


def test_repairs_that_are_not_counted_or_not_shown(history: History, tmp_path: Path) -> None:
    assert not repairs(history)
    folder = tmp_path / "mended"
    config = doubles.config(generations=3, population=12, repairs=1)
    loop.run(doubles.seed(), config, doubles.registry(), folder, lambda *_: None)
    with History(folder) as mended:
        counts = repairs(mended)
        back = [i for i in mended.individuals() if any("repaired" in step.note for step in i.steps)]
        saved = [i for i in back if not isinstance(i.outcome, Rejected)]
    assert saved
    assert sum(sent for sent, _ in counts.values()) >= len(back)
    assert sum(mended for _, mended in counts.values()) >= len(saved)
    shown = CliRunner().invoke(app, ["log", str(folder), "--stats"]).output
    assert all(
        f"{mended} of {sent} replies sent back ({shown_stage(stage)}) were saved" in shown
        for stage, (sent, mended) in counts.items()
    )


def test_a_dimension_without_its_success_rate_and_gain(history: History) -> None:
    lines = CliRunner().invoke(app, ["log", str(history.folder), "--stats"]).output.splitlines()
    assert lines[0].split() == [
        "children",
        "passed",
        "checks",
        "scored",
        "better",
        "success",
        "hypervolume",
        "gain",
    ]
    shown = {line.split()[0] for line in lines if line and not line.startswith(" ")}
    assert {"operator", "mutation", "persona", "grammar", "model", "block"} <= shown
    for line in (line for line in lines if "expert" in line):
        one = statistics(history)["persona", "expert"]
        assert line.split()[-6:-2] == [str(n) for n in (one.children, one.admitted, one.scored, one.better)]
        assert line.split()[-2:] == [f"{one.better / one.children:.0%}", f"{one.gain:.4f}"]
