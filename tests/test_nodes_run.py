"""Faults of whole runs on other machines: they differ from those on one, or lose or repeat what they had."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from agents import Started
from test_nodes import until

from ge_engine.contracts import AgentExecutor
from ge_engine.ledger.history import History
from ge_engine.testing import ExecutorContract

HERE = Path(__file__).resolve().parent
SEED = HERE.parent / "examples" / "plain_cnn.py"
SETTINGS = {
    "--llm": "uniform",
    "--generations": 2,
    "--population": 4,
    "--epochs": 1,
    "--train-limit": 128,
    "--workers": 1,
    "--rescore-seeds": 0,
}
AGENTS = ("--plugin", "agents", "--executor", "started:2")


def started(*words: Any) -> subprocess.Popen[bytes]:
    path = os.pathsep.join([str(HERE), os.environ.get("PYTHONPATH", "")])
    command = [sys.executable, "-m", "ge_engine.cli", *map(str, words)]
    return subprocess.Popen(command, env={**os.environ, "PYTHONPATH": path}, start_new_session=True)


def evolving(folder: Path, *further: str) -> subprocess.Popen[bytes]:
    pairs = [word for pair in SETTINGS.items() for word in pair]
    return started("evolve", SEED, *pairs, "--run", folder, *further)


def scores(folder: Path) -> int:
    try:
        with sqlite3.connect(f"file:{folder / 'ledger.sqlite'}?mode=ro", uri=True) as db:
            return int(db.execute("SELECT count(*) FROM scores").fetchone()[0])
    except sqlite3.OperationalError:
        return 0


def content(folder: Path) -> Any:
    """What the run database holds but for times, and for the plugin that starts agents."""
    with History(folder) as history:
        held = history.content()
    parts = [(*versions, "", checks) for *versions, _, checks in held["parts"]]
    return {**held, "parts": parts}


def hosts(folder: Path) -> Sequence[object]:
    with History(folder) as history:
        return [getattr(one.outcome, "details", {}).get("host") for one in history.individuals()]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """What a run on this machine comes to."""
    folder = tmp_path_factory.mktemp("here") / "run"
    with evolving(folder) as run:
        assert run.wait() == 0
    assert not any(hosts(folder))
    return content(folder)


@pytest.mark.long
def test_a_run_on_other_machines_that_differs_from_one_here(tmp_path: Path, whole: Any) -> None:
    with evolving(tmp_path / "run", *AGENTS) as run:
        assert run.wait() == 0
    assert content(tmp_path / "run") == whole
    assert any(hosts(tmp_path / "run"))


@pytest.mark.long
def test_an_engine_that_is_killed_while_agents_train(tmp_path: Path, whole: Any) -> None:
    """Its agents wait for the one that resumes the run, and what they did meanwhile is not counted."""
    folder = tmp_path / "run"
    with evolving(folder, *AGENTS) as run:
        until(lambda: scores(folder) >= 3)
        run.send_signal(signal.SIGKILL)
    with started("resume", folder, *AGENTS) as again:
        assert again.wait() == 0
    assert content(folder) == whole


@pytest.mark.long
class TestStarted(ExecutorContract):
    """An executor of a third party's kind keeps what every one promises."""

    argument = "1"

    @pytest.fixture(scope="class")
    @classmethod
    def executor(cls) -> AgentExecutor:
        return Started()
