"""Figures are written by unit and format, which the run database keeps, and by no objective's name."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import doubles
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from ge_engine import Run, loop
from ge_engine.cli.app import app
from ge_engine.config import RunConfig
from ge_engine.contracts import Objective
from ge_engine.errors import PluginError
from ge_engine.evaluation.command import open_command
from ge_engine.ledger import History
from ge_engine.ledger.replicates import Replicates, Spread
from ge_engine.ledger.verdict import Judged
from ge_engine.notation import BEFORE, PLAIN, Notation
from ge_engine.outcome import Scored
from ge_engine.population import Direction
from ge_engine.report.data import read_run
from ge_engine.report.pareto import axes
from ge_engine.views.live import constants, heading_line, line_of

NAMES = {"accuracy": "recall", "parameters": "heat"}


class Renamed(doubles.Instant):
    """Scores under names that the engine has never heard of."""

    def submit(self, job: Any) -> Any:
        scores = doubles.figures(job.genome)
        return doubles._done(Scored({NAMES[name]: value for name, value in scores.items()}))


class Recall(doubles.Named):
    """A share of which it is known what guesses reach."""

    def chance(self, classes: int) -> float:
        return 1 / classes


RECALL = Recall("recall", "max", ".1%")
HEAT = doubles.Named("heat", "min", ".3g", "kelvin")


def evolve(folder: Path, *objectives: Objective) -> list[tuple[str, Any]]:
    """The run's events."""
    events: list[tuple[str, Any]] = []
    registry = replace(doubles.registry(), objectives={one.name: one for one in objectives})
    config = doubles.config(llm="scripted:good", generations=2, objectives=("recall", "heat"))
    loop.run(doubles.seed(), config, registry, folder, lambda *event: events.append(event))
    return events


def shown(*arguments: object) -> str:
    result = CliRunner().invoke(app, [str(one) for one in arguments])
    assert result.exit_code == 0, result.output
    return result.output


def test_an_objective_of_a_plugin_that_is_written_as_plain_numbers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doubles, "Instant", Renamed)
    folder = tmp_path / "run"
    events = evolve(folder, RECALL, HEAT)
    with History(folder) as history:
        assert history.notations == {"recall": Notation("", ".1%"), "heat": Notation("kelvin", ".3g")}
        run = read_run(history, ())
        seed = history.individual("seed")
    assert seed is not None
    recall, heat = (seed.objectives[name] for name in ("recall", "heat"))
    told = f"heat {heat:.3g} kelvin, recall {100 * recall:.1f} %"
    assert told in shown("show", f"{folder}:seed")
    assert told in " ".join(shown("log", folder).split())
    first = Run(folder).front[0].objectives["recall"]
    assert f"{100 * first:.1f} %" in str(Run(folder))
    axis = axes(run)["heat"]
    assert (axis.title, axis.ticks, axis.hover) == ("heat (kelvin) (lower is better)", "~g", ".3~g")
    assert dict(events)["seed_scored"]["chance"] == {"recall": 0.1}
    started = dict(events)["run_started"]
    notations = {name: Notation(**one) for name, one in started["notations"].items()}
    line = line_of(
        "seed_scored", {"objectives": dict(seed.objectives), "errors": {}, "chance": {}}, notations
    )
    assert line is not None
    assert told in line.plain


def test_a_format_that_cannot_be_written_and_begins_a_run(tmp_path: Path) -> None:
    with pytest.raises(PluginError, match="cannot be written: '999999999d' is no format"):
        evolve(tmp_path / "run", doubles.Named("recall", "max", "999999999d"), HEAT)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("direction", ["min", "max"])
def test_a_share_that_is_held_against_guesses_of_which_nobody_knows(
    direction: Direction, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error of a class, or the accuracy in the worst one: guesses reach something else than a class's
    share."""
    monkeypatch.setattr(doubles, "Instant", Renamed)
    events = evolve(tmp_path / "run", doubles.Named("recall", direction, ".1%"), HEAT)
    assert dict(events)["seed_scored"]["chance"] == {}


def test_an_old_run_whose_accuracy_is_no_share(tmp_path: Path) -> None:
    config = doubles.config(generations=1)
    loop.run(doubles.seed(), config, doubles.registry(), tmp_path, lambda *_: None)
    with closing(sqlite3.connect(tmp_path / "ledger.sqlite")) as db, db:
        db.execute("DELETE FROM meta WHERE key = 'notations'")
    with History(tmp_path) as history:
        assert history.notations == {"accuracy": BEFORE["accuracy"], "parameters": PLAIN}


@pytest.mark.parametrize(
    ("notation", "value", "text"),
    [
        (Notation("", ".2%"), 0.5, "50.00 %"),
        (Notation("", ",.0f"), 12345.0, "12,345"),
        (Notation("s", ".4g"), 0.0123456, "0.01235 s"),
        (Notation("bytes", ""), 2e9, "2,000,000,000 bytes"),
        (Notation("bytes", ""), 2.5e9 + 0.5, "2.5B bytes"),
    ],
)
def test_a_figure_that_is_written_otherwise(notation: Notation, value: float, text: str) -> None:
    assert notation.measured(value) == text


def test_differences_of_shares_that_are_not_in_points() -> None:
    share = Notation("", ".1%")
    assert (share.change(0.5, 0.625), PLAIN.change(4.0, 5.0), PLAIN.change(0.0, 1.0)) == (
        "+12.50",
        "+25.0 %",
        "",
    )
    assert (share.gain(0.01, 0.002), PLAIN.gain(3.0, None)) == ("+1.00 ± 0.20", "+3")
    assert (share.spread(0.5, 0.01), PLAIN.spread(0.5, None)) == ("50.0 ± 1.0 %", "0.5")


def test_a_heading_that_knows_an_evaluator_by_name() -> None:
    config = RunConfig(evaluator="of a plugin")
    assert f"task {config.task}" in heading_line(Path("run"), config, trains=True).plain
    assert "task" not in heading_line(Path("run"), config, trains=False).plain
    assert f"{config.recipe.epochs} epoch" in constants(config, trains=True)
    assert "scored by of a plugin" in constants(config, trains=False)


@given(
    st.floats(-1e9, 1e9, allow_nan=False),
    st.floats(-1e9, 1e9, allow_nan=False),
    st.sampled_from(
        [PLAIN, Notation("", ".2%"), Notation("s", ".4g"), Notation("", ",.0f"), Notation("", ".1f")]
    ),
)
def test_a_zero_with_a_sign(value: float, other: float, notation: Notation) -> None:
    for text in (notation.value(value), notation.gain(value, None), notation.change(other, value)):
        assert not text.startswith(("-", "+")) or any(digit in text for digit in "123456789")


@pytest.mark.parametrize(
    ("notation", "value", "deviation", "text"),
    [
        (PLAIN, -0.28, 7.9e-15, "-0.28 ± 0"),
        (PLAIN, 0.28, 0.0079, "0.28 ± 0.0079"),
        (PLAIN, 0.0, 7.9e-15, "0 ± 7.9e-15"),
        (Notation("", ".2%"), 0.5, 1e-12, "50.00 ± 0.00 %"),
    ],
)
def test_a_rounding_that_is_told_as_a_spread(
    notation: Notation, value: float, deviation: float, text: str
) -> None:
    assert notation.spread(value, deviation) == text


def test_a_gain_whose_spread_is_a_rounding() -> None:
    assert PLAIN.gain(-0.28, 7.9e-15) == "-0.28 ± 0"
    assert Notation("", ".2%").gain(-0.0028, 7.9e-15) == "-0.28 ± 0.00"


def test_a_difference_without_its_unit() -> None:
    notations = {"latency": Notation("s", ".4g"), "accuracy": Notation("", ".2%")}
    seed = Scored({"latency": 0.02, "accuracy": 0.5}, {}, {"latency": 0.0001, "accuracy": 0.01})
    child = Scored({"latency": 0.01, "accuracy": 0.7}, {}, {"latency": 0.0001, "accuracy": 0.01})
    directions: dict[str, Direction] = {"latency": "min", "accuracy": "max"}
    signs = {"latency": 1, "accuracy": 1}
    judged = Judged("g0s0", child, seed, "validation", signs, True, directions, {})
    assert judged.in_words(notations) == "latency -0.01 ± 0.00014 s, accuracy +20.00 ± 1.41 percentage points"
    further = Replicates({"latency": Spread(0.0123, 0.0004, 3)}, {})
    assert further.told(notations) == "validation latency 0.0123 ± 0.0004 s"


@pytest.mark.parametrize("has_test_split", [True, False])
def test_finalists_of_a_program_without_splits_that_are_scored_on_the_test_split(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, has_test_split: bool
) -> None:
    monkeypatch.setattr(doubles.Instant, "has_test_split", has_test_split)
    told: dict[str, Any] = {}
    config = doubles.config(generations=1)
    loop.run(doubles.seed(), config, doubles.registry(), tmp_path / "run", lambda *one: told.update([one]))
    line = line_of("finalists", told["finalists"])
    assert line is not None
    assert ("on the test split" in line.plain) is has_test_split
    assert ("takes no {split}" in line.plain) is not has_test_split


@pytest.mark.parametrize(
    ("words", "has_test_split"), [(["{path}"], False), (["{path}", "--on={split}"], True)]
)
def test_a_program_that_is_thought_to_take_a_split(
    tmp_path: Path, words: list[str], has_test_split: bool
) -> None:
    config = RunConfig(evaluator="command")
    with open_command(doubles.seed().genome, config, ["true", *words], ["rmse"], tmp_path) as evaluation:
        assert evaluation.has_test_split is has_test_split
