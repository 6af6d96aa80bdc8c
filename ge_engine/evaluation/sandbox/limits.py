"""Limits of a process that runs generated code: memory, time, files, processes, privileges (mostly Linux)."""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import struct
import sys
from collections.abc import Callable

_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_SET_NO_NEW_PRIVS = 1, 4, 38
_PR_SET_CHILD_SUBREAPER, _PR_CAPBSET_DROP = 36, 24
_LIBC = ctypes.CDLL(None, use_errno=True)
LINUX = sys.platform == "linux"
PROCESSES = 128
"""Processes that may descend from a candidate's at once."""
FILES = 1024
"""Files that a candidate may have open."""
TASKS = 1024
"""Processes and threads of a candidate at once: counted by its user namespace, where it has one and is not
root's, and by the fork server."""


def set_limits(*, memory: int, cpu_seconds: float, file_bytes: int, cuda: bool) -> None:
    """Limit this process. `memory` is bytes on top of what it has mapped now; on a GPU the address
    space is left alone, because CUDA reserves far more than it uses."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (file_bytes, file_bytes))
    seconds = int(cpu_seconds) + 1
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 5))
    _lower(resource.RLIMIT_NOFILE, FILES)
    if LINUX:
        _lower(resource.RLIMIT_NPROC, 16_384)
        if not cuda:
            _lower(resource.RLIMIT_AS, mapped_bytes() + memory)
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)


def limit_tasks() -> None:
    """Limit the processes and threads in this process's own user namespace to `TASKS` (Linux). The system's
    administrator is exempt."""
    _lower(resource.RLIMIT_NPROC, TASKS)


def _lower(which: int, value: int) -> None:
    hard = resource.getrlimit(which)[1]
    value = value if hard == resource.RLIM_INFINITY else min(value, hard)
    resource.setrlimit(which, (value, value))


def room_for_files(count: int) -> bool:
    """Let this process have `count` more files open than now, if the system allows that many."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = count + FILES
    if hard != resource.RLIM_INFINITY and hard < wanted:
        return False
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return True


def mapped_bytes() -> int:
    """The size of this process's address space in bytes (Linux)."""
    with open("/proc/self/statm", "rb") as file:
        return int(file.read().split()[0]) * os.sysconf("SC_PAGE_SIZE")


def succeeds(act: Callable[[], bool]) -> bool:
    """Whether `act` gives true without an OSError, tried in a process of its own that then ends."""
    pid = os.fork()
    if pid == 0:
        try:
            os._exit(0 if act() else 1)
        finally:
            os._exit(1)
    return os.waitpid(pid, 0)[1] == 0


def die_with_parent() -> None:
    """Ask the kernel for SIGKILL when the parent dies (Linux)."""
    if LINUX:
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def adopt_orphans() -> None:
    """Become the parent of every orphan among our descendants, so that none escapes (Linux)."""
    if LINUX:
        _LIBC.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def hide_memory(hidden: bool) -> None:
    """Refuse or allow other processes of this user to read our memory and environment (Linux)."""
    if LINUX:
        _LIBC.prctl(_PR_SET_DUMPABLE, 0 if hidden else 1, 0, 0, 0)


def prefer_to_kill() -> None:
    """Make this process the first that the system kills when memory runs out (Linux)."""
    if LINUX:
        with open("/proc/self/oom_score_adj", "w") as file:
            file.write("1000")


def drop_privileges() -> None:
    """Give up every capability for good, those in a namespace of its own as well (Linux)."""
    if not LINUX:
        return
    _LIBC.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    for capability in range(64):
        _LIBC.prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0)
    header = ctypes.create_string_buffer(struct.pack("Ii", 0x20080522, 0))
    data = ctypes.create_string_buffer(struct.pack("6I", *(0,) * 6))
    if _LIBC.capset(header, data) != 0:
        raise OSError(ctypes.get_errno(), "capset failed")
