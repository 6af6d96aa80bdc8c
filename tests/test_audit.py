"""Whatever is changed in a run database by hand is found, with its place."""

from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path

import doubles
import pytest

from ge_engine import loop
from ge_engine.errors import LedgerError
from ge_engine.runs.audit import check


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "whole"
    config = doubles.config(generations=4, population=10, repairs=1)
    loop.run(doubles.seed(), config, doubles.registry(), folder, lambda *_: None)
    return folder


def test_a_sound_ledger_that_is_accused(whole: Path) -> None:
    assert check(whole) == []


def test_an_unfinished_run_that_is_accused(tmp_path: Path) -> None:
    class Stop(Exception):
        pass

    def stop(name: str, data: object) -> None:
        if name == "outcome" and data["individual"].startswith("g1"):  # type: ignore[index]
            raise Stop

    with pytest.raises(Stop):
        loop.run(doubles.seed(), doubles.config(), doubles.registry(), tmp_path / "run", stop)
    assert check(tmp_path / "run") == []


FRONT = "(SELECT id FROM fronts WHERE generation = 3 LIMIT 1)"
SCORED = (
    "(SELECT i.id FROM individuals i JOIN scores s ON s.digest = i.digest"
    " WHERE i.generation = 2 AND s.outcome LIKE '%curve%' LIMIT 1)"
)


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        ("UPDATE individuals SET digest = 'feed' WHERE id = 'g0s0'", "g0s0: its genome has digest"),
        (
            "UPDATE individuals SET parents = '[\"g9s9\"]' WHERE id = 'g1s0'",
            "g1s0: its parent g9s9 is not in",
        ),
        (
            "UPDATE individuals SET parents = '[\"g1s1\"]' WHERE id = 'g1s2'",
            "g1s2: its parent g1s1 is no older",
        ),
        (
            "UPDATE individuals SET slot = 77 WHERE id = 'g1s3'",
            "its id does not fit child 77 of generation 1",
        ),
        (
            "UPDATE individuals SET delta = '{\"replaced\": {}}' WHERE id = 'g0s0'",
            "does not fit this seed model",
        ),
        (
            f"DELETE FROM scores WHERE digest = (SELECT digest FROM individuals WHERE id = {SCORED})",
            "no outcome",
        ),
        (
            'UPDATE scores SET outcome = \'{"scored":{"accuracy":NaN,"parameters":1},"details":{}}\'',
            "NaN is not a number",
        ),
        (
            'UPDATE scores SET outcome = \'{"scored":{"accuracy":0.5},"details":{}}\''
            " WHERE split = 'test' OR"
            f" digest = (SELECT digest FROM individuals WHERE id = {SCORED})",
            "its objective parameters is None",
        ),
        ("UPDATE calls SET individual = 'g0s9' WHERE key = 'g0s0/0'", "call g0s0/0: it is recorded for g0s9"),
        (
            "INSERT INTO survivors VALUES (3, 999, 'g0s99', 0)",
            "generation 3: its survivor g0s99 has no score",
        ),
        (f"DELETE FROM survivors WHERE generation = 2 AND id = {SCORED}", "is not among its survivors"),
        (
            f"DELETE FROM fronts WHERE generation = 3 AND id = {FRONT}",
            "is not dominated and not on its front",
        ),
        ("INSERT INTO fronts SELECT 3, 999, 'seed'", "generation 3: seed is on its front and is dominated"),
        ("UPDATE generations SET generation = 9 WHERE generation = 2", "generation 2: it is missing"),
        (
            "INSERT INTO scores VALUES ('beef', 'validation', 0, 0, '{}', NULL, 0, 0)",
            "score of beef (validation): no individual",
        ),
    ],
)
def test_a_ledger_changed_by_hand(whole: Path, tmp_path: Path, damage: str, words: str) -> None:
    folder = tmp_path / "run"
    shutil.copytree(whole, folder)
    database = sqlite3.connect(folder / "ledger.sqlite")
    assert database.execute(damage).rowcount > 0
    database.commit()
    database.close()
    problems = check(folder)
    assert any(words in problem for problem in problems), problems


def test_no_run_there(tmp_path: Path) -> None:
    with pytest.raises(LedgerError, match="There is no run"):
        check(tmp_path)
