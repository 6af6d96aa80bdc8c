"""A run that is killed anywhere ends as the one that was not."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import crashing
import pytest
from doubles import STUCK

from tests.patience import PATIENT
from tests.sampled import everyday


@pytest.mark.parametrize("moments", everyday([5, 10], 5))
def test_a_killed_run_that_ends_differently(moments: int, tmp_path: Path) -> None:
    children = 20 * moments
    result = crashing.campaign(tmp_path, moments=moments, children=children, seed=1)
    assert result.kills == moments
    assert len(result.whole["individuals"]) == 1 + children
    for table, rows in result.whole.items():
        assert result.killed[table] == rows, table


@pytest.mark.long
def test_a_killed_training_in_stages_that_ends_differently(tmp_path: Path) -> None:
    stages = {"halving": True, "rescore_seeds": 2, "recipe": {"epochs": 4}}
    result = crashing.campaign(tmp_path, moments=6, children=80, seed=2, **stages)
    assert result.kills == 6
    assert any(epochs for _, _, _, epochs, *_ in result.whole["scores"])
    for table, rows in result.whole.items():
        assert result.killed[table] == rows, table


def start(folder: Path, *arguments: str) -> subprocess.Popen[bytes]:
    script = Path(__file__).with_name("interrupted.py")
    path = os.pathsep.join([str(script.parent), os.environ.get("PYTHONPATH", "")])
    return subprocess.Popen(
        [sys.executable, str(script), str(folder), *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": path},
    )


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGUSR1])
def test_a_first_interrupt_that_loses_what_is_in_flight(tmp_path: Path, number: signal.Signals) -> None:
    with start(tmp_path / "run") as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.send_signal(number)
        output, errors = process.communicate(timeout=PATIENT)
    assert process.returncode == 0, errors
    assert output.decode().strip() == f"interrupted by {number.name}"
    database = sqlite3.connect(tmp_path / "run" / "ledger.sqlite")
    calls = database.execute("SELECT count(*) FROM calls WHERE generation = 0").fetchone()[0]
    assert calls == 8
    assert database.execute("SELECT count(*) FROM scores WHERE split = 'test'").fetchone()[0] == 0


def test_a_second_interrupt_that_still_waits(tmp_path: Path) -> None:
    with start(tmp_path / "run", "slow") as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.send_signal(signal.SIGINT)
        process.stdout.readline()
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=STUCK / 2)
    assert process.returncode != 0
