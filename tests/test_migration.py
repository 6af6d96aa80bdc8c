"""Ledgers of older versions: read as they are, brought up to date by whoever writes, and gone on with."""

from __future__ import annotations

import json
import re
import shutil
import sqlite3
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ge_engine import evolve
from ge_engine.cli.app import app
from ge_engine.ledger import History, Ledger
from ge_engine.ledger.replicates import replicates
from ge_engine.ledger.schema import SCHEMA_VERSION, STATEMENTS, as_current
from ge_engine.ledger.score_key import ScoreKey
from ge_engine.runs.audit import check

LEDGERS = Path(__file__).resolve().parent / "ledgers"
STAGE = ScoreKey(epochs=1)
SAID_NOW = {"admitted": "passed checks", "intent": "mutation type"}
TOLD_SINCE = frozenset(("test", "models", "tokens", "llm_seconds", "asked_at"))
"""What `ge log --json` did not tell when the run databases here were made."""


@pytest.fixture(params=["version_0_1_0", "schema_3", "schema_4", "schema_5"])
def old(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    return Path(shutil.copytree(LEDGERS / request.param, tmp_path / request.param))


@pytest.fixture
def schema_3(tmp_path: Path) -> Path:
    return Path(shutil.copytree(LEDGERS / "schema_3", tmp_path / "schema_3"))


def shown(*arguments: object) -> str:
    result = CliRunner().invoke(app, [str(one) for one in arguments])
    assert result.exit_code == 0, result.output
    return result.stdout


def stored(folder: Path) -> list[tuple[object, ...]]:
    """The tables as they are written, their version, and every row of scores."""
    database = sqlite3.connect(folder / "ledger.sqlite")
    rows = database.execute("SELECT type, name, sql FROM sqlite_master ORDER BY type, name").fetchall()
    rows += database.execute("PRAGMA user_version").fetchall()
    return rows + database.execute("SELECT * FROM scores").fetchall()


def without_told_since(stats: Path) -> str:
    """Without the lines on early stops and on deleted lines, of which no old version knew."""
    return re.sub(r"^(?:stopped early: |added lines that ).*\n", "", stats.read_text(), flags=re.MULTILINE)


def rows(table: str) -> list[list[str]]:
    """The cells of a table, by the names that its columns and groups have now."""
    return [
        [SAID_NOW.get(cell, cell) for cell in re.split(r"\s{2,}", line.strip())]
        for line in table.splitlines()
    ]


@pytest.mark.parametrize("name", ["schema_3", "schema_4", "schema_5"])
def test_an_old_run_that_is_told_otherwise_than_by_the_version_that_made_it(
    name: str, tmp_path: Path
) -> None:
    run = Path(shutil.copytree(LEDGERS / name, tmp_path / name))
    before = stored(run)
    told = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    for _ in ("as it is", "brought up to date"):
        now = [json.loads(line) for line in shown("log", run, "--json").splitlines()]
        assert [{name: one[name] for name in then} for one, then in zip(now, told, strict=True)] == told
        assert all(one.keys() - then.keys() <= TOLD_SINCE for one, then in zip(now, told, strict=True))
        assert shown("log", run, "--stats") == (run / "stats_now.txt").read_text()
        assert rows(without_told_since(run / "stats_now.txt")) == rows((run / "stats.txt").read_text())
        if _ == "as it is":
            assert stored(run) == before, "reading changes nothing"
            Ledger.open(run).close()
    assert stored(run) != before


def test_rows_that_migration_loses_or_changes(old: Path) -> None:
    with History(old) as history:
        read = history.content()
        outcomes = {key: history.scores(key) for key in (ScoreKey(), ScoreKey("test"), STAGE)}
    with Ledger.open(old) as ledger:
        migrated = ledger.content()
        assert {key: ledger.scores(key) for key in outcomes} == outcomes
    assert {**read, "parts": migrated["parts"]} == migrated
    assert check(old) == []


def test_a_seed_model_of_one_file_that_becomes_one_of_several(old: Path) -> None:
    for _ in ("as it is", "brought up to date"):
        with History(old) as history:
            assert list(history.seed.files) == [""]
            assert all("::" not in step.address for one in history.individuals() for step in one.steps)
        Ledger.open(old).close()


def test_a_migrated_ledger_that_is_not_as_a_new_one(old: Path) -> None:
    Ledger.open(old).close()
    database = sqlite3.connect(old / "ledger.sqlite")
    found = {sql for (sql,) in database.execute("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL")}
    assert found == {statement.removesuffix(";") for statement in STATEMENTS}
    assert database.execute("PRAGMA user_version").fetchone() == (SCHEMA_VERSION,)
    assert as_current(SCHEMA_VERSION) == {}


def test_keys_of_schema_3_that_are_taken_for_others(schema_3: Path) -> None:
    with History(schema_3) as history:
        digests = {one.id: one.genome.digest for one in history.individuals() if one.genome}
        promoted = {name: history.promoted(digest, STAGE) for name, digest in digests.items()}
        assert {name for name, answer in promoted.items() if answer is False} == {"g0s1", "g1s0", "g2s0"}
        assert promoted["seed"] is None, "it has no stages"
        assert len(history.scores(STAGE)) == 8
        assert len(history.scores()) == history.evaluations() == 9
        assert set(history.test_outcomes()) == set(replicates(history)) == {"seed", "g3s0"}
        assert not any("goes on" in str(outcome) for outcome in history.scores(STAGE).values())


@pytest.mark.long
def test_a_run_of_schema_3_that_cannot_be_gone_on_with(schema_3: Path) -> None:
    evolve(
        schema_3 / "plain_cnn.py",
        run=schema_3,
        allow_changes=True,
        generations=3,
        llm="uniform",
        population=4,
        schedule="steady",
        halving=True,
        workers=1,
        islands=2,
        migrate_every=1,
        migrants=1,
        elites=4,
        eot_elites=2,
        rescore_seeds=1,
        operators=("mutation", "mating", "eot"),
        recipe={"epochs": 2, "train_limit": 200},
    )
    assert check(schema_3) == []
    with History(schema_3) as history:
        assert history.stopped_because == "finished: 3/3 generations"
        assert len(list(history.individuals())) == 1 + 3 * 4
        assert history.promoted(next(iter(history.scores(STAGE))), STAGE) is not None
