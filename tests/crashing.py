"""A scripted run in a process of its own that is killed with SIGKILL at drawn statements, and resumed.

`python crashing.py FOLDER CHILDREN SETTINGS [ROWS FURTHER]` is the run (settings as JSON); `campaign` drives
it. Where it is killed depends on what is in its database, and not on how quick the machine is.
"""

from __future__ import annotations

import json
import os
import random
import re
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import doubles

from ge_engine import loop
from ge_engine.config import RunConfig
from ge_engine.ledger.history import History
from tests.patience import PATIENT

HERE = Path(__file__).resolve().parent
SIZE = 20
FURTHER = 40
CONNECT = sqlite3.connect
NEW = re.compile(r"INSERT .*INTO (calls|probes|scores)\b")
"""Rows that no session writes again once they are there."""


@dataclass(frozen=True)
class Campaign:
    """`kills` that hit a living run, `sessions` in all, and the two run databases but for times."""

    kills: int
    sessions: int
    killed: Mapping[str, Any]
    whole: Mapping[str, Any]


def settings(children: int, changes: Mapping[str, Any]) -> RunConfig:
    return doubles.config(
        **{
            "llm": "scripted:mixed,0.0005",
            "evaluator": "threaded",
            "workers": 2,
            "generations": -(-children // SIZE),
            "population": SIZE,
            "elites": SIZE,
            "repairs": 1,
            **changes,
        }
    )


class Fuse:
    """Counts the statements that a process gives to SQLite, and kills it with SIGKILL before one of them:
    after `rows` replies, probes and scores and then `further` statements of any kind."""

    def __init__(self, rows: int = sys.maxsize, further: int = 0) -> None:
        self.rows = 0
        self._left = [rows, further]

    def connect(self, *arguments: Any, **settings: Any) -> sqlite3.Connection:
        database: sqlite3.Connection = CONNECT(*arguments, **settings)
        database.set_trace_callback(self._count)
        return database

    def _count(self, statement: str) -> None:
        new = NEW.match(statement) is not None
        self.rows += new
        if self._left[0] > 0:
            self._left[0] -= new
        elif self._left[1] > 0:
            self._left[1] -= 1
        else:
            os.kill(os.getpid(), signal.SIGKILL)


def campaign(folder: Path, moments: int, children: int, seed: int, **changes: Any) -> Campaign:
    """Kill `moments` times, each at a statement that is drawn, then let the run end."""
    rng, fuse = random.Random(seed), Fuse()
    config = settings(children, changes)
    with mock.patch.object(sqlite3, "connect", fuse.connect):
        loop.run(doubles.seed(), config, doubles.registry(), folder / "whole", lambda *_: None)
    share = fuse.rows // moments
    kills = sessions = 0
    while kills < moments and sessions < 3 * moments:
        sessions += 1
        drawn = rng.randrange(1, max(2, share - FURTHER // 4)), rng.randrange(FURTHER)
        with _start(folder / "killed", children, changes, *drawn) as process:
            process.wait()
        kills += process.returncode == -signal.SIGKILL
    with _start(folder / "killed", children, changes) as finish:
        if finish.wait(PATIENT):
            raise AssertionError("the resumed run did not end well")
    with History(folder / "killed") as killed, History(folder / "whole") as whole:
        return Campaign(kills, sessions + 1, killed.content(), whole.content())


def _start(folder: Path, children: int, changes: Mapping[str, Any], *fuse: int) -> subprocess.Popen[bytes]:
    path = os.pathsep.join([str(HERE), str(HERE.parent), os.environ.get("PYTHONPATH", "")])
    return subprocess.Popen(
        [sys.executable, __file__, str(folder), str(children), json.dumps(changes), *map(str, fuse)],
        env={**os.environ, "PYTHONPATH": path},
    )


def main() -> None:
    folder, config = Path(sys.argv[1]), settings(int(sys.argv[2]), json.loads(sys.argv[3]))
    with mock.patch.object(sqlite3, "connect", Fuse(*map(int, sys.argv[4:])).connect):
        loop.run(doubles.seed(), config, doubles.registry(), folder, lambda *_: None)


if __name__ == "__main__":
    main()
