"""The fork server: `python -m ge_engine.evaluation.fork_server DESCRIPTOR [MODULE ...]` starts a worker per
job. It imports the modules while it waits for its session.

It never runs generated code and never touches the GPU. Workers are forks of it, for which it imports torch
once, or new processes where a fork is not safe. It is the only parent of all workers, adopts whatever they
leave behind, and kills it. The first frame is the `SessionSpec` with the files of the arrays; every further
one is a `JobSpec` with the descriptors of its result, its log and its token. It answers "ready", and
{"id", "pid"} and {"id", "status", "reason"} per job.
"""

from __future__ import annotations

import gc
import json
import os
import selectors
import signal
import socket
import sys
import time
from contextlib import suppress
from pathlib import Path

import torch

from ge_engine.agents.own_memory import hide_memory
from ge_engine.evaluation.data.module_loader import WARM, preload, see_only
from ge_engine.evaluation.data.shared_arrays import mapped_for
from ge_engine.evaluation.fork_server.running import ResourceWatch, RunningJob
from ge_engine.evaluation.protocol.frames import receive_frame, send_frame
from ge_engine.evaluation.protocol.messages import (
    TOKEN_BYTES,
    WORKER_FAULT,
    JobSpec,
    job_from_json,
    own_fault,
    pack_report,
    session_from_json,
)
from ge_engine.evaluation.sandbox import confinement, limits, namespaces
from ge_engine.evaluation.sandbox.process_tree import children, kill_children
from ge_engine.evaluation.sandbox.removal import remove_tree
from ge_engine.evaluation.worker import runner
from ge_engine.evaluation.worker.process_group import by_fork
from ge_engine.evaluation.worker.spawn import START_SECONDS, spawn

WATCH_SECONDS = 0.5


class ForkServer:
    """Serves one evaluation over `sock` until the engine closes it."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._body, self._files = receive_frame(sock)
        self._session = session_from_json(self._body)
        self._jobs = os.path.join(self._session.scratch, "jobs")
        self._apart: namespaces.Namespaces | None = None
        if self._session.sandbox != "none" and self._session.device == "cpu" and namespaces.settle_apart():
            self._apart = namespaces.Namespaces()
            if self._session.confined:
                namespaces.read_only_but(self._jobs)
        limits.adopt_orphans()
        hide_memory(True)
        self._selector = selectors.DefaultSelector()
        self._running: dict[int, RunningJob] = {}
        self._watch = ResourceWatch(self._files)
        self._wake, wake_end = os.pipe()
        for end in (self._wake, wake_end):
            os.set_blocking(end, False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(wake_end, warn_on_full_buffer=False)
        self._wake_end = wake_end

    def serve(self) -> None:
        """Start, watch and reap workers until the engine is gone; then kill what is left."""
        if not self._spawns:
            self._warm()
        gc.enable()
        send_frame(self._sock, b'{"ready": true}')
        self._selector.register(self._sock, selectors.EVENT_READ)
        self._selector.register(self._wake, selectors.EVENT_READ)
        try:
            while True:
                ready = {key.fd: key.data for key, _ in self._selector.select(self._patience())}
                if self._wake in ready:
                    with suppress(BlockingIOError):
                        os.read(self._wake, 4096)
                for job in filter(None, ready.values()):
                    self._greet(job)
                self._reap()
                self._kill_what_exceeds()
                if self._sock.fileno() in ready:
                    self._accept()
        except (EOFError, ConnectionError):
            for job in self._running.values():
                job.kill()
            kill_children(keep=frozenset())

    def _warm(self) -> None:
        """Have all that forks share."""
        if self._session.confined:
            see_only(self._session.readable)
        confinement.warm(self._session)
        preload((*WARM, *self._session.preload))
        for cache in Path(self._jobs).iterdir():  # of libraries that were imported
            remove_tree(cache)
        torch.set_num_threads(1)
        gc.collect()
        gc.freeze()

    def _patience(self) -> float | None:
        if not self._running:
            return None
        first = min(job.deadline for job in self._running.values())
        return min(WATCH_SECONDS, max(0.0, first - time.monotonic()))

    def _accept(self) -> None:
        body, ends = receive_frame(self._sock)
        spec = job_from_json(body)
        try:
            if self._apart:
                self._apart.make_ready()
            job = self._spawn(spec, body, ends) if self._spawns else self._fork(spec, ends)
        except OSError as error:
            method = self._session.start_method
            self._tell(id=spec.id, status=0, reason=f"{method}: {error.strerror}")
            return
        finally:
            for end in ends:
                os.close(end)
        self._running[job.pid] = job
        self._tell(id=spec.id, pid=job.pid)
        if self._apart:
            job.first = self._apart.take()
            with suppress(OSError):  # tried again, and told, when there is a job
                self._apart.make_ready()

    @property
    def _spawns(self) -> bool:
        return self._session.start_method == "spawn"

    def _fork(self, spec: JobSpec, ends: list[int]) -> RunningJob:
        hello, theirs = socket.socketpair()
        with theirs:
            pid = os.fork()
            if pid == 0:
                hello.close()
                self._become_worker(spec, ends, theirs)
        return self._job(spec, pid, hello)

    def _spawn(self, spec: JobSpec, body: bytes, ends: list[int]) -> RunningJob:
        pid, hello = spawn(0, [(self._body, self._files), (body, ends)])
        return self._job(spec, pid, hello)

    def _job(self, spec: JobSpec, pid: int, hello: socket.socket) -> RunningJob:
        folder = Path(self._jobs, spec.id)
        job = RunningJob(spec.id, folder, pid, time.monotonic() + START_SECONDS, spec.timeout, hello)
        self._selector.register(hello, selectors.EVENT_READ, job)
        return job

    def _greet(self, job: RunningJob) -> None:
        """A worker begins, or has ended already and will be reaped."""
        hello, job.hello = job.hello, None
        if hello is None:
            return
        self._selector.unregister(hello)
        with hello, suppress(EOFError, ConnectionError):
            receive_frame(hello)
            job.deadline = time.monotonic() + job.seconds

    def _become_worker(self, spec: JobSpec, ends: list[int], hello: socket.socket) -> None:
        result, log, token = ends

        def begun() -> None:
            with hello, suppress(ConnectionError):  # one of its processes has said so already
                send_frame(hello, b"ready")

        try:
            os.setsid()
            limits.die_with_parent()
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            self._selector.close()
            data = mapped_for(spec, self._session.arrays, self._files)
            for descriptor in (self._sock.fileno(), self._wake, self._wake_end, *self._files):
                os.close(descriptor)
            for other in filter(None, (job.hello for job in self._running.values())):
                other.close()
            if self._apart:
                self._apart.close()
            start = runner.stored_start(spec)
            runner.work(
                spec,
                self._session,
                data,
                start,
                (result, log, token),
                by_fork(result, token),
                begun,
            )
        except BaseException as error:
            with suppress(OSError):  # the candidate may have closed them
                os.write(result, pack_report(own_fault(error), os.read(token, TOKEN_BYTES)))
        finally:
            os._exit(WORKER_FAULT)

    def _reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            self._forget_first(pid)
            job = self._running.pop(pid, None)
            if job is not None:
                job.kill()
                self._greet(job)
                if job.first:
                    os.waitpid(job.first, 0)
                if self._apart is None:
                    kill_children(keep=frozenset(self._running))
                remove_tree(job.folder)
                self._tell(id=job.id, status=os.waitstatus_to_exitcode(status), reason=job.reason)

    def _forget_first(self, pid: int) -> None:
        """The first process of a namespace has ended, and all in it."""
        if self._apart:
            self._apart.lost(pid)
        for job in self._running.values():
            if job.first == pid:
                job.first = 0

    def _kill_what_exceeds(self) -> None:
        for job in self._running.values():
            if not job.reason:
                job.reason = self._watch.exceeded(job)
                if job.reason:
                    job.kill()
        if self._apart is None:
            running = frozenset(self._running)
            if self._watch.exceeded_by_orphans([pid for pid in children() if pid not in running]):
                kill_children(keep=running)

    def _tell(self, **message: object) -> None:
        send_frame(self._sock, json.dumps(message).encode())


def main() -> None:
    limits.die_with_parent()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    sock = socket.socket(fileno=int(sys.argv[1]))
    sock.set_inheritable(False)
    preload(sys.argv[2:])
    ForkServer(sock).serve()
