"""Confines a worker before anything of the candidate runs."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from ge_engine.agents.own_memory import hide_memory
from ge_engine.evaluation.protocol.messages import JobSpec, SessionSpec
from ge_engine.evaluation.sandbox import landlock, limits, namespaces, network, seccomp

FILE_BYTES = 256 * 2**20
_LANDLOCKED = ("landlock", "bwrap")
_OF_THE_MACHINE = (
    "cpuinfo",
    "devices",
    "driver",
    "filesystems",
    "loadavg",
    "meminfo",
    "stat",
    "sys",
    "uptime",
    "version",
    "vmstat",
)


_RULES: dict[str, landlock.Rule] = {}
"""Rules that hold for all workers, opened by `warm` in the process that they are forks of."""


_PROGRAMS: dict[str, bytes] = {}
"""The filter over system calls by sandbox, made by `warm`."""


def warm(session: SessionSpec) -> None:
    """Prepare what confines all forks of this process, so that they begin sooner: the filter, and the paths
    that they may read, opened once. Each has a /proc of its own."""
    if limits.LINUX:
        _PROGRAMS[session.sandbox] = _program(session, seccomp.WITHIN)
    if not _landlocked(session):
        return
    places = [path for path in session.readable if path != "/proc" and not path.startswith("/proc/")]
    if limits.room_for_files(len(places)):
        _RULES.update(landlock.rules_to_read(places))


@dataclass(frozen=True, slots=True)
class Steps:
    """What is still to be taken from each process of a candidate: first the `files`, and when it has the
    connections that it needs, further ones and system calls (`close`)."""

    files: Callable[[], object]
    close: Callable[[], object]


def settle(spec: JobSpec, session: SessionSpec, folder: Path, log: int) -> Steps:
    """Take from this process what it does not need; returns what is left to do, in this process and, where
    several train on GPUs together, in each of them."""
    import torch  # here: what `in_force` starts answers sooner without it

    nothing = os.open(os.devnull, os.O_RDONLY)
    for source, target in ((nothing, 0), (log, 1), (log, 2)):
        os.dup2(source, target)
    os.chdir(folder)
    os.environ.update(HOME=str(folder), TMPDIR=str(folder), TORCHINDUCTOR_CACHE_DIR=str(folder / "compiled"))
    tempfile.tempdir = str(folder)
    _show_devices(spec, session)
    hide_memory(False)
    limits.prefer_to_kill()
    alone = _show_own_processes()
    if session.sandbox != "none" and session.device == "cpu" and network.own_network():
        limits.limit_tasks()
    limits.drop_privileges()
    landlocked = _landlocked(session)
    files = partial(hold_files, spec, session, folder, alone) if landlocked else _nothing
    if landlocked:
        landlock.hold_reach()
    if not _each_for_itself(spec, session):
        files()
        files = _nothing
    limits.set_limits(
        memory=session.memory,
        cpu_seconds=spec.timeout * (session.threads + 1) + 10,
        file_bytes=FILE_BYTES,
        cuda=on_gpu(spec, session),
    )
    torch.set_num_threads(session.threads if spec.kind == "train" else 1)
    return Steps(files, partial(close, session, alone))


def settle_along(spec: JobSpec, session: SessionSpec, folder: Path) -> Steps:
    """Of a process that one which has settled has spawned: what it holds already is not done again."""
    if _each_for_itself(spec, session) and _landlocked(session):
        hold_files(spec, session, folder, alone=False)
    return Steps(_nothing, partial(close, session, False))


def hold_files(spec: JobSpec, session: SessionSpec, folder: Path, alone: bool) -> None:
    """Confine this process, of one thread, to the files that it needs. `alone` as in `close`."""
    places = _places(spec, session, folder, alone)
    other = [path for path in places.readable if path not in _RULES]
    landlock.restrict_files(other, places.writable, session.listed, _RULES.values(), places.written)
    _RULES.clear()


def close(session: SessionSpec, alone: bool) -> None:
    """Take from this process new connections, and the system calls that no candidate may make. `alone`: its
    process namespace holds no process but the candidate's."""
    landlocked = session.sandbox in _LANDLOCKED
    if landlocked:
        landlock.close_network()
    if alone or (landlocked and landlock.landlock_version() >= 6):
        seccomp.hold(_PROGRAMS.get(session.sandbox) or _program(session, seccomp.WITHIN))
    else:
        seccomp.hold(_program(session, {**seccomp.WITHIN, **seccomp.signals_to(os.getpid())}))


def in_force() -> set[str]:
    """What is available here, tried in another process: "filter" over system calls, "processes" in
    namespaces."""
    if not limits.LINUX:
        return set()
    command = [sys.executable, "-P", "-m", "ge_engine.evaluation.sandbox.confinement"]
    tried = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    return set(tried.stdout.split())


def _program(session: SessionSpec, rules: seccomp.Rules) -> bytes:
    if session.device == "cuda":
        allowed, rules = ("memfd_create",), {**rules, **seccomp.DEVICES}
        if session.sandbox == "none":
            return seccomp.of_candidate(rules, allowed=allowed)
        return seccomp.of_candidate({**rules, **seccomp.DRIVER}, refused=("connect",), allowed=allowed)
    if session.sandbox == "none":
        return seccomp.of_candidate({**rules, **seccomp.OPEN_NETWORK})
    return seccomp.of_candidate(rules, refused=seccomp.NO_SOCKETS)


def _nothing() -> None:
    """It is done already, or there is nothing to do it with."""


def on_gpu(spec: JobSpec, session: SessionSpec) -> bool:
    """Whether the job trains on GPUs, so that no namespaces come between it and the driver."""
    return session.device == "cuda" and spec.kind == "train"


def _landlocked(session: SessionSpec) -> bool:
    """Whether Landlock holds the session's candidates, where the kernel has it."""
    return session.sandbox in _LANDLOCKED and landlock.landlock_version() > 0


def _each_for_itself(spec: JobSpec, session: SessionSpec) -> bool:
    """Whether the processes of the job are confined one by one: each on a GPU writes the names of its threads
    in /proc, and a rule for that can only be made by itself, once it is there."""
    return on_gpu(spec, session) and session.processes > 1


def _show_devices(spec: JobSpec, session: SessionSpec) -> None:
    """A training sees its own GPUs; all else runs on the processor and shall not find any."""
    if session.device != "cuda":
        return
    if spec.kind != "train":
        os.environ["CUDA_VISIBLE_DEVICES"] = ""
    elif spec.devices:
        os.environ["CUDA_VISIBLE_DEVICES"] = spec.devices


def _show_own_processes() -> bool:
    """Whether this process has a process namespace of its own, which then is what /proc shows."""
    if os.getppid() != 0:
        return False
    with suppress(OSError):
        namespaces.mount_processes()
        return True
    return False


@dataclass(frozen=True, slots=True)
class _Places:
    """What a process may read, what it may change, and below which folders it may write to files that are
    there."""

    readable: list[str]
    writable: list[str]
    written: list[str]


def _places(spec: JobSpec, session: SessionSpec, folder: Path, alone: bool) -> _Places:
    """Of other processes nothing may be read, unless several train on GPUs together: the driver of each must
    read about the processes of the others. CUDA's driver names its threads by /proc/self/task/*/comm, and
    does not start (error 304) where it cannot; https://github.com/NVIDIA/OpenShell/issues/1486."""
    readable = list(session.readable)
    own = os.path.realpath("/proc/self")
    if not alone and not _each_for_itself(spec, session):
        kept = [own, *(f"/proc/{name}" for name in _OF_THE_MACHINE)]
        readable = [path for path in readable if path != "/proc"] + kept
        _pin(kept)
    written = [os.path.join(own, "task")] if on_gpu(spec, session) else []
    _pin(written)
    return _Places(readable, [str(folder), *_devices(spec, session)], written)


def _pin(paths: list[str]) -> None:
    """Keep the files of /proc in the kernel's memory: Landlock knows them by what it has there."""
    for path in paths:
        with suppress(FileNotFoundError):
            os.open(path, os.O_PATH | os.O_CLOEXEC)


def _devices(spec: JobSpec, session: SessionSpec) -> list[str]:
    """Device files; nccl keeps memory that its processes share among them."""
    wanted = ["null", "zero", "full", "random", "urandom"]
    if not on_gpu(spec, session):
        return [f"/dev/{name}" for name in wanted]
    wanted += ["dri", "kfd", "shm"] if session.processes > 1 else ["dri", "kfd"]
    return [f"/dev/{name}" for name in os.listdir("/dev") if name in wanted or name.startswith("nvidia")]


if __name__ == "__main__":
    if limits.succeeds(namespaces.settle_apart):
        print("processes")
    if network.refuse_sockets():
        print("filter")
