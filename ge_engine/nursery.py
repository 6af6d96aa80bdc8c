"""The warm process that forks a worker for each job: `python -m ge_engine.nursery DESCRIPTOR`.

It imports torch and maps the data once, never runs generated code and never touches the GPU. It is the
only parent of all workers, adopts whatever they leave behind, and kills it. The first frame is the
`Setup` with the arrays' files; every further one is an `Order` with a result and a log descriptor. It
answers "ready", and {"id", "pid"} and {"id", "status", "reason"} for each job.
"""

from __future__ import annotations

import gc
import importlib
import json
import mmap
import os
import selectors
import shutil
import signal
import socket
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import torch
import torch._dynamo
import torch.utils.flop_counter
from torch import Tensor

from ge_engine import worker
from ge_engine.training import limits
from ge_engine.training.channel import receive_frame, send_frame
from ge_engine.training.orders import Block, Order, order_from_json, pack_report, setup_from_json

FOLDER_BYTES = 2 * 2**30
PROCESSES = 128
WATCH_SECONDS = 0.5


@dataclass(slots=True)
class Running:
    """A worker: the job's id, its process, its deadline on the monotonic clock, and why it was killed."""

    id: str
    pid: int
    deadline: float
    reason: str = ""


class Nursery:
    """Serves one evaluation over `sock` until the engine closes it."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        body, files = receive_frame(sock)
        self._setup = setup_from_json(body)
        self._data = map_blocks(self._setup.blocks, files)
        self._running: dict[int, Running] = {}
        self._wake, wake_end = os.pipe()
        for end in (self._wake, wake_end):
            os.set_blocking(end, False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(wake_end, warn_on_full_buffer=False)
        self._wake_end = wake_end

    def serve(self) -> None:
        """Fork, watch and reap until the engine is gone; then kill what is left."""
        preload(self._setup.preload)
        torch.set_num_threads(1)
        gc.collect()
        gc.freeze()
        send_frame(self._sock, b'{"ready": true}')
        selector = selectors.DefaultSelector()
        selector.register(self._sock, selectors.EVENT_READ)
        selector.register(self._wake, selectors.EVENT_READ)
        try:
            while True:
                ready = {key.fd for key, _ in selector.select(self._patience())}
                if self._wake in ready:
                    with suppress(BlockingIOError):
                        os.read(self._wake, 4096)
                self._reap()
                self._watch()
                if self._sock.fileno() in ready:
                    self._accept()
        except (EOFError, ConnectionError):
            for job in self._running.values():
                kill_group(job.pid)
            kill_children(keep=frozenset())

    def _patience(self) -> float | None:
        if not self._running:
            return None
        first = min(job.deadline for job in self._running.values())
        return min(WATCH_SECONDS, max(0.0, first - time.monotonic()))

    def _accept(self) -> None:
        body, (result, log) = receive_frame(self._sock)
        order = order_from_json(body)
        started = time.monotonic()
        try:
            pid = os.fork()
        except OSError as error:
            os.close(result)
            os.close(log)
            self._tell(id=order.id, status=0, reason=f"fork: {error.strerror}")
            return
        if pid == 0:
            self._become_worker(order, result, log)
        os.close(result)
        os.close(log)
        self._running[pid] = Running(order.id, pid, started + order.timeout)
        self._tell(id=order.id, pid=pid)

    def _become_worker(self, order: Order, result: int, log: int) -> None:
        try:
            os.setsid()
            limits.die_with_parent()
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            for descriptor in (self._sock.fileno(), self._wake, self._wake_end):
                os.close(descriptor)
            worker.work(order, self._setup, self._data, result, log)
        except BaseException as error:
            os.write(result, pack_report(worker.own_fault(error), bytes.fromhex(order.token)))
        os._exit(worker.WORKER_FAULT)

    def _reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            job = self._running.pop(pid, None)
            if job is not None:
                kill_group(pid)
                kill_children(keep=frozenset(self._running))
                shutil.rmtree(Path(self._setup.scratch, "jobs", job.id), ignore_errors=True)
                self._tell(id=job.id, status=os.waitstatus_to_exitcode(status), reason=job.reason)

    def _watch(self) -> None:
        now = time.monotonic()
        for job in self._running.values():
            if job.reason:
                continue
            if now >= job.deadline:
                job.reason = "timeout"
            elif folder_bytes(Path(self._setup.scratch, "jobs", job.id)) > FOLDER_BYTES:
                job.reason = "disk"
            if job.reason:
                kill_group(job.pid)

    def _tell(self, **message: object) -> None:
        send_frame(self._sock, json.dumps(message).encode())


def map_blocks(blocks: Mapping[str, Block], files: list[int]) -> dict[str, Tensor]:
    """Tensors over the shared files, copy-on-write: what a worker writes, no other sees."""
    tensors = {}
    for (name, block), file in zip(blocks.items(), files, strict=True):
        memory = mmap.mmap(file, block.nbytes, access=mmap.ACCESS_COPY)
        os.close(file)
        kind = torch.int64 if block.dtype == "int64" else torch.uint8
        tensors[name] = torch.frombuffer(memory, dtype=kind).view(block.shape)
    return tensors


def preload(names: tuple[str, ...]) -> None:
    """Import the libraries that the seed imports, so that workers need not. What fails here fails again,
    with its own error, in the worker."""
    for name in names:
        try:
            importlib.import_module(name)
        except Exception as error:
            print(f"not preloaded: {name}: {error}", file=sys.stderr)


def kill_group(pid: int) -> None:
    """SIGKILL the session of a worker that is not yet reaped, or whose group outlives it."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)


def kill_children(keep: frozenset[int]) -> None:
    """Kill and reap every child of this process but `keep`: orphans that left their worker's session."""
    while strays := [pid for pid in children() if pid not in keep]:
        for pid in strays:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            with suppress(ChildProcessError):
                os.waitpid(pid, 0)


def children() -> list[int]:
    """Process ids of this process's children (Linux); elsewhere none are known."""
    try:
        text = Path(f"/proc/self/task/{os.getpid()}/children").read_text()
    except FileNotFoundError:
        return []
    return [int(word) for word in text.split()]


def folder_bytes(folder: Path) -> int:
    """Bytes of the files directly in `folder`, and of its subfolders down to three levels."""
    total, pending = 0, [(str(folder), 0)]
    while pending:
        path, depth = pending.pop()
        with suppress(OSError), os.scandir(path) as entries:
            for entry in entries:
                with suppress(OSError):
                    if entry.is_dir(follow_symlinks=False):
                        pending += [(entry.path, depth + 1)] if depth < 3 else []
                    else:
                        total += entry.stat(follow_symlinks=False).st_blocks * 512
    return total


def main() -> None:
    limits.die_with_parent()
    limits.adopt_orphans()
    limits.hide_memory(True)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    Nursery(socket.socket(fileno=int(sys.argv[1]))).serve()


if __name__ == "__main__":
    main()
