"""Faults of whole runs whose language model decodes on other machines, from the command line: they differ
from those that decode here, lose or repeat prompts, or leave agents behind."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import doubles
import pytest
from patience import PATIENT
from test_nodes import until
from test_nodes_run import content
from test_resuming import CHECKS, SCORING

HERE = Path(__file__).resolve().parent
MODEL = [*SCORING, "--plugin", "agents", "--llm", "scripted:mixed,0.2", *CHECKS]
SIZE = ["--generations", 2, "--population", 6, "--rescore-seeds", 0]


def ge(folder: Path, *words: Any) -> subprocess.Popen[str]:
    """A command in a process, in the folder that the run's lies in."""
    command = [sys.executable, "-m", "ge_engine.cli", *map(str, words)]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(HERE), os.environ.get("PYTHONPATH", "")])}
    return subprocess.Popen(command, cwd=folder.parent, env=env, stderr=subprocess.PIPE, text=True)


def ended(process: subprocess.Popen[str]) -> int:
    """The exit code of one that shows no traceback."""
    _, error = process.communicate(timeout=PATIENT)
    assert "Traceback" not in error, error
    return process.returncode


def evolving(folder: Path, executor: str) -> subprocess.Popen[str]:
    seed = folder.parent / "seed.py"
    seed.write_bytes(doubles.SEED)
    return ge(folder, "evolve", seed, "--run", folder, "--executor-llm", executor, *MODEL, *SIZE)


def replies(folder: Path) -> int:
    try:
        with sqlite3.connect(f"file:{folder / 'ledger.sqlite'}?mode=ro", uri=True) as db:
            return int(db.execute("SELECT count(*) FROM calls").fetchone()[0])
    except sqlite3.OperationalError:
        return 0


def agents(folder: Path) -> list[int]:
    """The processes that decode for a run."""
    file = str(folder / "scratch" / "llm" / "agents.json").encode()
    found = []
    for one in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = one.read_bytes().split(b"\0")
        except OSError:
            continue
        if file in words:
            found.append(int(one.parent.name))
    return found


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """What a run that decodes here comes to."""
    folder = tmp_path_factory.mktemp("here") / "run"
    assert ended(evolving(folder, "local")) == 0
    return content(folder)


@pytest.mark.long
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_an_engine_and_agents_that_end_while_prompts_are_decoded(
    number: signal.Signals, tmp_path: Path, whole: Any
) -> None:
    """The engine ends by a signal; in the run that goes on all agents are killed."""
    folder = tmp_path / "run"
    engine = evolving(folder, "started:2")
    until(lambda: replies(folder) >= 2 or engine.poll() is not None)
    engine.send_signal(number)
    assert ended(engine) == (130 if number == signal.SIGINT else -signal.SIGKILL)
    assert (number == signal.SIGKILL) == bool(agents(folder)), "they wait for the engine that resumes the run"
    before = replies(folder)
    again = ge(folder, "resume", folder, "--executor-llm", "started:1", *MODEL)
    until(lambda: replies(folder) >= before + 2 or again.poll() is not None)
    for agent in agents(folder):
        os.kill(agent, signal.SIGKILL)
    assert ended(again) == 0
    assert content(folder) == whole
    assert ended(ge(folder, "log", folder, "--check")) == 0
    until(lambda: not agents(folder))
    assert not (folder / "scratch" / "llm" / "agents.json").exists()
