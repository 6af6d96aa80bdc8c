"""Faults of trainings on other machines: figures that differ, jobs that are lost or scored twice, machines
that should not serve, and data that goes where it should not."""

from __future__ import annotations

import asyncio
import hashlib
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from agents import Started, StartedPool
from evaluation import START_METHOD, data, genome, outcome_of, shop
from patience import PATIENT

from ge_engine.config import config_from_dict
from ge_engine.contracts import AgentOrder, AgentPool, Executor, Job, PoolState
from ge_engine.errors import GeError
from ge_engine.evaluation.nodes import opening
from ge_engine.evaluation.nodes.address import listening_on, read_address
from ge_engine.evaluation.nodes.head import NodesExecutor
from ge_engine.evaluation.nodes.leases import FAULTS
from ge_engine.evaluation.nodes.opening import ADDRESS, jobs_on
from ge_engine.evaluation.nodes.wire import Connection, introduce
from ge_engine.evaluation.protocol.messages import JobSpec
from ge_engine.evaluation.setup import set_up
from ge_engine.evaluation.train_evaluation import TrainEvaluation
from ge_engine.genome import Genome
from ge_engine.outcome import Failed, Outcome, Scored

SLOW = genome(top="import time", forward="time.sleep(0.3 if training else 0)")


@contextmanager
def on_agents(folder: Path, executor: Executor, count: int = 1, **settings: Any) -> Iterator[TrainEvaluation]:
    """An open evaluation whose jobs run in agents, one training at once in each."""
    given = {"workers": 1, "timeout": 60.0, **settings}
    config = config_from_dict({"executor": f"{executor.name}:{count}", "start_method": START_METHOD, **given})
    folder.mkdir(exist_ok=True)
    with shop(folder, executor=jobs_on(executor, genome(), config, folder, ()), **given) as evaluation:
        yield evaluation


def here(folder: Path, one: Genome) -> Outcome:
    folder.mkdir()
    with shop(folder, timeout=60.0) as evaluation:
        return outcome_of(evaluation, one)


def figures(outcome: Outcome) -> dict[str, float]:
    assert isinstance(outcome, Scored), outcome
    return dict(outcome.objectives)


def until(met: Callable[[], object]) -> None:
    """Wait for what another process or thread does."""
    end = time.monotonic() + PATIENT
    while not met():
        assert time.monotonic() < end
        time.sleep(0.02)


def busy(evaluation: TrainEvaluation, pool: StartedPool) -> Any:
    """The process of an agent that trains, once there is one."""
    assert isinstance(evaluation.executor, NodesExecutor)
    agents = evaluation.executor._leases._agents

    def training() -> list[str]:
        held = [(name, job.spec.kind) for name, one in list(agents.items()) for job in one.leases.values()]
        return [name for name, kind in held if kind == "train"]

    until(training)
    return pool.agents[int(training()[0].partition("-")[0])]


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TrainEvaluation]:
    with on_agents(tmp_path_factory.mktemp("two"), Started(), 2) as evaluation:
        yield evaluation


@pytest.fixture(scope="module")
def slow_here(tmp_path_factory: pytest.TempPathFactory) -> dict[str, float]:
    return figures(here(tmp_path_factory.mktemp("slow") / "here", SLOW))


def test_figures_that_differ_on_another_machine(two: TrainEvaluation, tmp_path: Path) -> None:
    there = outcome_of(two, genome())
    assert figures(there) == figures(here(tmp_path / "here", genome()))
    assert isinstance(there, Scored)
    assert there.details["host"] == socket.gethostname()
    assert there.details["processor"]


def test_a_training_in_stages_that_begins_anew_on_each_machine(two: TrainEvaluation, tmp_path: Path) -> None:
    """What it goes on from lies with the engine, and goes to whichever machine has the next stage."""
    sent: list[int] = []
    original = Connection.send

    async def send(self: Connection, kind: str, content: Any = None, *blobs: bytes) -> None:
        sent.extend(len(blob) for blob in blobs if kind == "job" and blob)
        await original(self, kind, content, *blobs)

    one = genome(top="staged = 1")
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Connection, "send", send)
        first = two.submit(Job("x", one, 0, epochs=1)).result(PATIENT)
        last = two.submit(Job("x", one, 0, epochs=2)).result(PATIENT)
    assert len(sent) == 1
    with shop(tmp_path, timeout=60.0) as evaluation:
        assert figures(first) == figures(evaluation.submit(Job("y", one, 0, epochs=1)).result(PATIENT))
        assert figures(last) == figures(outcome_of(evaluation, one))


def test_a_candidates_own_fault_that_is_blamed_on_its_machine(two: TrainEvaluation) -> None:
    outcome = outcome_of(two, genome(forward="raise ValueError('mine') if training else None"))
    assert isinstance(outcome, Failed)
    assert (outcome.fault, outcome.kind) == ("candidate", "error")


def test_a_candidate_that_reads_the_runs_token(two: TrainEvaluation) -> None:
    assert isinstance(two.executor, NodesExecutor)
    file = two.executor._listening.file
    assert read_address(file).token
    outcome = outcome_of(two, genome(forward=f"open({str(file)!r}).read()"))
    assert isinstance(outcome, Failed)
    assert any(name in outcome.reason for name in ("PermissionError", "FileNotFoundError")), outcome.reason


def test_labels_that_are_scored_on_and_leave_the_engine(two: TrainEvaluation) -> None:
    assert isinstance(two.executor, NodesExecutor)
    held_out = [getattr(data(), name).labels.numpy() for name in ("validation", "test")]
    digests = {hashlib.sha256(labels.tobytes()).hexdigest() for labels in held_out}
    assert not digests & set(two.executor._remote.arrays)
    assert len(two.executor._remote.arrays) == 4


@pytest.mark.parametrize(
    "number",
    [
        signal.SIGKILL,
        pytest.param(signal.SIGTERM, marks=pytest.mark.long),
        pytest.param(signal.SIGSTOP, marks=pytest.mark.long),
    ],
)
def test_a_job_that_is_lost_with_its_agent(
    number: signal.Signals, tmp_path: Path, slow_here: dict[str, float]
) -> None:
    started = Started()
    with on_agents(tmp_path / "there", started, 2) as evaluation:
        (pool,) = started.pools
        scored = evaluation.submit(Job("x", SLOW, 0))
        lost = busy(evaluation, pool)
        lost.send_signal(number)
        assert figures(scored.result(PATIENT)) == slow_here
        if number == signal.SIGSTOP:  # what it had by then comes too late
            lost.send_signal(signal.SIGCONT)
            assert figures(outcome_of(evaluation, genome(), "y"))
    assert all(agent.poll() is not None for agent in pool.agents)


@pytest.mark.long
def test_an_agent_that_is_to_leave_and_drops_what_it_does(
    tmp_path: Path, slow_here: dict[str, float]
) -> None:
    started = Started()
    with on_agents(tmp_path / "there", started) as evaluation:
        (pool,) = started.pools
        scored = evaluation.submit(Job("x", SLOW, 0))
        leaving = busy(evaluation, pool)
        leaving.send_signal(signal.SIGUSR1)
        assert figures(scored.result(PATIENT)) == slow_here
        assert leaving.wait(PATIENT) == 0
        assert figures(outcome_of(evaluation, genome(), "y"))
    assert len(pool.agents) == 2


def test_arrays_that_are_sent_again_to_a_machine_that_has_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    original = NodesExecutor._hear

    async def hear(self: NodesExecutor, *said: Any) -> None:
        asked.extend(message["kind"] for message in said if isinstance(message, dict))
        await original(self, *said)

    monkeypatch.setattr(NodesExecutor, "_hear", hear)
    for number in range(2):
        with on_agents(tmp_path / str(number), Started(tmp_path / "cache")):
            pass
    assert asked.count("wanted") == 1
    assert asked.count("ready") == 2


@pytest.mark.long
def test_a_machine_with_other_versions_that_serves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opening, "versions", lambda: {"torch": "0.0"})
    said = r"This machine has torch \S+ \(the engine: 0\.0\)"
    with pytest.raises(GeError, match=said), on_agents(tmp_path / "there", Started()):
        pass


class ByTest(Executor):
    """Agents are played by the test."""

    name = "by test"

    def host(self, argument: str) -> str:
        return "127.0.0.1"

    def open(self, argument: str, order: AgentOrder) -> AgentPool:
        return NoPool()


class NoPool(AgentPool):
    def keep(self, avoid: Sequence[str]) -> PoolState:
        return PoolState(0, 0)

    def close(self) -> None:
        pass


async def play(file: Path, answer: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    """An agent whose jobs end as `answer` says, until it is dismissed."""
    address = read_address(file)
    connection = Connection(*await asyncio.open_connection(address.host, address.port))
    await introduce(connection, bytes.fromhex(address.token))
    await connection.send("hello", {"agent": "played", "host": "far", "processor": "odd"})
    await connection.receive()
    await connection.send("ready", {"slots": 1})
    while True:
        message, _ = await connection.receive()
        if message["kind"] == "bye":
            return
        if message["kind"] == "job":
            ended = {"status": 0, "reason": "", "log": "", "faulty": False, **answer(message)}
            await connection.send("exit", {"lease": message["lease"], **ended}, b"")


def test_a_machine_that_fails_all_and_goes_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = config_from_dict({"executor": "by test:"})
    session, arrays = set_up(genome(), config, data(), tmp_path)
    executor = jobs_on(ByTest(), genome(), config, tmp_path, ())(session, arrays, 1, (), 2**20)
    answering = threading.Thread(target=asyncio.run, args=[play(tmp_path / ADDRESS, out_of_memory)])
    answering.start()
    try:
        for _ in range(FAULTS):
            ended = executor.submit(JobSpec("1", "probe", {}, "", 0, "validation", 9.0, "")).result(PATIENT)
            assert (ended.reason, ended.host) == ("fork: Cannot allocate memory", "far")
        answering.join()
    finally:
        executor.close()
    assert "far is left out from now on" in capsys.readouterr().err


def out_of_memory(_: dict[str, Any]) -> dict[str, Any]:
    return {"reason": "fork: Cannot allocate memory"}


def test_an_agent_over_ipv4_that_is_told_the_port_of_ipv6() -> None:
    with listening_on("engine.example") as listening:
        socket.create_connection(("127.0.0.1", listening.getsockname()[1]), PATIENT).close()


class Lost(ByTest):
    """What starts agents is lost while no job waits."""

    def open(self, argument: str, order: AgentOrder) -> AgentPool:
        return LostPool()


class LostPool(NoPool):
    def keep(self, avoid: Sequence[str]) -> PoolState:
        raise GeError("The cluster is gone.")


def test_a_cluster_lost_between_jobs_that_is_called_a_fault_of_ours(tmp_path: Path) -> None:
    config = config_from_dict({"executor": "by test:"})
    session, arrays = set_up(genome(), config, data(), tmp_path)
    executor = jobs_on(Lost(), genome(), config, tmp_path, ())(session, arrays, 1, (), 2**20)
    assert isinstance(executor, NodesExecutor)
    executor._thread.join()
    with pytest.raises(GeError, match="The cluster is gone"):
        executor.submit(JobSpec("1", "probe", {}, "", 0, "validation", 9.0, ""))
    executor.close()
