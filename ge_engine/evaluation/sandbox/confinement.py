"""Confines a worker before anything of the candidate runs."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path

import torch

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
    if session.sandbox not in _LANDLOCKED or not landlock.landlock_version():
        return
    places = [path for path in session.readable if path != "/proc" and not path.startswith("/proc/")]
    if limits.room_for_files(len(places)):
        _RULES.update(landlock.rules_to_read(places))


def settle(spec: JobSpec, session: SessionSpec, folder: Path, log: int) -> Callable[[], object]:
    """Take from this process what it does not need; returns what takes connections and system calls from it,
    to be called when it has the connections that it needs."""
    nothing = os.open(os.devnull, os.O_RDONLY)
    for source, target in ((nothing, 0), (log, 1), (log, 2)):
        os.dup2(source, target)
    os.chdir(folder)
    os.environ.update(HOME=str(folder), TMPDIR=str(folder), TORCHINDUCTOR_CACHE_DIR=str(folder / "compiled"))
    tempfile.tempdir = str(folder)
    if spec.devices:
        os.environ["CUDA_VISIBLE_DEVICES"] = spec.devices
    limits.hide_memory(False)
    limits.prefer_to_kill()
    alone = _show_own_processes()
    if session.sandbox != "none" and session.device == "cpu" and network.own_network():
        limits.limit_tasks()
    limits.drop_privileges()
    if session.sandbox in _LANDLOCKED and landlock.landlock_version():
        readable, writable = _places(session, folder, alone)
        other = [path for path in readable if path not in _RULES]
        landlock.restrict_files(other, writable, session.listed, _RULES.values())
        _RULES.clear()
    limits.set_limits(
        memory=session.memory,
        cpu_seconds=spec.timeout * (session.threads + 1) + 10,
        file_bytes=FILE_BYTES,
        cuda=session.device == "cuda" and spec.kind == "train",
    )
    torch.set_num_threads(session.threads if spec.kind == "train" else 1)
    return partial(close, session, alone)


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


def _show_own_processes() -> bool:
    """Whether this process has a process namespace of its own, which then is what /proc shows."""
    if os.getppid() != 0:
        return False
    with suppress(OSError):
        namespaces.mount_processes()
        return True
    return False


def _places(session: SessionSpec, folder: Path, alone: bool) -> tuple[list[str], list[str]]:
    """What may be read, and what may be changed: also device files, among which nccl keeps shared memory of
    its processes. Of other processes nothing may be read, unless several train on GPUs together: the driver
    of each must read about the processes of the others, and those that have not begun cannot be named."""
    readable = list(session.readable)
    writable = [str(folder), *_devices(session)]
    if not alone and not (session.device == "cuda" and session.processes > 1):
        own = os.path.realpath("/proc/self")
        kept = [own, *(f"/proc/{name}" for name in _OF_THE_MACHINE)]
        readable = [path for path in readable if path != "/proc"] + kept
        _pin(kept)
        writable += [own] if session.device == "cuda" else []
    return readable, writable


def _pin(paths: list[str]) -> None:
    """Keep the files of /proc in the kernel's memory: Landlock knows them by what it has there."""
    for path in paths:
        with suppress(FileNotFoundError):
            os.open(path, os.O_PATH | os.O_CLOEXEC)


def _devices(session: SessionSpec) -> list[str]:
    wanted = ["null", "zero", "full", "random", "urandom", "dri", "kfd"]
    wanted += ["shm"] if session.device == "cuda" and session.processes > 1 else []
    return [f"/dev/{name}" for name in os.listdir("/dev") if name in wanted or name.startswith("nvidia")]


if __name__ == "__main__":
    if limits.succeeds(namespaces.settle_apart):
        print("processes")
    if network.refuse_sockets():
        print("filter")
