"""Asks the machines of an executor what they have, without any job."""

from __future__ import annotations

import asyncio
import signal
import socket
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path

from ge_engine.agents.address import listening_on, write_address
from ge_engine.agents.door import Door
from ge_engine.agents.head import BEATS, Listening
from ge_engine.agents.pool_watch import FRUITLESS
from ge_engine.agents.wire import LOST, Connection, Stranger, dismiss, signs_of_life
from ge_engine.contracts import AgentExecutor, AgentOrder, AgentPool, PoolState
from ge_engine.errors import ConfigError, GeError, PluginError
from ge_engine.evaluation.nodes.machine import Machine, machine_here, machine_of
from ge_engine.evaluation.nodes.opening import ADDRESS, agent_command
from ge_engine.evaluation.sandbox.removal import remove_tree

LOOK_SECONDS = 1.0
PINGS = 5


@dataclass(frozen=True, slots=True)
class Asked:
    """What machines shall have: `versions`, and `files` with these SHA-256. So many `agents` are waited
    for, 0: as many as the pool starts, and for `seconds` at most."""

    versions: Mapping[str, str]
    files: Mapping[str, str]
    agents: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Survey:
    """The machines by name. `faults` are sentences for which trainings cannot run as was asked for."""

    machines: tuple[Machine, ...]
    faults: tuple[str, ...]


def survey_here(asked: Asked) -> Survey:
    """This machine as the only one."""
    return _survey_of([machine_here(asked.versions, asked.files, 0)])


def survey_from(
    executor: AgentExecutor, argument: str, asked: Asked, folder: Path, tell: Callable[[str], object]
) -> Survey:
    """What agents that the executor starts tell, as of a run in `folder`. All that it started ends.

    Raises:
        ConfigError: the folder cannot be written, or as `AgentExecutor.open`. Others: as `surveyed`.
    """
    try:
        own = Path(tempfile.mkdtemp(prefix=".ge-doctor-", dir=folder)).resolve()
    except OSError as error:
        raise ConfigError(
            f"Nothing can be written in {folder}: {error.strerror}.",
            "Name the folder that runs will lie in with --folder.",
        ) from error
    try:
        file = own / ADDRESS
        order = AgentOrder(agent_command(file), own, cores=1, gpus=1, seconds=asked.seconds)
        listening = Listening(executor.host(argument) or socket.gethostname(), file, executor.patience)
        return surveyed(listening, executor.open(argument, order), asked, tell)
    finally:
        remove_tree(own)


def surveyed(listening: Listening, pool: AgentPool, asked: Asked, tell: Callable[[str], object]) -> Survey:
    """What the agents of `pool` tell, which end with this call. `tell` hears how they stand, as it changes.
    Where an event loop runs already, as in a notebook, a thread waits for them, and no signal ends that.

    Raises:
        KeyboardInterrupt: SIGINT, SIGTERM or SIGHUP has come. PluginError: a fault of the pool's.
    """
    try:
        with ThreadPoolExecutor(1) if _loop_runs() else nullcontext() as thread:
            work = _Surveying(listening, pool, asked, tell).run()
            return thread.submit(asyncio.run, work).result() if thread else asyncio.run(work)
    except asyncio.CancelledError as error:
        raise KeyboardInterrupt from error
    finally:
        listening.file.unlink(missing_ok=True)
        pool.close()


def _loop_runs() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


class _Surveying:
    def __init__(
        self, listening: Listening, pool: AgentPool, asked: Asked, tell: Callable[[str], object]
    ) -> None:
        self._listening, self._pool, self._asked, self._tell = listening, pool, asked, tell
        self._door = Door()
        self._machines: dict[str, Machine] = {}
        self._connections: set[Connection] = set()
        self._came = asyncio.Event()
        self._began = time.monotonic()

    async def run(self) -> Survey:
        with _ended_by_signals():
            listening = listening_on(self._listening.host)
            server = await asyncio.start_server(self._welcome, sock=listening)
            write_address(self._listening.file, self._door.address(self._listening.host, listening))
            try:
                missing = await self._missing()
            finally:
                server.close()
                await asyncio.gather(*map(dismiss, list(self._connections)))
                self._door.close()
        return _survey_of(self._machines.values(), missing)

    async def _missing(self) -> tuple[str, ...]:
        """Wait for agents; which did not come, and why not as far as is known."""
        try:
            return self._missed(*await self._waited())
        except PluginError:
            raise
        except GeError as error:
            return (error.message,)

    async def _waited(self) -> tuple[PoolState, int]:
        """How the pool stands in the end, and how many agents were waited for. Raises GeError."""
        told, end = "", self._began + self._asked.seconds
        while True:
            self._came.clear()
            state = await asyncio.to_thread(self._pool.keep, [])
            wanted = self._asked.agents or state.expected or 1
            fruitless = state.started - state.expected - len(self._machines) >= FRUITLESS
            if len(self._machines) >= wanted or fruitless or time.monotonic() > end:
                return state, wanted
            if state.said != told:
                self._tell(state.said)
                told = state.said
            try:
                await asyncio.wait_for(self._came.wait(), LOOK_SECONDS)
            except TimeoutError:
                continue

    async def _welcome(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = Connection(reader, writer)
        try:
            name, _ = await self._door.admitted(connection)
            self._connections.add(connection)
            await self._ask(name, connection)
        except (Stranger, *LOST):
            connection.abort()  # why it went, the pool tells
        finally:
            self._connections.discard(connection)

    async def _ask(self, name: str, connection: Connection) -> None:
        """Hear an agent's machine, and keep the agent until it is gone."""
        patience = self._listening.patience
        session = {"versions": dict(self._asked.versions), "files": dict(self._asked.files)}
        opening = {"session": session, "beat": patience / BEATS, "patience": patience}
        await connection.send("inspect", opening)
        async with signs_of_life(connection, patience / BEATS, patience):
            machine = machine_of(await _next(connection, "machine"))
            times = [await _round_trip(connection) for _ in range(PINGS)]
            self._machines[name] = replace(machine, round_trip=statistics.median(times))
            self._came.set()
            await _next(connection, "nothing more")

    def _missed(self, state: PoolState, wanted: int) -> tuple[str, ...]:
        if len(self._machines) >= wanted:
            return ()
        some = f"Of {wanted} agents {len(self._machines)} came" if self._machines else "No agent came"
        why = f": {state.said}" if state.said else ""
        return (f"{some} in {time.monotonic() - self._began:.0f} s{why}",)


async def _next(connection: Connection, kind: str) -> Mapping[str, object]:
    """The next message of a kind. Raises one of `LOST`."""
    while (message := (await connection.receive())[0]).get("kind") != kind:
        pass
    return message


async def _round_trip(connection: Connection) -> float:
    """Seconds. Raises one of `LOST`."""
    began = time.monotonic()
    await connection.send("ping")
    await _next(connection, "pong")
    return time.monotonic() - began


def _survey_of(told: Iterable[Machine], missing: Iterable[str] = ()) -> Survey:
    machines = _by_host(told)
    faults = [f"{one.host} cannot serve: {fault}" for one in machines for fault in one.faults]
    return Survey(tuple(machines), (*faults, *missing))


def _by_host(told: Iterable[Machine]) -> list[Machine]:
    """One for each host, with the faults of all its agents, and the slowest answer."""
    hosts: dict[str, list[Machine]] = {}
    for one in told:
        hosts.setdefault(one.host, []).append(one)
    return [
        replace(
            agents[0],
            agents=len(agents),
            faults=tuple(dict.fromkeys(fault for one in agents for fault in one.faults)),
            round_trip=max(one.round_trip for one in agents),
        )
        for _, agents in sorted(hosts.items())
    ]


@contextmanager
def _ended_by_signals() -> Iterator[None]:
    """Within, SIGTERM and SIGHUP cancel this task, as SIGINT does: the agents are then ended."""
    task = asyncio.current_task()
    assert task
    loop = asyncio.get_running_loop()
    ours = threading.current_thread() is threading.main_thread()
    numbers = (signal.SIGTERM, signal.SIGHUP) if ours else ()
    for number in numbers:
        loop.add_signal_handler(number, task.cancel)
    try:
        yield
    finally:
        for number in numbers:
            loop.remove_signal_handler(number)
