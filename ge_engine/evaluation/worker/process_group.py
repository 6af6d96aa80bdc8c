"""The process group of one training: the worker forks or spawns its peers, and they meet through a file.

They communicate over loopback (gloo) or between GPUs (nccl). Both connect while the group is made, before
TCP is closed to them; Landlock holds for a thread and those that it starts, so gloo's own threads, which run
Python code where a future has a callback, are confined as well.
"""

from __future__ import annotations

import contextlib
import os
import select
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch._C._distributed_c10d import FileStore, Store

from ge_engine.evaluation.protocol.messages import (
    TOKEN_BYTES,
    WORKER_FAULT,
    BadReport,
    WorkerReport,
    pack_report,
    unpack_report,
)
from ge_engine.evaluation.sandbox import limits
from ge_engine.evaluation.sandbox.confinement import Steps
from ge_engine.evaluation.sandbox.process_tree import end_like
from ge_engine.evaluation.worker.gpu import require_gpu

PATIENCE = 5.0
LAST_WORDS = 0.5
"""Seconds after a failure within which a peer's, where it was the cause, arrives on its pipe."""
_MARK = bytes(TOKEN_BYTES)
_now, _write, _read, _pack, _unpack = time.monotonic, os.write, os.read, pack_report, unpack_report
_exit, _select = os._exit, select.select


@dataclass(frozen=True, slots=True)
class Peer:
    """A process that the first one started, and the end of the pipe on which it says how it failed."""

    pid: int
    channel: int


@dataclass(frozen=True, slots=True)
class ProcessGroup:
    """This process's place in a training: its rank, and its peers where that is 0."""

    rank: int = 0
    peers: tuple[Peer, ...] = ()
    channel: int = -1

    def leave(self, report: WorkerReport) -> None:
        """End a process that is not the first, which is told of `report` where that is a failure. Never
        returns."""
        if report.stage:
            facts = {"failed": _now()}
            _write(self.channel, _pack(WorkerReport(report.stage, report.kind, report.error, facts), _MARK))
        _exit(0)

    def cause(self, report: WorkerReport) -> WorkerReport:
        """What the training failed by: the report of the process that failed first. Where a peer was ended
        by a signal or left without a word, the first process ends in the same way."""
        if not report.stage or not self.peers:
            return report
        failed = {_now(): report}
        _select([peer.channel for peer in self.peers], [], [], LAST_WORDS)
        for peer in self.peers:
            told = self._told(peer)
            if told is not None:
                failed[told.facts["failed"]] = WorkerReport(told.stage, told.kind, told.error)
        return failed[min(failed)]

    def _told(self, peer: Peer) -> WorkerReport | None:
        with contextlib.suppress(BlockingIOError):
            data = _read(peer.channel, 2**16)
            if not data:
                end_like(peer.pid)
            with contextlib.suppress(BadReport):
                report = _unpack(data, _MARK)
                return report if "failed" in report.facts else None
        return None


StartPeers = Callable[[int], ProcessGroup]
"""Given the number of processes, starts the peers of this one, and returns its place in the group."""


def join_group(
    start_peers: StartPeers,
    count: int,
    threads: int,
    folder: Path,
    seconds: float,
    confinement: Steps,
    gpu: bool,
) -> ProcessGroup:
    """Have `start_peers` bring `count` processes together, confine each, connect all where there are several,
    and close it once it needs no new connections. With `gpu` each trains on a GPU, and has used it when this
    returns. Nothing of CUDA may have been used before. A process waits for another for at most `seconds`.

    Raises:
        OSError: the system allows no further process, or a GPU is not usable.
        RuntimeError: they do not come together, or a thread cannot be confined.
    """
    if count == 1:
        confinement.files()
        confinement.close()
        if gpu:
            require_gpu()
        return ProcessGroup()
    group = start_peers(count)
    try:
        confinement.files()
        os.environ.update(environment(group.rank, count, threads))
        store = FileStore(str(folder / ".group"), count)
        _join(group.rank, count, store, seconds, gpu)
        if dist.get_backend() == "gloo":
            _on_gloo_threads(confinement.close, group, count, store)
        confinement.close()
    except BaseException as error:
        if group.rank == 0:
            raise
        print(f"process {group.rank}: {error}", file=sys.stderr, flush=True)
        _exit(WORKER_FAULT)
    return group


def by_fork(*kept: int) -> StartPeers:
    """Peers are copies of this process. They lose the descriptors `kept`: only the first process reports."""
    return partial(_fork, kept)


def by_spawn(begin: Callable[[int, int], tuple[int, Callable[[], None]]]) -> StartPeers:
    """Peers are new processes: `begin` takes a rank and the end of a pipe to speak on, and gives the process
    id and what waits until the process is ready."""
    return partial(_spawn, begin)


def _spawn(begin: Callable[[int, int], tuple[int, Callable[[], None]]], count: int) -> ProcessGroup:
    peers, waits = [], []
    for rank in range(1, count):
        reading, writing = os.pipe()
        pid, wait = begin(rank, writing)
        peers.append(_peer(pid, reading, writing))
        waits.append(wait)
    for wait in waits:
        wait()
    return ProcessGroup(0, tuple(peers))


def _fork(kept: tuple[int, ...], count: int) -> ProcessGroup:
    peers: list[Peer] = []
    for rank in range(1, count):
        reading, writing = os.pipe()
        pid = os.fork()
        if pid == 0:
            limits.die_with_parent()
            for end in (*kept, reading, *(peer.channel for peer in peers)):
                os.close(end)
            return ProcessGroup(rank, (), writing)
        peers.append(_peer(pid, reading, writing))
    return ProcessGroup(0, tuple(peers))


def _peer(pid: int, reading: int, writing: int) -> Peer:
    os.close(writing)
    os.set_blocking(reading, False)
    return Peer(pid, reading)


def environment(rank: int, count: int, threads: int) -> Mapping[str, str]:
    """What torch and accelerate read of a group of processes on one machine."""
    loopback = "lo" if limits.LINUX else "lo0"
    return {
        "RANK": str(rank),
        "LOCAL_RANK": str(rank),
        "WORLD_SIZE": str(count),
        "LOCAL_WORLD_SIZE": str(count),
        "OMP_NUM_THREADS": str(threads),
        "GLOO_SOCKET_IFNAME": loopback,
        "NCCL_SOCKET_IFNAME": loopback,
        "NCCL_RUNTIME_CONNECT": "0",
    }


def _join(rank: int, count: int, store: Store, seconds: float, gpu: bool) -> None:
    options: dict[str, Any] = {"store": store, "rank": rank, "world_size": count}
    options["timeout"] = timedelta(seconds=seconds)
    if gpu:
        _join_on_gpu(rank, options)
    else:
        dist.init_process_group("gloo", **options)


def _join_on_gpu(rank: int, options: Mapping[str, Any]) -> None:
    try:
        device = torch.device("cuda", rank)
        torch.cuda.set_device(device)
        require_gpu()
        dist.init_process_group("nccl", device_id=device, **options)
        dist.barrier()
    except (RuntimeError, AssertionError) as error:
        raise OSError(f"the processes of a training do not come together on its GPUs: {error}") from error


def _on_gloo_threads(act: Callable[[], object], group: ProcessGroup, count: int, store: Store) -> None:
    """Call `act` on each of gloo's threads that run Python code, in one process after the other: the others
    hold an operation up until it has its callback, which would run on the calling thread otherwise."""
    world: Any = dist.group.WORLD
    threads = world._get_backend(torch.device("cpu")).options._threads
    for rank in range(count):
        operations = []
        if rank != group.rank:
            store.wait([f"confine {rank}"])
        for _ in range(threads):
            operations.append(dist.all_reduce(torch.ones(1), async_op=True).get_future())
        if rank == group.rank:
            reached: set[int] = set()
            once = _once_a_thread(act, threads, reached)
            operations = [operation.then(once) for operation in operations]
            store.set(f"confine {rank}", "1")
        for operation in operations:
            operation.wait()
        if rank == group.rank and len(reached) != threads:
            raise RuntimeError("a thread of the process group cannot be confined")


def _once_a_thread(act: Callable[[], object], threads: int, reached: set[int]) -> Callable[[object], None]:
    """A callback that holds its thread until all have one, so that none runs it twice."""
    barrier = threading.Barrier(threads)

    def once(_: object) -> None:
        barrier.wait(PATIENCE)
        act()
        reached.add(threading.get_native_id())

    return once
