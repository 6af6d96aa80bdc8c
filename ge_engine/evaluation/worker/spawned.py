"""The entry of a worker that was spawned: `python -m ge_engine.evaluation.worker.spawned SOCKET RANK`.

The socket brings a frame with the session and the files of the arrays (and of what the training starts
from), and one with the job and descriptors: of the result, the log and the token for the process of rank 0,
of the pipe to that one for another. A frame goes back before anything of the candidate runs.
"""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Callable, Sequence
from functools import partial

from ge_engine.evaluation.data import module_loader
from ge_engine.evaluation.protocol.frames import receive_frame, send_frame
from ge_engine.evaluation.protocol.messages import (
    TOKEN_BYTES,
    WORKER_FAULT,
    JobSpec,
    SessionSpec,
    job_from_json,
    own_fault,
    pack_report,
    session_from_json,
)
from ge_engine.evaluation.sandbox import limits
from ge_engine.evaluation.worker.spawn import await_ready, spawn


def main() -> None:
    rank = int(sys.argv[2])
    if rank == 0:
        os.setsid()
    limits.die_with_parent()
    sock = socket.socket(fileno=int(sys.argv[1]))
    sock.set_inheritable(False)
    session_body, files = receive_frame(sock)
    spec_body, ends = receive_frame(sock)
    session, spec = session_from_json(session_body), job_from_json(spec_body)
    try:
        if rank:
            _train_along(spec, session, files, sock, rank, ends[0])
        else:
            _work(spec, session, files, sock, (session_body, spec_body), ends)
    except BaseException as error:
        if rank == 0:
            os.write(ends[0], pack_report(own_fault(error), os.read(ends[2], TOKEN_BYTES)))
        else:
            print(f"process {rank}: {error}", file=sys.stderr, flush=True)
    os._exit(WORKER_FAULT)


def _work(
    spec: JobSpec,
    session: SessionSpec,
    files: Sequence[int],
    sock: socket.socket,
    bodies: tuple[bytes, bytes],
    ends: Sequence[int],
) -> None:
    from ge_engine.evaluation.data import shared_arrays
    from ge_engine.evaluation.worker import process_group, runner

    result, log, token = ends
    start = runner.stored_start(spec)
    peers_read = start if session.processes > 1 else b""
    shared = [*files, shared_arrays.sealed_memory(memoryview(peers_read))]

    def begin(rank: int, channel: int) -> tuple[int, Callable[[], None]]:
        pid, theirs = spawn(rank, [(bodies[0], shared), (bodies[1], [channel])])
        return pid, partial(await_ready, theirs)

    def begun() -> None:
        _be_ready(session, sock)
        for file in shared:
            os.close(file)

    data = shared_arrays.mapped_for(spec, session.arrays, files)
    runner.work(spec, session, data, start, (result, log, token), process_group.by_spawn(begin), begun)


def _train_along(
    spec: JobSpec, session: SessionSpec, files: Sequence[int], sock: socket.socket, rank: int, channel: int
) -> None:
    from ge_engine.evaluation.data import shared_arrays
    from ge_engine.evaluation.worker import process_group, runner

    *arrays, stored = files
    start = os.pread(stored, os.fstat(stored).st_size, 0)
    data = shared_arrays.mapped_for(spec, session.arrays, arrays)
    for file in files:
        os.close(file)

    def start_peers(_: int) -> process_group.ProcessGroup:
        _be_ready(session, sock)
        return process_group.ProcessGroup(rank, (), channel)

    runner.train_along(spec, session, data, start, start_peers)


def _be_ready(session: SessionSpec, sock: socket.socket) -> None:
    """Import what a training needs, and say that the candidate may begin."""
    if session.confined:
        module_loader.see_only(session.readable)
    module_loader.preload(session.preload)
    send_frame(sock, b"ready")
    sock.close()


if __name__ == "__main__":
    main()
