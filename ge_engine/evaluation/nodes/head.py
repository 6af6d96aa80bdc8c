"""The engine's side: it listens for agents, lends them the session's jobs, and takes each report once."""

from __future__ import annotations

import asyncio
import sys
import threading
import time
from collections.abc import Coroutine, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ge_engine.contracts import AgentPool
from ge_engine.errors import GeError
from ge_engine.evaluation.executor import WorkerExit
from ge_engine.evaluation.exit_status import CANDIDATES_REASONS
from ge_engine.evaluation.nodes.address import listening_on, write_address
from ge_engine.evaluation.nodes.door import Door, Place
from ge_engine.evaluation.nodes.leases import Leases, Lent
from ge_engine.evaluation.nodes.pool_watch import PoolWatch
from ge_engine.evaluation.nodes.remote_session import RemoteSession
from ge_engine.evaluation.nodes.wire import (
    LOST,
    Connection,
    Stranger,
    beating,
    dismiss,
    watching,
    well_formed,
)
from ge_engine.evaluation.protocol.messages import CHECKPOINT_LIMIT, JobSpec, to_json
from ge_engine.evaluation.protocol.plain_file import read_plain

BEATS = 6
"""Signs of life within the patience that one has without any."""
TICK_SECONDS = 2.0
"""Between two looks at whether a job is overdue."""
LOST_WITH_IT = WorkerExit(0, "the machines that it ran on were lost, each time", b"", "")


@dataclass(frozen=True, slots=True)
class Listening:
    """Where an engine listens: `host` as agents reach it, and the file that tells them. Who gives no sign of
    life for `patience` seconds is lost."""

    host: str
    file: Path
    patience: float


class NodesExecutor:
    """Runs jobs wherever agents serve this session. `pool` starts them, and ends with it."""

    def __init__(
        self, listening: Listening, pool: AgentPool, remote: RemoteSession, arrays: Sequence[memoryview]
    ) -> None:
        self._listening, self._pool, self._remote = listening, pool, remote
        self._arrays = dict(zip(remote.arrays, arrays, strict=True))
        self._awake = 0.0
        self._leases = Leases(lambda: self._awake)
        self._connections: dict[str, Connection] = {}
        self._watch = PoolWatch(pool, self._leases)
        self._closing = False
        self._gave_up: Exception | None = None
        self._ending = False
        self._sending: set[asyncio.Task[None]] = set()
        self._results = ThreadPoolExecutor(1, "ge-nodes-results")
        self._lock = threading.Lock()
        self._loop = asyncio.new_event_loop()
        self._door = Door()
        self._stop = asyncio.Event()
        self._begun: Future[None] = Future()
        self._thread = threading.Thread(target=self._run, name="ge-nodes", daemon=True)
        self._thread.start()
        try:
            self._begun.result()
        except BaseException:
            self.close()
            raise

    def submit(self, spec: JobSpec) -> Future[WorkerExit]:
        """Queue `spec`; probes go before trainings. Raises what has ended the work of agents."""
        future: Future[WorkerExit] = Future()
        with self._lock:
            if self._closing:
                raise self._gave_up or RuntimeError("the executor is closed")
            self._loop.call_soon_threadsafe(self._take, spec, future)
        return future

    def at_once(self) -> int:
        return self._leases.slots()

    def close(self) -> None:
        """Cancel what is queued, have the agents kill what runs, and dismiss them."""
        with self._lock:
            if not self._closing:
                self._closing = True
                self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()

    # --- everything below runs in the executor's own thread ---

    def _run(self) -> None:
        try:
            self._loop.run_until_complete(self._serve())
        except Exception as error:
            self._gave_up = error
        with self._lock:
            self._closing = True
        self._loop.run_until_complete(self._end_tasks())
        self._results.shutdown()
        for future in self._leases.unfinished():
            self._end(future)
        if not self._begun.done():
            self._end(self._begun)
        self._loop.close()
        self._pool.close()

    def _end(self, future: Future[Any]) -> None:
        """End what nobody works on any more: it is told what went wrong, else cancelled where that can be."""
        if self._gave_up and (future.running() or future.set_running_or_notify_cancel()):
            future.set_exception(self._gave_up)
        elif not self._gave_up and not future.cancel():
            future.set_exception(GeError("The evaluation was closed."))

    async def _end_tasks(self) -> None:
        """End what is left of connections; jobs that were submitted until now are among the leases."""
        left = asyncio.all_tasks() - {asyncio.current_task()}
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)
        await self._loop.shutdown_default_executor()

    async def _serve(self) -> None:
        listening = listening_on(self._listening.host)
        server = await asyncio.start_server(self._welcome, sock=listening)
        write_address(self._listening.file, self._door.address(self._listening.host, listening))
        self._begun.set_result(None)
        keeping = (asyncio.create_task(self._watch.keep()), asyncio.create_task(self._keep_time()))
        stopping = asyncio.create_task(self._stop.wait())
        try:
            await asyncio.wait({*keeping, stopping}, return_when=asyncio.FIRST_COMPLETED)
            for ended in filter(asyncio.Task.done, keeping):
                ended.result()
        finally:
            self._ending = True
            self._listening.file.unlink(missing_ok=True)
            server.close()
            await asyncio.gather(*map(dismiss, list(self._connections.values())))
            self._door.close()

    async def _welcome(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = Connection(reader, writer)
        try:
            name, place = await self._door.admitted(connection)
            await self._accompany(name, place, connection)
        except (Stranger, *LOST):
            connection.abort()  # it is not known, or gone; what it had is lent again

    async def _accompany(self, agent: str, place: Place, connection: Connection) -> None:
        """Serve an agent until it is gone."""
        patience = self._listening.patience
        beat = patience / BEATS
        opening = {"session": self._remote.as_json(), "beat": beat, "patience": patience}
        await connection.send("session", opening)
        around = [
            asyncio.create_task(beating(connection, beat)),
            asyncio.create_task(watching(connection, patience)),
        ]
        if agent in self._connections:  # it comes again, and the earlier connection is dead
            self._connections.pop(agent).abort()
            self._lose(agent)
        self._connections[agent] = connection
        try:
            while True:
                message, blobs = await connection.receive()
                await self._hear(agent, place, connection, message, blobs)
        finally:
            connection.abort()
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
        match message.get("kind"):
            case "wanted":
                with well_formed():
                    arrays = [self._arrays[one] for one in message["arrays"]]
                self._start(self._send_arrays(connection, arrays))
            case "refused":
                self._watch.refuse(place.host, str(message.get("reason")))
            case "ready":
                with well_formed():
                    slots = int(message["slots"])
                self._watch.joined.add(agent)
                self._lose(agent)  # what it had, if it says so twice
                self._leases.join(agent, place.host, slots)
            case "leaving":
                self._leases.leave(agent)
            case "exit":
                with well_formed():
                    lease, ended = str(message["lease"]), _exit_of(message, blobs[0], place)
                self._ended(agent, lease, ended)
        self._lend()
        if self._leases.is_done(agent):
            await connection.send("bye")

    def _ended(self, agent: str, lease: str, ended: WorkerExit) -> None:
        job = self._leases.end(agent, lease)
        if job is None:
            return
        faulty = ended.faulty or bool(ended.reason and ended.reason not in CANDIDATES_REASONS)
        self._blame(agent, faulty, ended.reason or "faults of its own")
        if not faulty or not self._leases.retry_elsewhere(job, ended.host):
            self._results.submit(job.future.set_result, ended)

    def _blame(self, agent: str, faulty: bool, why: str) -> None:
        if drained := self._leases.blame(agent, faulty):
            print(f"{drained} is left out from now on: jobs keep failing there ({why}).", file=sys.stderr)

    async def _keep_time(self) -> None:
        """Lose agents that are overdue; they begin anew. Time in which this process was stopped does not
        count, for reports may wait to be heard."""
        while True:
            before = time.monotonic()
            await asyncio.sleep(TICK_SECONDS)
            self._awake += min(time.monotonic() - before, 2 * TICK_SECONDS)
            for agent in self._leases.overdue():
                print(f"The agent {agent} does not end a job; others do what it has.", file=sys.stderr)
                self._blame(agent, True, "they do not end")
                if connection := self._connections.pop(agent, None):
                    connection.abort()
                self._give_back(self._leases.give_up_on(agent))

    def _take(self, spec: JobSpec, future: Future[WorkerExit]) -> None:
        self._leases.submit(spec, future)
        self._lend()

    def _lend(self) -> None:
        while lent := self._leases.lend():
            agent, lease, spec = lent
            self._start(self._send(agent, lease, spec))

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        """Have `work` done beside what is received."""
        task = self._loop.create_task(work)
        self._sending.add(task)
        task.add_done_callback(self._sending.discard)

    async def _send_arrays(self, connection: Connection, arrays: Sequence[memoryview]) -> None:
        with suppress(*LOST):  # it is seen by who receives
            await connection.send("arrays", {}, *arrays)

    async def _send(self, agent: str, lease: str, spec: JobSpec) -> None:
        start = b""
        if spec.start:
            with suppress(OSError):  # what is lost costs time alone
                start = await asyncio.to_thread(read_plain, Path(spec.start), CHECKPOINT_LIMIT)
        if not self._leases.holds(agent, lease):
            return
        body = to_json(replace(spec.started_from(""), sent=0.0, devices="")).decode()
        with suppress(KeyError, *LOST):  # an agent that is gone is seen to be, and its jobs are lent again
            await self._connections[agent].send("job", {"lease": lease, "spec": body}, start)

    def _lose(self, agent: str) -> None:
        if self._ending:  # its jobs end with the session
            return
        self._give_back(self._leases.lose(agent))

    def _give_back(self, jobs: Sequence[Lent]) -> None:
        """Jobs are done as lost, and all others are lent."""
        for job in jobs:
            self._results.submit(job.future.set_result, LOST_WITH_IT)
        self._lend()


def _exit_of(message: Mapping[str, Any], result: bytes, place: Place) -> WorkerExit:
    return WorkerExit(
        int(message["status"]),
        str(message["reason"]),
        result,
        str(message["log"]),
        host=place.host,
        processor=place.processor,
        faulty=bool(message["faulty"]),
        shared=bool(message.get("shared", False)),
    )
