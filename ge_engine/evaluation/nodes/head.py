"""The engine's side: it lends agents the session's jobs, and takes each report once."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Coroutine, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from ge_engine.agents.door import Place
from ge_engine.agents.head import AgentHead, Heard, Listening
from ge_engine.agents.wire import LOST, Connection, well_formed
from ge_engine.contracts import AgentPool
from ge_engine.errors import GeError
from ge_engine.evaluation.executor import WorkerExit
from ge_engine.evaluation.exit_status import CANDIDATES_REASONS
from ge_engine.evaluation.nodes.leases import Leases, Lent
from ge_engine.evaluation.nodes.remote_session import RemoteSession
from ge_engine.evaluation.protocol.messages import CHECKPOINT_LIMIT, JobSpec, to_json
from ge_engine.evaluation.protocol.plain_file import read_plain

TICK_SECONDS = 2.0
"""Between two looks at whether a job is overdue."""
LOST_WITH_IT = WorkerExit(0, "the machines that it ran on were lost, each time", b"", "")


class NodesExecutor(AgentHead):
    """Runs jobs wherever agents serve this session. `pool` starts them, and ends with it."""

    def __init__(
        self, listening: Listening, pool: AgentPool, remote: RemoteSession, arrays: Sequence[memoryview]
    ) -> None:
        self._awake = 0.0
        self._leases = Leases(lambda: self._awake)
        super().__init__(listening, pool, self._leases)
        self._remote = remote
        self._arrays = dict(zip(remote.arrays, arrays, strict=True))
        self._results = ThreadPoolExecutor(1, "ge-nodes-results")
        self._begin()

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

    # --- everything below runs in the head's own thread ---

    def _opening(self) -> tuple[str, Mapping[str, Any]]:
        return "session", {"session": self._remote.as_json()}

    def _keeping(self) -> list[Coroutine[Any, Any, None]]:
        return [*super()._keeping(), self._keep_time()]

    def _end_work(self) -> None:
        self._results.shutdown()
        for future in self._leases.unfinished():
            self._end(future)

    def _end(self, future: Future[Any]) -> None:
        """End what nobody works on any more: it is told what went wrong, else cancelled where that can be."""
        if self._gave_up and (future.running() or future.set_running_or_notify_cancel()):
            future.set_exception(self._gave_up)
        elif not self._gave_up and not future.cancel():
            future.set_exception(GeError("The evaluation was closed."))

    async def _hear(self, heard: Heard) -> None:
        agent, place, message = heard.agent, heard.place, heard.message
        match message.get("kind"):
            case "wanted":
                with well_formed():
                    arrays = [self._arrays[one] for one in message["arrays"]]
                self._start(self._send_arrays(heard.connection, arrays))
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
                    lease, ended = str(message["lease"]), _exit_of(message, heard.blobs[0], place)
                self._ended(agent, lease, ended)
        self._lend()
        if self._leases.is_done(agent):
            await heard.connection.send("bye")

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
