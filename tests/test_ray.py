"""Runs on a Ray cluster of two nodes on this machine: other figures, and nodes, agents and engines that die.

`make ray` installs Ray and runs these; the default run leaves them out.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from ge_engine.ledger.history import History

pytestmark = pytest.mark.ray

ROOT = Path(__file__).resolve().parent.parent
SEARCH = ["--llm", "uniform", "--generations", "2", "--population", "8", "--rescore-seeds", "0"]
SMALL = [*SEARCH, "--epochs", "1", "--train-limit", "256"]
SCORED = re.compile(r" g\d+s\d+ +accuracy ")
BOUND = 600.0
"""Seconds after which something has hung."""


class Nodes:
    """A cluster whose head takes no agents, and nodes with one CPU each. All that it starts has its temporary
    folders in `folder`."""

    def __init__(self, folder: Path) -> None:
        from ray.cluster_utils import Cluster

        head = {"num_cpus": 0, "include_dashboard": False}
        self.folder = folder
        self._cluster = Cluster(initialize_head=True, head_node_args=head)
        self._nodes: list[Any] = []
        self.address = self._cluster.address

    def grow_to(self, count: int, **variables: str) -> None:
        while len(self._nodes) < count:
            self._nodes.append(self._cluster.add_node(num_cpus=1, env_vars=variables))

    def lose_one(self) -> None:
        self._cluster.remove_node(self._nodes.pop(), allow_graceful=False)

    def agents(self) -> list[int]:
        """The processes of all agents."""
        found = []
        for place in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                words = place.read_bytes().decode("utf-8", "replace").split("\0")
            except OSError:
                continue
            if any(word.startswith(f"{self.folder}/ge-agent-of-") for word in words):
                found.append(int(place.parent.name))
        return found

    def left(self) -> list[str]:
        return [*map(str, self.agents()), *(one.name for one in self.folder.glob("ge-agent-*"))]

    def close(self) -> None:
        self._cluster.shutdown()


@pytest.fixture(scope="module")
def started() -> Iterator[Nodes]:
    folder = Path(tempfile.mkdtemp(prefix="ray-"))  # the names of sockets may have about 100 characters
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_TMPDIR", str(folder))
        patch.setenv("TMPDIR", str(folder))
        patch.setenv("RAY_worker_niceness", "0")  # else agents starve where the machine has other work
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        nodes = Nodes(folder)
        yield nodes
        nodes.close()
    shutil.rmtree(folder)


@pytest.fixture
def nodes(started: Nodes) -> Iterator[Nodes]:
    """A cluster with two nodes, on which each test leaves nothing."""
    started.grow_to(2)
    yield started
    until(lambda: not started.left())


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Any]:
    """What the run database holds when all is trained in processes of this machine."""
    run = tmp_path_factory.mktemp("here") / "run"
    ended = Command("evolve", "examples/plain_cnn.py", *SMALL, "--run", run).end()
    assert ended[0] == 0, ended[1]
    return content(run)


def content(run: Path) -> Mapping[str, Any]:
    with History(run) as history:
        return history.content()


def until(met: Callable[[], object]) -> None:
    end = time.monotonic() + BOUND
    while not met():
        assert time.monotonic() < end
        time.sleep(0.05)


class Command:
    """`ge` as a process, what it prints line by line."""

    def __init__(self, *words: object) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-m", "ge_engine.cli", *map(str, words)],
            cwd=ROOT,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.told: list[str] = []

    def until_scored(self) -> None:
        """Wait for the first score of a child."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.told.append(line)
            if SCORED.search(line):
                return
        pytest.fail("".join(self.told))

    def end(self) -> tuple[int, str]:
        rest, _ = self.process.communicate(timeout=BOUND)
        text = "".join(self.told) + rest
        assert "Traceback" not in text, text
        assert "Warning:" not in text, text
        return self.process.returncode, text


def evolve(nodes: Nodes, run: Path, agents: int = 2) -> Command:
    chosen = ["--executor", f"ray:{nodes.address},agents={agents}"]
    return Command("evolve", "examples/plain_cnn.py", *SMALL, *chosen, "--run", run)


def require_equal(ended: tuple[int, str], run: Path, here: Mapping[str, Any]) -> None:
    """The run has come to its end, told each child's score once, and holds what one on this machine holds."""
    code, text = ended
    assert code == 0, text
    children = [line.split()[1] for line in text.splitlines() if SCORED.search(line)]
    assert len(children) == len(set(children)) == 16
    found = content(run)
    assert {name: found[name] for name in here if found[name] != here[name]} == {}


def test_a_cluster_that_is_started_unasked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first of all: while there is a cluster, Ray finds it by its processes."""
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path))
    words = ["evolve", "examples/plain_cnn.py", *SMALL, "--executor", "ray", "--run", tmp_path / "run"]
    code, text = Command(*words).end()
    assert code == 2
    assert "No Ray cluster running here can be used" in text
    assert "ray start --head" in text


def test_figures_that_differ_on_a_cluster(nodes: Nodes, here: Mapping[str, Any], tmp_path: Path) -> None:
    require_equal(evolve(nodes, tmp_path / "run").end(), tmp_path / "run", here)


def test_a_node_that_takes_its_jobs_with_it(nodes: Nodes, here: Mapping[str, Any], tmp_path: Path) -> None:
    command = evolve(nodes, tmp_path / "run")
    command.until_scored()
    nodes.lose_one()
    require_equal(command.end(), tmp_path / "run", here)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
def test_an_agent_that_is_waited_for_in_vain(
    nodes: Nodes, here: Mapping[str, Any], tmp_path: Path, number: signal.Signals
) -> None:
    command = evolve(nodes, tmp_path / "run")
    command.until_scored()
    os.kill(nodes.agents()[0], number)
    require_equal(command.end(), tmp_path / "run", here)


def test_an_engine_whose_agents_outlive_it(nodes: Nodes, here: Mapping[str, Any], tmp_path: Path) -> None:
    command = evolve(nodes, tmp_path / "run")
    command.until_scored()
    command.process.kill()
    command.end()
    until(lambda: not nodes.left())
    told = "".join(command.told)
    again = ["--llm", "uniform", "--executor", f"ray:{nodes.address},agents=2"]
    code, text = Command("resume", tmp_path / "run", *again).end()
    require_equal((code, told + text), tmp_path / "run", here)


def test_an_interrupt_that_ray_takes_from_the_engine(nodes: Nodes, tmp_path: Path) -> None:
    command = evolve(nodes, tmp_path / "run")
    command.until_scored()
    command.process.send_signal(signal.SIGINT)
    _, text = command.end()
    assert "interrupted by SIGINT" in text
    with History(tmp_path / "run") as history:
        assert history.stopped_because == "interrupted by SIGINT"


def test_a_doctor_that_leaves_agents_or_misses_a_node(nodes: Nodes, tmp_path: Path) -> None:
    words = ["doctor", "--executor", f"ray:{nodes.address},agents=2", "--folder", tmp_path]
    code, text = Command(*words, "--timeout", BOUND).end()
    assert code == 0, text
    assert re.search(r"^ok +machine +\S+, 2 agents$", text, re.MULTILINE), text
    assert list(tmp_path.iterdir()) == []


def test_a_node_of_another_version_that_is_not_named(started: Nodes, tmp_path: Path) -> None:
    """The node's Python finds a torch that says it is of another version."""
    other = tmp_path / "other" / "torch-0.0.1.dist-info"
    other.mkdir(parents=True)
    (other / "METADATA").write_text("Metadata-Version: 2.1\nName: torch\nVersion: 0.0.1\n")
    while started._nodes:
        started.lose_one()
    started.grow_to(1, PYTHONPATH=str(other.parent))
    code, text = evolve(started, tmp_path / "run", agents=1).end()
    started.lose_one()
    assert code == 2
    assert re.search(r"This machine has torch 0\.0\.1 \(the engine: [\d.]+[^)]*\)\.", text), text
    until(lambda: not started.left())
