"""A fork server that begins while the data is read: it is the one that serves, and none is left over."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from ge_engine.config import RunConfig, config_from_dict
from ge_engine.contracts import Dataset, Job, Task
from ge_engine.errors import ConfigError
from ge_engine.evaluation.fork_server import starting
from ge_engine.evaluation.fork_server.ahead import started_ahead
from ge_engine.evaluation.setup import machine_of
from ge_engine.evaluation.task_training import open_task_training
from ge_engine.evaluation.train_evaluation import TrainEvaluation
from ge_engine.outcome import Scored
from ge_plugins.objectives import ge_objectives
from tests.evaluation import START_METHOD, data, genome
from tests.patience import PATIENT, until
from tests.sampled import everyday

SERVER = "ge_engine.evaluation.fork_server"
NAP = ["sleep", "86397"]


def naps() -> int:
    return sum(one.info["cmdline"] == NAP for one in psutil.process_iter(["cmdline"]))


def servers() -> list[list[str]]:
    """The command lines of the fork servers below this process."""
    below = psutil.Process().children(recursive=True)
    return [line for line in (_command_line(one) for one in below) if SERVER in line]


def _command_line(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline() if process.ppid() == os.getpid() else []
    except psutil.NoSuchProcess:
        return []


class Watched(Task):
    """Keeps which fork servers there are while its data is read."""

    name = "watched"

    def __init__(self, variable: str = "", fails: bool = False, kills: bool = False) -> None:
        self.seen: list[list[str]] = []
        self._variable, self._fails, self._kills = variable, fails, kills

    def load(self, argument: str, config: RunConfig) -> Dataset:
        self.seen = servers()
        if self._variable:
            os.environ[self._variable] = "1"
        if self._kills:
            for one in psutil.Process().children():
                if SERVER in one.cmdline():
                    one.kill()
                    one.wait(PATIENT)
        if self._fails:
            raise ConfigError("There is no such folder.", "Give another.")
        return data()


@contextmanager
def training(scratch: Path, task: Watched, **settings: Any) -> Iterator[TrainEvaluation]:
    recipe: Mapping[str, Any] = {"epochs": 1, "batch_size": 32}
    config = config_from_dict({"task": task.name, "start_method": START_METHOD, **settings, "recipe": recipe})
    objectives = [one for one in ge_objectives() if one.name == "accuracy"]
    with open_task_training(genome(), config, objectives, scratch, {task.name: task}) as evaluation:
        yield evaluation


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, ...]]:
    """What each fork server that is started imports first."""
    found: list[tuple[str, ...]] = []
    command = starting.command

    def noted(descriptor: int, *imports: str) -> list[str]:
        if descriptor:
            found.append(imports)
        return command(descriptor, *imports)

    monkeypatch.setattr(starting, "command", noted)
    return found


@pytest.mark.parametrize("sandbox", everyday(["auto", "none"], "auto"))
def test_a_server_that_begins_when_the_data_is_there(
    tmp_path: Path, started: list[tuple[str, ...]], sandbox: str
) -> None:
    task = Watched()
    with training(tmp_path, task, sandbox=sandbox) as evaluation:
        assert len(task.seen) == 1
        assert len(started) == 1
        assert isinstance(evaluation.submit(Job("a", genome(), 0)).result(PATIENT), Scored)
        assert len(servers()) == 1
    assert not servers()


FIRST = """
import sys
from pathlib import Path
from ge_engine.config import RunConfig
from ge_engine.contracts import Task
from ge_engine.errors import ConfigError
from ge_engine.evaluation import devices
from ge_engine.evaluation.task_training import open_task_training
from ge_engine.genome import Seed
from ge_engine.registry import load_registry

class Told(Task):
    name = "told"
    def load(self, argument, config):
        raise ConfigError("torch" if "torch" in sys.modules else "no torch")

registry = load_registry()
assert "torch" not in sys.modules
none = devices._surely_none()
seed = Seed.from_bytes(b"import torch\\n\\nclass Net(torch.nn.Module):\\n    pass\\n").genome
try:
    with open_task_training(seed, RunConfig(task="told"), [], Path(sys.argv[1]), {"told": Told()}):
        pass
except ConfigError as error:
    assert str(error.message) == ("no torch" if none else "torch"), error.message
    print("told")
"""


def test_a_server_that_waits_until_the_engine_has_imported_torch(tmp_path: Path) -> None:
    """Where there are no device files of GPUs, of which only torch knows whether it can use them."""
    command = [sys.executable, "-c", FIRST, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENT, check=False)
    assert done.stdout == "told\n", done.stderr


def test_a_server_that_is_left_where_the_data_cannot_be_read(tmp_path: Path) -> None:
    task = Watched(fails=True)
    with pytest.raises(ConfigError, match="no such folder"), training(tmp_path, task):
        pass
    assert len(task.seen) == 1
    assert not servers()
    assert list(tmp_path.iterdir()) == []


def test_a_process_that_a_killed_sandbox_leaves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As bubblewrap does where it is killed between its fork and what follows."""
    monkeypatch.setattr(starting, "inside", lambda place, command: ["sh", "-c", f"{' '.join(NAP)} & wait"])
    with started_ahead(machine_of(genome(), config_from_dict({"sandbox": "none"}), tmp_path)):
        until(lambda: naps() == 1)
    until(lambda: naps() == 0)
    assert naps() == 0


def test_a_server_that_ends_while_the_data_is_read(tmp_path: Path, started: list[tuple[str, ...]]) -> None:
    with training(tmp_path, Watched(kills=True)) as evaluation:
        assert len(started) == 2
        assert isinstance(evaluation.submit(Job("a", genome(), 0)).result(PATIENT), Scored)
    assert not servers()


def test_a_server_that_is_not_taken_for_what_reading_the_data_imports(
    tmp_path: Path, started: list[tuple[str, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KMP_INIT_AT_FORK", "TRUE")
    monkeypatch.delenv("KMP_INIT_AT_FORK")
    with training(tmp_path, Watched("KMP_INIT_AT_FORK")):
        assert len(started) == len(servers()) == 1


def test_a_server_that_has_another_environment_than_one_that_begins_now(
    tmp_path: Path, started: list[tuple[str, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OMP_DISPLAY_AFFINITY", raising=False)
    with training(tmp_path, Watched("OMP_DISPLAY_AFFINITY")) as evaluation:
        assert len(started) == 2
        assert isinstance(evaluation.submit(Job("a", genome(), 0)).result(PATIENT), Scored)
        assert len(servers()) == 1
    monkeypatch.delenv("OMP_DISPLAY_AFFINITY")
    assert not servers()
