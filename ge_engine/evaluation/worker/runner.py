"""A worker from its confinement to its report. It leaves through `os._exit`.

What it calls after the candidate's code has begun is bound before: the candidate may replace the originals.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from torch import Tensor

from ge_engine.evaluation.protocol.messages import (
    BEGUN,
    CHECKPOINT_LIMIT,
    TOKEN_BYTES,
    JobSpec,
    SessionSpec,
    pack_report,
)
from ge_engine.evaluation.protocol.plain_file import read_plain
from ge_engine.evaluation.sandbox import confinement
from ge_engine.evaluation.worker.jobs import pseudo_files, run
from ge_engine.evaluation.worker.process_group import StartPeers, join_group
from ge_engine.evaluation.worker.sealing import seal

_write, _read, _exit, _pack = os.write, os.read, os._exit, pack_report


def work(
    spec: JobSpec,
    session: SessionSpec,
    data: Mapping[str, Tensor],
    start: bytes,
    ends: tuple[int, int, int],
    start_peers: StartPeers,
    begun: Callable[[], object],
) -> None:
    """Run the job `spec` and end this process; never returns.

    Of the descriptors `ends`, the report goes to the first and what is printed to the second. The token waits
    in the third, and is in no memory before the report is made. `begun` is called before anything of the
    candidate runs.
    """
    result, log, token = ends
    folder = _folder(spec, session)
    folder.mkdir(parents=True)
    sys.argv = [session.seed_path]
    steps = confinement.settle(spec, session, folder, log)
    count = session.processes if spec.kind == "train" else 1
    gpu = confinement.on_gpu(spec, session)
    group = join_group(start_peers, count, session.threads, folder, spec.timeout, steps, gpu)
    begun()
    if not group.rank:
        _write(result, BEGUN)
    seal(pseudo_files(spec, session))
    report = run(spec, session, data, start, group.rank)
    if group.rank:
        group.leave(report)
    report = group.cause(report)
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):  # the candidate may have closed or replaced it
            stream.flush()
    message = memoryview(_pack(report, _read(token, TOKEN_BYTES)))
    while message:
        message = message[_write(result, message) :]
    _exit(0)


def train_along(
    spec: JobSpec,
    session: SessionSpec,
    data: Mapping[str, Tensor],
    start: bytes,
    start_peers: StartPeers,
) -> None:
    """The part of a process that the first one has spawned: what the first one has confined holds here as
    well. Never returns."""
    sys.argv = [session.seed_path]
    torch.set_num_threads(session.threads)
    folder, gpu = _folder(spec, session), confinement.on_gpu(spec, session)
    steps = confinement.settle_along(spec, session, folder)
    group = join_group(start_peers, session.processes, session.threads, folder, spec.timeout, steps, gpu)
    seal(pseudo_files(spec, session))
    group.leave(run(spec, session, data, start, group.rank))


def stored_start(spec: JobSpec) -> bytes:
    """The checkpoint to continue from, or the parent's weights to begin with, to be read before the sandbox
    closes; what is lost, or no plain file, is b""."""
    try:
        return read_plain(Path(spec.start), CHECKPOINT_LIMIT) if spec.start else b""
    except OSError:
        return b""


def _folder(spec: JobSpec, session: SessionSpec) -> Path:
    return Path(session.scratch, "jobs", spec.id)
