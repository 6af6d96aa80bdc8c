"""Faults of `--executor ray` that show without Ray: arguments read otherwise than they were meant, and what a
node's guard of an agent leaves behind. `tests/test_ray.py` has a cluster."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from conftest import Ge
from patience import until

from ge_engine.contracts import AgentOrder
from ge_engine.errors import ConfigError
from ge_plugins import ray_guard
from ge_plugins.ray_cluster import Asked, Ray, read, way_to

GUARD = Path(ray_guard.__file__).read_text("utf-8")


@pytest.mark.parametrize(
    ("argument", "asked"),
    [
        ("", Asked()),
        ("auto", Asked()),
        ("agents=3", Asked(agents=3)),
        (",agents=3", Asked(agents=3)),
        ("10.0.0.7:6379", Asked("10.0.0.7:6379")),
        ("ray://head:10001,cpus=4,gpus=0", Asked("ray://head:10001", cpus=4, gpus=0)),
        ("head:6379,host=10.0.0.8,gpus=2,agents=5,cpus=16", Asked("head:6379", 5, 16, 2, "10.0.0.8")),
    ],
)
def test_an_argument_that_is_read_as_another(argument: str, asked: Asked) -> None:
    assert read(argument) == asked


@pytest.mark.parametrize(
    ("argument", "named"),
    [
        ("agents=0", "'0'"),
        ("cpus=0.5", "'0.5'"),
        ("gpus=-1", "'-1'"),
        ("agents=2,agents=3", "'agents=3'"),
        ("head:6379,agent=2", "'agent=2'"),
        ("head:6379,agents", "'agents'"),
        ("host=", "'host='"),
        ("agents=²", "'²'"),
    ],
)
def test_an_argument_that_means_nothing_and_is_taken(argument: str, named: str) -> None:
    with pytest.raises(ConfigError, match="executor ray") as told:
        read(argument)
    assert named in told.value.message
    assert "--executor ray:" in told.value.hint


def test_agents_too_small_for_a_training() -> None:
    order = AgentOrder(("python", "agents.json"), Path("."), cores=4, gpus=1, seconds=60.0)
    with pytest.raises(ConfigError, match="get 2 CPUs, and one training takes 4"):
        Ray().open("cpus=2", order)


def test_a_cluster_that_is_waited_for_where_nothing_listens() -> None:
    order = AgentOrder(("python", "agents.json"), Path("."), cores=1, gpus=1, seconds=60.0)
    with pytest.raises(ConfigError, match=r"No Ray cluster at 127\.0\.0\.1:1 can be used") as told:
        Ray().open("127.0.0.1:1", order)
    assert "ray start --head" in told.value.hint


def test_a_package_that_is_missed_only_when_the_run_has_begun(
    ge: Ge, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    code, _, error = ge("evolve", "examples/plain_cnn.py", "--executor", "ray", "--run", tmp_path / "run")
    assert code == 2
    assert "needs the package ray" in error
    assert "ge-engine[ray]" in error
    assert not (tmp_path / "run").exists()


def test_an_address_at_which_no_other_machine_finds_the_engine() -> None:
    assert Ray().host("127.0.0.1:6379,host=head.example") == "head.example"
    assert way_to("127.0.0.1:6379")
    assert way_to("no such name:1") == way_to("auto")


# --- the guard ------------------------------------------------------------------------------------


def guarded(folder: Path, code: str) -> subprocess.Popen[bytes]:
    """A guard whose agent runs `code`, with the address file and an option as its arguments."""
    process = subprocess.Popen(
        [sys.executable, "-I", "-c", GUARD],
        env={**os.environ, "TMPDIR": str(folder)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    order = {"address": "the address", "command": ["-c", code], "options": ["--name", "one"]}
    assert process.stdin is not None
    process.stdin.write(json.dumps(order).encode() + b"\n")
    process.stdin.flush()
    return process


def answer_of(process: subprocess.Popen[bytes]) -> Any:
    assert process.stdout is not None
    told = process.stdout.read()
    process.communicate()
    return json.loads(told)


def test_why_an_agent_ended_that_nobody_learns(tmp_path: Path) -> None:
    code = "import sys; print('first'); print('a reason', *sys.argv[2:]); sys.exit(3)"
    assert answer_of(guarded(tmp_path, code)) == [3, "a reason --name one"]
    assert not list(tmp_path.iterdir())


def test_an_address_that_others_read(tmp_path: Path) -> None:
    code = "import os, sys; f = sys.argv[1]; print(open(f).read(), oct(os.stat(f).st_mode & 0o777))"
    assert answer_of(guarded(tmp_path, code)) == [0, "the address 0o600"]


def test_an_agent_that_outlives_who_ordered_it(tmp_path: Path) -> None:
    code = "import os, time; print(os.getpid(), flush=True); time.sleep(3600)"
    process = guarded(tmp_path, code)
    until(lambda: any(log.read_text().strip() for log in tmp_path.glob("*/log")))
    agent = int(next(tmp_path.glob("*/log")).read_text())
    assert process.stdin is not None
    process.stdin.close()
    status, _ = json.loads(process.stdout.read())  # type: ignore[union-attr]
    process.wait()
    assert status == -15
    with pytest.raises(ProcessLookupError):
        os.kill(agent, 0)
    assert not list(tmp_path.iterdir())
