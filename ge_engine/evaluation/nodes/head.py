"""The engine's side: it listens for agents, lends them the session's jobs, and takes each report once."""

from __future__ import annotations

import asyncio
import secrets
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ge_engine.contracts import AgentPool, PoolState
from ge_engine.errors import GeError
from ge_engine.evaluation.executor import WorkerExit
from ge_engine.evaluation.exit_status import CANDIDATES_REASONS
from ge_engine.evaluation.nodes.address import Address, listening_on, write_address
from ge_engine.evaluation.nodes.agent import Heard, beating, watching
from ge_engine.evaluation.nodes.leases import Leases
from ge_engine.evaluation.nodes.remote_session import RemoteSession
from ge_engine.evaluation.nodes.wire import LOST, Connection, Stranger, challenge
from ge_engine.evaluation.protocol.messages import CHECKPOINT_LIMIT, JobSpec, to_json
from ge_engine.evaluation.protocol.plain_file import read_plain

BEATS = 6
"""Signs of life within the patience that one has without any."""
POOL_SECONDS, BYE_SECONDS = 2.0, 1.0
PATIENT_SECONDS = 5.0
"""Seconds without any agent after which the user is told what is waited for."""
FRUITLESS = 3
"""Agents that may end before they serve, besides those that are there."""
LOST_WITH_IT = WorkerExit(0, "the machines that it ran on were lost, each time", b"", "")


@dataclass(frozen=True, slots=True)
class Listening:
    """Where an engine listens: `host` as agents reach it, and the file that tells them. Who gives no sign of
    life for `patience` seconds is lost."""

    host: str
    file: Path
    patience: float


@dataclass(frozen=True, slots=True)
class Place:
    """The machine that an agent is on."""

    host: str
    processor: str


class NodesExecutor:
    """Runs jobs wherever agents serve this session. `pool` starts them, and ends with it."""

    def __init__(
        self, listening: Listening, pool: AgentPool, remote: RemoteSession, arrays: Sequence[memoryview]
    ) -> None:
        self._listening, self._pool, self._remote = listening, pool, remote
        self._arrays = dict(zip(remote.arrays, arrays, strict=True))
        self._leases = Leases()
        self._connections: dict[str, Connection] = {}
        self._refusals: dict[str, str] = {}
        self._joined: set[str] = set()
        self._closing = threading.Event()
        self._gave_up: Exception | None = None
        self._loop = asyncio.new_event_loop()
        self._token = secrets.token_bytes(32)
        self._stop: asyncio.Event | None = None
        self._begun: Future[None] = Future()
        self._thread = threading.Thread(target=self._run, name="ge-nodes", daemon=True)
        self._thread.start()
        self._begun.result()

    def submit(self, spec: JobSpec) -> Future[WorkerExit]:
        """Queue `spec`; probes go before trainings. Raises what has ended the work of agents."""
        future: Future[WorkerExit] = Future()
        if self._closing.is_set():
            raise self._gave_up or RuntimeError("the executor is closed")
        self._loop.call_soon_threadsafe(self._take, spec, future)
        return future

    def close(self) -> None:
        """Cancel what is queued, have the agents kill what runs, and dismiss them."""
        if not self._closing.is_set():
            self._closing.set()
            self._loop.call_soon_threadsafe(self._end)
        self._thread.join()

    # --- everything below runs in the executor's own thread ---

    def _run(self) -> None:
        try:
            self._loop.run_until_complete(self._serve())
        except Exception as error:
            self._give_up(error)
        finally:
            self._closing.set()
            self._loop.run_until_complete(self._loop.shutdown_default_executor())
            self._pool.close()
            for future in self._leases.unfinished():
                if not future.cancel() and not future.done():
                    future.set_exception(GeError("The evaluation was closed."))
            self._loop.close()

    async def _serve(self) -> None:
        self._stop = asyncio.Event()
        listening = listening_on(self._listening.host)
        port = listening.getsockname()[1]
        server = await asyncio.start_server(self._welcome, sock=listening)
        write_address(self._listening.file, Address(self._listening.host, port, self._token.hex()))
        self._begun.set_result(None)
        keeping = asyncio.create_task(self._keep_agents())
        stopping = asyncio.create_task(self._stop.wait())
        try:
            async with server:
                await asyncio.wait({keeping, stopping}, return_when=asyncio.FIRST_COMPLETED)
                self._listening.file.unlink(missing_ok=True)
                await asyncio.gather(*map(_dismiss, self._connections.values()))
            if keeping.done():
                keeping.result()
        finally:
            stopping.cancel()
            keeping.cancel()
            await asyncio.wait({keeping, stopping})

    def _end(self) -> None:
        if self._stop:
            self._stop.set()

    async def _keep_agents(self) -> None:
        """See every now and then that agents are there or come. Raises GeError where none can be had."""
        told, tell_at = "", time.monotonic() + PATIENT_SECONDS
        while True:
            avoid = [*self._leases.drained(), *self._refusals]
            state = await asyncio.to_thread(self._pool.keep, avoid)
            self._require_some_that_serve(state)
            if self._leases.serving() or not self._leases.waiting():
                tell_at = time.monotonic() + PATIENT_SECONDS
            elif state.said != told and time.monotonic() > tell_at:
                print(f"Waiting for machines: {state.said}", file=sys.stderr)
                told = state.said
            await asyncio.sleep(POOL_SECONDS)

    def _require_some_that_serve(self, state: PoolState) -> None:
        """Raises GeError where agents are started and end, one after another, before they serve."""
        served_and_ended = len(self._joined) - self._leases.serving()
        if state.started - state.expected - served_and_ended < FRUITLESS:
            return
        reasons = [f"{host}: {reason}" for host, reason in sorted(self._refusals.items())] or [state.said]
        raise GeError(
            f"Agents end before they serve this run. {'; '.join(reasons)}",
            "Fix that, and go on with ge resume.",
        )

    async def _welcome(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = Connection(reader, writer)
        try:
            await challenge(connection, self._token)
            hello, _ = await connection.receive()
            place = Place(str(hello["host"]), str(hello["processor"]))
            await self._accompany(str(hello["agent"]), place, connection)
        except (Stranger, KeyError, *LOST):
            pass  # it is not known, or was lost before it had anything
        finally:
            connection.close()

    async def _accompany(self, agent: str, place: Place, connection: Connection) -> None:
        """Serve an agent until it is gone."""
        heard = Heard()
        patience = self._listening.patience
        beat = patience / BEATS
        opening = {"session": self._remote.as_json(), "beat": beat, "patience": patience}
        await connection.send("session", opening)
        around = [
            asyncio.create_task(beating(connection, beat)),
            asyncio.create_task(watching(connection, heard, patience)),
        ]
        if agent in self._connections:  # it comes again, and the earlier connection is dead
            self._connections.pop(agent).close()
            self._lose(agent)
        self._connections[agent] = connection
        try:
            while True:
                message, blobs = await connection.receive()
                heard.now()
                await self._hear(agent, place, connection, message, blobs)
        except (*LOST, KeyError, ValueError, TypeError, IndexError):
            pass  # it is gone, or says what no agent says: its jobs are lent again
        finally:
            for task in around:
                task.cancel()
            if self._connections.get(agent) is connection:
                del self._connections[agent]
                self._lose(agent)

    async def _hear(
        self,
        agent: str,
        place: Place,
        connection: Connection,
        message: Mapping[str, Any],
        blobs: Sequence[bytes],
    ) -> None:
        kind = message["kind"]
        if kind == "wanted":
            await connection.send("arrays", {}, *(bytes(self._arrays[one]) for one in message["arrays"]))
        elif kind == "refused":
            self._refusals[place.host] = str(message["reason"])
            print(f"{place.host} cannot serve this run: {message['reason']}", file=sys.stderr)
        elif kind == "ready":
            self._joined.add(agent)
            self._leases.join(agent, place.host, int(message["slots"]))
            if place.host in self._leases.drained():
                self._leases.leave(agent)
        elif kind == "leaving":
            self._leases.leave(agent)
        elif kind == "exit":
            ended = WorkerExit(
                int(message["status"]),
                str(message["reason"]),
                blobs[0],
                str(message["log"]),
                host=place.host,
                processor=place.processor,
                faulty=bool(message["faulty"]),
            )
            self._ended(agent, str(message["lease"]), ended)
        self._lend()
        if self._leases.is_done(agent):
            await connection.send("bye")

    def _ended(self, agent: str, lease: str, ended: WorkerExit) -> None:
        job = self._leases.end(agent, lease)
        if job is None:
            return
        faulty = ended.faulty or bool(ended.reason and ended.reason not in CANDIDATES_REASONS)
        if drained := self._leases.blame(agent, faulty):
            why = ended.reason or "faults of its own"
            print(f"{drained} is left out from now on: jobs keep failing there ({why}).", file=sys.stderr)
            for one in self._leases.agents_on(drained):
                self._leases.leave(one)
        job.future.set_result(ended)

    def _take(self, spec: JobSpec, future: Future[WorkerExit]) -> None:
        self._leases.submit(spec, future)
        self._lend()

    def _lend(self) -> None:
        while lent := self._leases.lend():
            agent, lease, spec = lent
            self._loop.create_task(self._send(agent, lease, spec))

    async def _send(self, agent: str, lease: str, spec: JobSpec) -> None:
        start = b""
        if spec.start:
            with suppress(OSError):  # what is lost costs time alone
                start = read_plain(Path(spec.start), CHECKPOINT_LIMIT)
        if not self._leases.holds(agent, lease):
            return
        body = to_json(replace(spec.started_from(""), sent=0.0, devices="")).decode()
        with suppress(KeyError, *LOST):  # an agent that is gone is seen to be, and its jobs are lent again
            await self._connections[agent].send("job", {"lease": lease, "spec": body}, start)

    def _lose(self, agent: str) -> None:
        for job in self._leases.lose(agent):
            job.future.set_result(LOST_WITH_IT)
        self._lend()

    def _give_up(self, error: Exception) -> None:
        """Tell all that wait, or come later, why; nobody works on it any more."""
        self._gave_up = error
        self._closing.set()
        if not self._begun.done():
            self._begun.set_exception(error)
        for future in self._leases.unfinished():
            if future.running() or future.set_running_or_notify_cancel():
                future.set_exception(error)


async def _dismiss(connection: Connection) -> None:
    """Tell an agent that it is needed no more, if it hears."""
    with suppress(*LOST):
        await asyncio.wait_for(connection.send("bye"), BYE_SECONDS)
    connection.close()
