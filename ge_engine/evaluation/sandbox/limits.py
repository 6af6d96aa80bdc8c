"""What a process that runs generated code may do. Linux first; on other systems, POSIX limits only.

Landlock (Linux 5.13 and later, no privilege needed) denies files outside an allow-list, TCP, signals
to processes outside and reading their memory; https://docs.kernel.org/userspace-api/landlock.html.
It knows nothing of UDP, of modes and times of files, or of priorities: `network.py` and `seccomp.py` close
the rest.
"""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import struct
import sys
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass

_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_SET_NO_NEW_PRIVS = 1, 4, 38
_PR_SET_CHILD_SUBREAPER, _PR_CAPBSET_DROP = 36, 24
_LANDLOCK_CREATE, _LANDLOCK_ADD_RULE, _LANDLOCK_RESTRICT = 444, 445, 446
_FS_EXECUTE, _FS_WRITE_FILE, _FS_READ_FILE, _FS_READ_DIR = 1, 2, 4, 8
_FS_READ = _FS_EXECUTE | _FS_READ_FILE | _FS_READ_DIR
_FS_RIGHTS_BY_ABI = {1: 13, 2: 14, 3: 15, 4: 15, 5: 16}
_FS_IOCTL_DEV = 1 << 15
_SCOPE_SIGNALS = 2
_FILE_RIGHTS = _FS_EXECUTE | _FS_WRITE_FILE | _FS_READ_FILE | (1 << 14) | _FS_IOCTL_DEV
_LIBC = ctypes.CDLL(None, use_errno=True)
LINUX = sys.platform == "linux"
PROCESSES = 128
"""So many may stem from a candidate's at once."""
FILES = 1024
"""Files that a candidate may have open."""
TASKS = 1024
"""Processes and threads of a candidate at once: counted by its user namespace, where it has one and is not
root's, and by the nursery."""


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
    """Whether `act` comes true without an OSError, tried in a process of its own that then ends."""
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


def landlock_version() -> int:
    """The kernel's Landlock ABI; 0 when there is none."""
    if not LINUX:
        return 0
    return max(0, int(_LIBC.syscall(_LANDLOCK_CREATE, None, 0, 1)))


def hold_signals() -> None:
    """Refuse this thread, and what it starts, signals to all but what they start, from ABI 6 on.

    Raises:
        OSError: the kernel refuses.
    """
    if landlock_version() >= 6:
        _restrict(struct.pack("QQQ", 0, 0, _SCOPE_SIGNALS))


@dataclass(frozen=True, slots=True)
class Rule:
    """What Landlock allows below the open path `handle`; `text` is that as the kernel takes it."""

    handle: int
    text: ctypes.Array[ctypes.c_char]


def rules_to_read(paths: Iterable[str]) -> dict[str, Rule]:
    """Rules to read `paths`, which stay open: a fork adds them to its ruleset without a look at the disk."""
    abi = landlock_version()
    found = ((path, _rule(path, _FS_READ & _all_rights(abi))) for path in paths)
    return {path: rule for path, rule in found if rule is not None}


def landlock(
    readable: Iterable[str],
    writable: Iterable[str],
    listed: Iterable[str] = (),
    known: Collection[Rule] = (),
) -> None:
    """Confine this thread, and what it starts, to reading `readable`, changing `writable`, seeing the names
    of the files below `listed`, and what `known` rules allow, whose paths are closed.

    No signals to or abstract sockets of outsiders from ABI 6 on.

    Raises:
        OSError: the kernel refuses.
    """
    abi = landlock_version()
    all_rights = _all_rights(abi)
    attributes = struct.pack("QQQ", all_rights, 0, 3 if abi >= 6 else 0)
    size = 24 if abi >= 6 else 8
    ruleset = _syscall(_LANDLOCK_CREATE, ctypes.create_string_buffer(attributes[:size]), size, 0)
    try:
        for paths, rights in ((readable, _FS_READ), (writable, all_rights), (listed, _FS_READ_DIR)):
            for path in paths:
                _allow(ruleset, path, rights & all_rights)
        for rule in known:
            _syscall(_LANDLOCK_ADD_RULE, ruleset, 1, rule.text, 0)
            os.close(rule.handle)
        _LIBC.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
        _syscall(_LANDLOCK_RESTRICT, ruleset, 0)
    finally:
        os.close(ruleset)


def landlock_network() -> None:
    """Deny this thread, and what it starts, new TCP connections and servers, from ABI 4 on; connections that
    stand go on.

    Raises:
        OSError: the kernel refuses.
    """
    if landlock_version() < 4:
        return
    _restrict(struct.pack("QQ", 0, 3))


def _restrict(attributes: bytes) -> None:
    ruleset = _syscall(_LANDLOCK_CREATE, ctypes.create_string_buffer(attributes), len(attributes), 0)
    try:
        _LIBC.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
        _syscall(_LANDLOCK_RESTRICT, ruleset, 0)
    finally:
        os.close(ruleset)


def _all_rights(abi: int) -> int:
    return (1 << _FS_RIGHTS_BY_ABI[min(abi, 5)]) - 1


def _rule(path: str, rights: int) -> Rule | None:
    try:
        handle = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    rights = rights if os.path.isdir(path) else rights & _FILE_RIGHTS
    return Rule(handle, ctypes.create_string_buffer(struct.pack("=Qi", rights, handle)))


def _allow(ruleset: int, path: str, rights: int) -> None:
    rule = _rule(path, rights)
    if rule is None:
        return
    try:
        _syscall(_LANDLOCK_ADD_RULE, ruleset, 1, rule.text, 0)
    finally:
        os.close(rule.handle)


def _syscall(number: int, *arguments: object) -> int:
    result = int(_LIBC.syscall(number, *arguments))
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, f"Landlock: {os.strerror(code)}")
    return result
