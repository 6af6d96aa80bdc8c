"""A scripted run in a process of its own that is killed with SIGKILL at random moments and resumed.

`python crashing.py FOLDER CHILDREN SETTINGS` is the run (settings as JSON); `campaign` drives it.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import doubles

from ge_engine import loop
from ge_engine.config import RunConfig
from ge_engine.store.history import History

HERE = Path(__file__).resolve().parent
SIZE = 20


@dataclass(frozen=True)
class Campaign:
    """`kills` that hit a living run, `sessions` in all, and the two ledgers but for times."""

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


def campaign(folder: Path, moments: int, children: int, seed: int, **changes: Any) -> Campaign:
    """Kill `moments` times, each after a random time of work, then let the run end."""
    rng = random.Random(seed)
    began = time.monotonic()
    config = settings(children, changes)
    loop.run(doubles.seed(), config, doubles.registry(), folder / "whole", lambda *_: None)
    share = (time.monotonic() - began) / moments
    kills = sessions = 0
    while kills < moments:
        sessions += 1
        kills += _killed_after(folder / "killed", children, changes, rng.uniform(0, 1.4 * share))
        if sessions > 3 * moments:
            break
    finish = _start(folder / "killed", children, changes)
    if finish.wait(timeout=120):
        raise AssertionError("the resumed run did not end well")
    with History(folder / "killed") as killed, History(folder / "whole") as whole:
        return Campaign(kills, sessions + 1, killed.content(), whole.content())


def _start(folder: Path, children: int, changes: Mapping[str, Any]) -> subprocess.Popen[bytes]:
    path = os.pathsep.join([str(HERE), os.environ.get("PYTHONPATH", "")])
    return subprocess.Popen(
        [sys.executable, __file__, str(folder), str(children), json.dumps(changes)],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": path},
    )


def _killed_after(folder: Path, children: int, changes: Mapping[str, Any], seconds: float) -> bool:
    """False when the run had ended before its time came."""
    with _start(folder, children, changes) as process:
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(seconds)
        process.kill()
        process.wait()
        return process.returncode == -signal.SIGKILL


def main() -> None:
    folder, config = Path(sys.argv[1]), settings(int(sys.argv[2]), json.loads(sys.argv[3]))
    registry = doubles.registry()
    print("ready", flush=True)
    loop.run(doubles.seed(), config, registry, folder, lambda *_: None)


if __name__ == "__main__":
    main()
