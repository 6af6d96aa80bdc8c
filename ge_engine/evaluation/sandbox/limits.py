"""Limits of a process that runs generated code: memory, time, files, processes, privileges (mostly Linux)."""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import struct
import sys
from collections.abc import Callable
from contextlib import suppress

_PR_SET_PDEATHSIG, _PR_SET_NO_NEW_PRIVS = 1, 38
_PR_SET_CHILD_SUBREAPER, _PR_CAPBSET_DROP = 36, 24
_LIBC = ctypes.CDLL(None, use_errno=True)
LINUX = sys.platform == "linux"
PROCESSES = 128
"""Processes that may descend from a candidate's at once."""
FILES = 1024
"""Files that a candidate may have open."""
OUTPUT_BYTES = 256 * 2**20
"""The largest file that a program of the user's may write."""
TASKS = 1024
"""Processes and threads of a candidate at once: counted by its user namespace, where it has one and is not
root's, and by the fork server."""


def set_limits(*, memory: int, cpu_seconds: float, file_bytes: int, cuda: bool) -> None:
    """Limit this process. `memory` is bytes on top of what it has mapped now; on a GPU the address
    space is left alone, because CUDA reserves far more than it uses."""
    lower(resource.RLIMIT_CORE, 0)
    lower(resource.RLIMIT_FSIZE, file_bytes)
    seconds = int(cpu_seconds) + 1
    lower(resource.RLIMIT_CPU, seconds, seconds + 5)
    lower(resource.RLIMIT_NOFILE, FILES)
    if LINUX:
        lower(resource.RLIMIT_NPROC, 16_384)
        if not cuda:
            with suppress(FileNotFoundError):  # there is no /proc
                lower(resource.RLIMIT_AS, mapped_bytes() + memory)
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)


def limit_tasks() -> None:
    """Limit the processes and threads in this process's own user namespace to `TASKS` (Linux). The system's
    administrator is exempt."""
    lower(resource.RLIMIT_NPROC, TASKS)


def limit_program(memory: int) -> None:
    """Limit this process as one that runs a program of the user's, to `memory` bytes of data."""
    lower(resource.RLIMIT_CORE, 0)
    lower(resource.RLIMIT_FSIZE, OUTPUT_BYTES)
    lower(resource.RLIMIT_DATA, memory)


def lower(which: int, soft: int, hard: int | None = None) -> None:
    """Bring a limit of this process, and the hard one, down to `soft` and `hard` (the same without it); one
    that the system or the user has set lower stays."""
    wanted = soft, soft if hard is None else hard
    now = resource.getrlimit(which)
    resource.setrlimit(which, (_least(now[0], wanted[0]), _least(now[1], wanted[1])))


def _least(now: int, wanted: int) -> int:
    return wanted if now == resource.RLIM_INFINITY else min(now, wanted)


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


def die_with_parent(number: int = signal.SIGKILL) -> None:
    """Ask the kernel for a signal when the parent dies, or its thread that made this process (Linux)."""
    if LINUX:
        _LIBC.prctl(_PR_SET_PDEATHSIG, number, 0, 0, 0)


def adopt_orphans() -> None:
    """Become the parent of every orphan among our descendants, so that none escapes (Linux)."""
    if LINUX:
        _LIBC.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def prefer_to_kill() -> None:
    """Make this process the first that the system kills when memory runs out (Linux), where /proc can be
    written."""
    if LINUX:
        with suppress(OSError), open("/proc/self/oom_score_adj", "w") as file:
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
