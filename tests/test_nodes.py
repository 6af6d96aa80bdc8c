"""Faults of trainings on other machines: figures that differ, jobs that are lost or scored twice, machines
that should not serve, and data that goes where it should not."""

from __future__ import annotations

import asyncio
import hashlib
import signal
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from agents import Started, StartedPool
from evaluation import START_METHOD, data, genome, outcome_of, shop
from patience import PATIENT, until

from ge_engine.agents.address import listening_on, read_address
from ge_engine.agents.door import STRANGERS
from ge_engine.agents.head import Heard
from ge_engine.agents.wire import LOST, Connection, beating, introduce, watching
from ge_engine.config import config_from_dict
from ge_engine.contracts import AgentExecutor, AgentOrder, AgentPool, Job, PoolState
from ge_engine.errors import ConfigError, GeError
from ge_engine.evaluation.nodes import head, opening
from ge_engine.evaluation.nodes.agent import Serving
from ge_engine.evaluation.nodes.head import NodesExecutor
from ge_engine.evaluation.nodes.leases import FAULTS, SPARE
from ge_engine.evaluation.nodes.opening import ADDRESS, jobs_on
from ge_engine.evaluation.nodes.remote_session import remote_session
from ge_engine.evaluation.protocol.messages import JobSpec
from ge_engine.evaluation.setup import set_up
from ge_engine.evaluation.train_evaluation import TrainEvaluation
from ge_engine.genome import Genome, Seed
from ge_engine.outcome import Failed, Outcome, Scored
from ge_engine.registry import load_registry
from ge_engine.testing.material import PLAIN
from ge_plugins.executors import Nodes

SLOW = genome(top="import time", forward="time.sleep(0.3 if training else 0)")


@contextmanager
def on_agents(
    folder: Path, executor: AgentExecutor, count: int = 1, **settings: Any
) -> Iterator[TrainEvaluation]:
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


@pytest.mark.long
def test_figures_that_differ_on_another_machine(two: TrainEvaluation, tmp_path: Path) -> None:
    there = outcome_of(two, genome())
    assert figures(there) == figures(here(tmp_path / "here", genome()))
    assert isinstance(there, Scored)
    assert there.details["host"] == socket.gethostname()
    assert there.details["processor"]


@pytest.mark.long
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


@pytest.mark.long
def test_arrays_that_are_sent_again_to_a_machine_that_has_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    original = NodesExecutor._hear

    async def hear(self: NodesExecutor, heard: Heard) -> None:
        asked.append(heard.message["kind"])
        await original(self, heard)

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


class ByTest(AgentExecutor):
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


@contextmanager
def listening(folder: Path, by: ByTest, patience: float = 30.0) -> Iterator[NodesExecutor]:
    """An engine whose agents the test plays."""
    config = config_from_dict({"executor": "by test:"})
    session, arrays = set_up(genome(), config, data(), folder)
    by.patience = patience
    executor = jobs_on(by, genome(), config, folder, ())(session, arrays, 1, (), 2**20)
    assert isinstance(executor, NodesExecutor)
    try:
        yield executor
    finally:
        executor.close()


PROBE = JobSpec("1", "probe", {}, "", 0, "validation", 9.0, "")


async def joined(file: Path, name: str = "played", host: str = "far") -> Connection:
    """A connection of an agent that is ready."""
    address = read_address(file)
    connection = Connection(*await asyncio.open_connection(address.host, address.port))
    await introduce(connection, bytes.fromhex(address.token))
    await connection.send("hello", {"agent": name, "host": host, "processor": "odd"})
    await connection.receive()
    await connection.send("ready", {"slots": 1})
    return connection


async def lent(connection: Connection) -> str:
    """The lease of the next job."""
    async with asyncio.timeout(PATIENT):
        while True:
            message, _ = await connection.receive()
            if message["kind"] == "job":
                return str(message["lease"])


async def tell(connection: Connection, lease: str, reason: str = "", faulty: bool = False) -> None:
    """Report the end of a job."""
    ended = {"status": 0, "reason": reason, "log": "", "faulty": faulty}
    await connection.send("exit", {"lease": lease, **ended}, b"done")


def test_a_machine_that_fails_all_and_goes_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It is sent home after its last fault."""

    async def fail() -> None:
        connection = await joined(tmp_path / ADDRESS)
        for _ in range(FAULTS):
            await tell(connection, await lent(connection), "fork: Cannot allocate memory")
        while (await connection.receive())[0]["kind"] != "bye":
            pass

    with listening(tmp_path, ByTest()) as executor:
        answering = threading.Thread(target=asyncio.run, args=[fail()])
        answering.start()
        for _ in range(FAULTS):
            ended = executor.submit(PROBE).result(PATIENT)
            assert (ended.reason, ended.host) == ("fork: Cannot allocate memory", "far")
        answering.join()
    assert "far is left out from now on" in capsys.readouterr().err


def test_a_fault_of_one_machine_that_is_told_while_another_is_there(tmp_path: Path) -> None:
    """The other does the job, also where it comes to it later."""

    async def serve(executor: NodesExecutor) -> Future[Any]:
        full = await joined(tmp_path / ADDRESS, "full", "far")
        future = executor.submit(PROBE)
        lease = await lent(full)
        fit = await joined(tmp_path / ADDRESS, "fit", "near")
        await asyncio.to_thread(until, lambda: executor._leases.serving() == 2)
        await tell(full, lease, faulty=True)
        await tell(fit, await lent(fit))
        return future

    with listening(tmp_path, ByTest()) as executor:
        ended = asyncio.run(serve(executor)).result(PATIENT)
        assert (ended.host, ended.faulty) == ("near", False)
        assert executor._leases._faults["far"] == 1


def test_a_job_that_an_agent_keeps_for_ever(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It gives signs of life all the while. The job is a loss of this machine's, and goes to another."""
    monkeypatch.setattr(head, "TICK_SECONDS", 0.05)

    async def serve(executor: NodesExecutor) -> None:
        stuck = await joined(tmp_path / ADDRESS, "stuck")
        beats = asyncio.create_task(beating(stuck, 0.2))
        await lent(stuck)
        executor._loop.call_soon_threadsafe(setattr, executor, "_awake", PROBE.timeout + SPARE + 1.0)
        with pytest.raises(LOST):
            await lent(stuck)  # it gets no other job, and is left
        assert executor._leases._faults["far"] == 1
        beats.cancel()
        other = await joined(tmp_path / ADDRESS, "other")
        await tell(other, await lent(other))

    with listening(tmp_path, ByTest()) as executor:
        future = executor.submit(PROBE)
        asyncio.run(serve(executor))
        assert future.result(PATIENT).result == b"done"
        assert executor._leases._faults["far"] == 0  # the other's report, from the same host
    assert "The agent stuck does not end a job" in capsys.readouterr().err


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
    with listening(tmp_path, Lost()) as executor:
        executor._thread.join()
        with pytest.raises(GeError, match="The cluster is gone"):
            executor.submit(PROBE)


def test_strangers_who_keep_agents_out(tmp_path: Path) -> None:
    with listening(tmp_path, ByTest()) as executor:
        address = read_address(tmp_path / ADDRESS)
        strangers = [socket.create_connection((address.host, address.port)) for _ in range(STRANGERS + 8)]
        try:
            future = executor.submit(PROBE)

            async def serve() -> None:
                connection = await joined(tmp_path / ADDRESS)
                await tell(connection, await lent(connection))

            asyncio.run(serve())
            assert future.result(PATIENT).result == b"done"
        finally:
            for one in strangers:
                one.close()


def test_an_agent_that_is_ready_twice_and_loses_what_it_had(tmp_path: Path) -> None:
    with listening(tmp_path, ByTest()) as executor:
        future = executor.submit(PROBE)

        async def serve() -> None:
            connection = await joined(tmp_path / ADDRESS)
            late = await lent(connection)
            await connection.send("ready", {"slots": 1})
            lease = await lent(connection)
            await tell(connection, late)
            assert not future.done()
            await tell(connection, lease)

        asyncio.run(serve())
        assert future.result(PATIENT).result == b"done"


@pytest.mark.long
def test_an_agent_that_stops_before_it_has_read_what_was_sent(tmp_path: Path) -> None:
    """What it does not take would be waited for without end."""
    (tmp_path / "start").write_bytes(bytes(2**26))
    with listening(tmp_path, ByTest(), patience=2.0) as executor:
        future = executor.submit(replace(PROBE, kind="train", checkpoint=str(tmp_path / "start")))

        async def serve() -> None:
            stopped = await joined(tmp_path / ADDRESS)
            await asyncio.sleep(0)
            again = await asyncio.to_thread(asyncio.run, one_job(tmp_path / ADDRESS))
            assert again
            stopped.abort()

        asyncio.run(serve())
        assert future.result(PATIENT).result == b"done"


async def one_job(file: Path) -> bool:
    """Whether a job that another agent has not taken comes to one that joins late."""
    await asyncio.sleep(1.0)
    connection = await joined(file, "late")
    beats = asyncio.create_task(beating(connection, 0.2))
    await tell(connection, await lent(connection))
    beats.cancel()
    return True


def test_a_score_that_takes_long_and_loses_agents(tmp_path: Path) -> None:
    """Who waits for a job may work on its report for longer than a sign of life may take."""
    with listening(tmp_path, ByTest(), patience=1.0) as executor:
        first = executor.submit(PROBE)
        first.add_done_callback(lambda _: time.sleep(2.0))

        async def serve() -> str:
            connection = await joined(tmp_path / ADDRESS)
            around = [
                asyncio.create_task(work) for work in (beating(connection, 0.1), watching(connection, 1.0))
            ]
            await tell(connection, await lent(connection))
            end = time.monotonic() + 1.5
            while time.monotonic() < end:
                await connection.receive()
            second = executor.submit(PROBE)
            await tell(connection, await lent(connection))
            ended = await asyncio.wrap_future(second)
            for task in around:
                task.cancel()
            return ended.result.decode()

        assert asyncio.run(serve()) == "done"


def test_a_fault_of_an_agent_that_nobody_is_told(tmp_path: Path) -> None:
    """The folder that a job's start goes to is gone."""
    told: list[dict[str, Any]] = []

    class Heard:
        async def send(self, kind: str, content: dict[str, Any], *_: bytes) -> None:
            told.append({"kind": kind, **content})

    serving = Serving(Heard(), "x", tmp_path / "gone", 0, asyncio.Event())  # type: ignore[arg-type]
    serving._executor = object()  # type: ignore[assignment]
    spec = replace(PROBE, kind="train", checkpoint="there")
    asyncio.run(serving._work("lease", spec, b"start"))
    (one,) = told
    assert (one["kind"], one["lease"], one["faulty"]) == ("exit", "lease", True)
    assert "FileNotFoundError" in one["reason"]


def test_a_session_of_another_version_that_is_read_before_it_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"This machine has ge_engine \S+ \(the engine: 9\.9\)"):
        remote_session({"versions": {"ge_engine": "9.9"}, "of the future": True})


@pytest.mark.parametrize("host", ["a b", "a..b", "https://x", "127.0.0.1:99999", "x" * 70])
def test_a_host_that_no_agent_can_reach(host: str) -> None:
    with pytest.raises(ConfigError, match="name or address of this machine"):
        Nodes().check(host)
    for good in ("", "127.0.0.1", "::1", "node7", "node7.example."):
        Nodes().check(good)


@pytest.mark.long
def test_a_grey_seed_model_whose_agents_are_sent_home(tmp_path: Path) -> None:
    """Its channels are known before agents are called."""
    source = PLAIN.replace(b"in_channels=3", b"in_channels=1").replace(b"Body(in_channels, 8)", b"Body(1, 8)")
    seed, started = Seed.from_bytes(source).genome, Started()
    given = {"workers": 1, "executor": "started:1", "training": {"epochs": 1, "train_limit": 64}}
    config = config_from_dict(given)
    registry = load_registry()
    objectives = [registry.objectives[name] for name in config.objectives]
    training = registry.evaluators["train"].on(started)
    with training.open(seed, config, objectives, tmp_path, registry.tasks) as evaluation:
        assert figures(evaluation.submit(Job("x", seed, 0)).result(PATIENT))
    assert len(started.pools) == 1
    assert len(started.pools[0].agents) == 1
