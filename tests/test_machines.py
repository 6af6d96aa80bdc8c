"""Faults of `ge doctor --executor`: machines that cannot serve and are said to, and agents that are left."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from agents import Started
from conftest import Ge
from patience import PATIENT
from typer.testing import CliRunner

from ge_engine import api, blaming
from ge_engine.agents.address import read_address
from ge_engine.agents.wire import LOST, Connection, introduce
from ge_engine.cli.app import app
from ge_engine.contracts import AgentExecutor, AgentOrder, AgentPool, PoolState
from ge_engine.errors import ConfigError, GeError, PluginError
from ge_engine.evaluation.nodes.machine import Machine, machine_here, required_files
from ge_engine.evaluation.nodes.remote_session import versions
from ge_engine.evaluation.nodes.survey import Asked, Survey, survey_from
from ge_engine.seed_files import load_seed

FAR = Machine("far", "odd", 4, (), 4, "python", {"torch": "2.0"}, "bwrap", "/cache", 2**30, 0, ())


class Pool(AgentPool):
    """Agents are played: `begin` is called when the pool is first kept, `stands` says how they stand."""

    def __init__(self, begin: Callable[[Path], object], stands: Sequence[PoolState]) -> None:
        self.begin, self.stands, self.closed = begin, list(stands), 0
        self.file = Path()

    def keep(self, avoid: Sequence[str]) -> PoolState:
        state = self.stands.pop(0) if len(self.stands) > 1 else self.stands[0]
        begin, self.begin = self.begin, str
        begin(self.file)
        return state

    def close(self) -> None:
        self.closed += 1


class Played(AgentExecutor):
    name = "played"

    def __init__(self, pool: Pool) -> None:
        self.pool = pool

    def host(self, argument: str) -> str:
        return "127.0.0.1"

    def open(self, argument: str, order: AgentOrder) -> AgentPool:
        self.pool.file = Path(order.command[-1])
        return self.pool


def nobody(file: Path) -> None:
    """No agent comes."""


def telling(*machines: Mapping[str, Any]) -> Callable[[Path], None]:
    """Agents that come and tell these machines, and answer until they are dismissed."""

    async def serve(file: Path, number: int, machine: Mapping[str, Any]) -> None:
        address = read_address(file)
        connection = Connection(*await asyncio.open_connection(address.host, address.port))
        try:
            await introduce(connection, bytes.fromhex(address.token))
            await connection.send("hello", {"agent": str(number), "host": "far", "processor": "odd"})
            assert (await connection.receive())[0]["kind"] == "inspect"
            await connection.send("machine", machine)
            while (message := (await connection.receive())[0])["kind"] != "bye":
                if message["kind"] == "ping":
                    await connection.send("pong")
        except LOST:
            pass  # as one that tells no machine is treated

    def begin(file: Path) -> None:
        for number, machine in enumerate(machines):
            work = serve(file, number, machine)
            threading.Thread(target=asyncio.run, args=[work], daemon=True).start()

    return begin


def asked(folder: Path, pool: Pool, agents: int = 0, seconds: float = PATIENT) -> Survey:
    wanted = Asked({}, {}, agents, seconds)
    return survey_from(Played(pool), "", wanted, folder, str)


def test_agents_whose_machine_is_told_otherwise_or_that_are_left(tmp_path: Path) -> None:
    """Real ones, as processes; they come to the same machine."""
    started = Started()
    found = survey_from(started, "2", Asked(versions(), {}, 0, PATIENT), tmp_path, str)
    (one,) = found.machines
    assert (one.host, one.agents, one.faults) == (socket.gethostname(), 2, ())
    here = machine_here(versions(), {}, 0)
    for name in ("processor", "cores", "devices", "trainings", "python", "versions", "sandbox", "cache"):
        assert getattr(one, name) == getattr(here, name), name
    assert one.round_trip > 0
    assert found.faults == ()
    assert all(agent.poll() is not None for agent in started.pools[0].agents)
    assert list(tmp_path.iterdir()) == []


def test_a_machine_of_two_agents_one_of_which_has_a_fault(tmp_path: Path) -> None:
    second = {**asdict(FAR), "faults": ["This machine has torch 0.0."]}
    pool = Pool(telling(asdict(FAR), second), [PoolState(2, 2)])
    found = asked(tmp_path, pool)
    assert [(one.host, one.agents) for one in found.machines] == [("far", 2)]
    assert found.faults == ("far cannot serve: This machine has torch 0.0.",)
    assert pool.closed == 1


@pytest.mark.long
def test_agents_that_are_wanted_and_not_all_there(tmp_path: Path) -> None:
    pool = Pool(telling(asdict(FAR)), [PoolState(2, 2, "1 of 2 agents run, 1 wait (Resources)")])
    found = asked(tmp_path, pool, seconds=5.0)
    assert len(found.machines) == 1
    (fault,) = found.faults
    assert fault.startswith("Of 2 agents 1 came in ")
    assert fault.endswith(" s: 1 of 2 agents run, 1 wait (Resources)")


def test_agents_by_hand_that_are_asked_for_and_waited_for_without_need(tmp_path: Path) -> None:
    """The pool expects none; two were asked for, and two come."""
    found = asked(tmp_path, Pool(telling(asdict(FAR), asdict(FAR)), [PoolState(0, 0)]), agents=2)
    assert (found.machines[0].agents, found.faults) == (2, ())


def test_agents_that_end_one_after_another_and_are_waited_for(tmp_path: Path) -> None:
    stands = [PoolState(number, 1, "job 7 ended: no such file") for number in range(1, 6)]
    found = asked(tmp_path, Pool(nobody, stands))
    (fault,) = found.faults
    assert fault.startswith("No agent came in ")
    assert fault.endswith("job 7 ended: no such file")


@pytest.mark.long
def test_an_agent_that_tells_no_machine_and_counts_as_one(tmp_path: Path) -> None:
    odd = {**asdict(FAR), "cores": "many"}
    came = telling(odd, {"cores": 1}, asdict(FAR))
    found = asked(tmp_path, Pool(came, [PoolState(3, 3)]), seconds=5.0)
    assert [one.agents for one in found.machines] == [1]
    (fault,) = found.faults
    assert fault.startswith("Of 3 agents 1 came in ")


class Refusing(Pool):
    def keep(self, avoid: Sequence[str]) -> PoolState:
        raise self.error

    error: GeError = GeError("SLURM takes no agent: no such partition.", "Go on with ge resume.")


def test_a_cluster_that_takes_no_agents_and_a_fault_of_a_plugin(tmp_path: Path) -> None:
    pool = Refusing(nobody, ())
    assert asked(tmp_path, pool).faults == ("SLURM takes no agent: no such partition.",)
    pool.error = PluginError("'played' failed.")
    with pytest.raises(PluginError):
        asked(tmp_path, pool)
    assert pool.closed == 2


def test_machines_asked_where_a_loop_runs_already(tmp_path: Path) -> None:
    """As in a notebook."""

    async def within() -> Survey:
        return asked(tmp_path, Pool(telling(asdict(FAR)), [PoolState(1, 1)]))

    assert [one.host for one in asyncio.run(within()).machines] == ["far"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_agents_that_a_signal_leaves(number: signal.Signals, tmp_path: Path) -> None:
    """Also where the tests run in the background, which ignores SIGINT."""
    pool = Pool(lambda _: os.kill(os.getpid(), number), [PoolState(1, 1)])
    usual = signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL
    before = signal.signal(number, usual)
    try:
        with pytest.raises(KeyboardInterrupt):
            asked(tmp_path, pool)
        assert signal.getsignal(number) == usual
    finally:
        signal.signal(number, before)
    assert pool.closed == 1
    assert list(tmp_path.iterdir()) == []


def test_other_versions_and_files_that_are_not_told_as_in_a_run(tmp_path: Path) -> None:
    (tmp_path / "beside.py").write_text("WIDTH = 8\n")
    source = (Path(__file__).parent.parent / "examples" / "plain_cnn.py").read_text()
    (tmp_path / "model.py").write_text(source.replace("import torch", "import beside\nimport torch", 1))
    files = required_files(load_seed(tmp_path / "model.py").genome)
    assert list(files) == [str(tmp_path / "beside.py")]
    assert machine_here(versions(), files, 3).faults == ()
    assert machine_here(versions(), files, 3).trainings == 3
    (tmp_path / "beside.py").write_text("WIDTH = 9\n")
    first, second = machine_here({"torch": "0.0"}, files, 0).faults
    assert first.startswith("This machine has torch ")
    assert "(the engine: 0.0)" in first
    assert second.startswith(f"{tmp_path / 'beside.py'}, which the seed model imports, is not the same here.")


def test_a_machine_without_a_cache_that_serves(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("GE_CACHE", str(tmp_path / "file" / "cache"))
    (fault,) = machine_here({}, {}, 1).faults
    assert "cannot be made" in fault


@pytest.mark.parametrize("words", [["model.py"], ["--agents", "2"], ["--timeout", "9"], ["--folder", "runs"]])
def test_what_machines_are_asked_for_where_none_is(words: list[str], ge: Ge) -> None:
    code, _, err = ge("doctor", *words)
    assert code == 2
    assert "Give --executor too." in err


def test_the_command_that_hides_faults(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pool = Pool(telling({**asdict(FAR), "faults": ["Its disk is full."]}), [PoolState(1, 1, "1 agent runs")])
    monkeypatch.setattr(blaming, "blamed_executor", lambda *_: Played(pool))
    words = ["doctor", "--executor", "nodes", "--folder", str(tmp_path)]
    done = CliRunner().invoke(app, words, env={"COLUMNS": "300"})
    assert done.exit_code == 2
    for part in ("missing machine       far", "odd, 4 cores", "far cannot serve: Its disk is full."):
        assert part in done.output
    pool.begin = telling(asdict(FAR))
    done = CliRunner().invoke(app, [*words, "--json"])
    assert done.exit_code == 0
    told = json.loads(done.stdout)
    assert told["machines"][0]["host"] == "far"
    assert told["faults"] == []


def test_a_folder_that_cannot_be_written_and_a_local_executor(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="Nothing can be written"):
        asked(tmp_path / "none", Pool(nobody, [PoolState(1, 1)]))
    found = api.machines("local")
    assert [one.host for one in found.machines] == [socket.gethostname()]
    with pytest.raises(ConfigError, match="There is no executor"):
        api.machines("nowhere")
