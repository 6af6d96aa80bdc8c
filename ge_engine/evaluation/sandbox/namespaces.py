"""A process namespace for each worker, where the system allows it (Linux): it sees and reaches no process but
those that it started, and all of them end with it.

The fork server moves into user, process and mount namespaces of its own, in which it may make further ones.
The first process of a namespace is immune to signals from within and its end is that of all: it is a small
one that does nothing else, and the worker is the second;
https://man7.org/linux/man-pages/man7/pid_namespaces.7.html.
"""

from __future__ import annotations

import ctypes
import os
import signal
import struct
from contextlib import suppress

from ge_engine.evaluation.sandbox import limits
from ge_engine.evaluation.sandbox.process_tree import end_like

_NEW_MOUNTS, _NEW_IPC, _NEW_USER, _NEW_PROCESSES = 0x2_0000, 0x800_0000, 0x1000_0000, 0x2000_0000
_READ_ONLY, _NO_SUID, _NO_DEVICES, _NO_PROGRAMS, _BIND = 1, 2, 4, 8, 4096
_MOUNT_SETATTR, _HERE, _RECURSIVE = 442, -100, 0x8000
_PR_SET_DUMPABLE, _PR_CAP_AMBIENT, _RAISE, _SYS_ADMIN = 4, 47, 2, 21
_LIBC = ctypes.CDLL(None, use_errno=True)
_FIRST = ("/bin/sh", "-c", "trap '' CHLD; exec sleep 2147483647")
"""Does nothing, reaps orphans by ignoring their end, and costs no start of Python."""


class Namespaces:
    """Process namespaces, one after the other, for the children of this process. The next one is made before
    it is needed."""

    def __init__(self) -> None:
        self._ours = os.open("/proc/self/ns/pid", os.O_RDONLY | os.O_CLOEXEC)
        self._first = 0

    def make_ready(self) -> None:
        """Have the next child begin in a namespace that holds nothing but its first process.

        Raises:
            OSError: the system allows no further one.
        """
        if self._first:
            return
        if _LIBC.setns(self._ours, _NEW_PROCESSES) != 0 or _LIBC.unshare(_NEW_PROCESSES) != 0:
            raise OSError(ctypes.get_errno(), "no further process namespace")
        self._first = os.posix_spawn(_FIRST[0], _FIRST, {"PATH": "/usr/bin:/bin"})

    def take(self) -> int:
        """The namespace is the last child's: the id of its first process, whose end is that of all in it."""
        first, self._first = self._first, 0
        return first

    def close(self) -> None:
        """Close this process's way back to them."""
        os.close(self._ours)

    def lost(self, pid: int) -> None:
        """The child `pid` has ended: where a namespace stood ready with it, that one is gone."""
        if pid == self._first:
            self._first = 0


def settle_apart() -> bool:
    """Continue as the first process of a process namespace, with rights over it; the calling process waits
    for its end, and ends in the same way. False, and nothing has changed, where that is not allowed."""
    if not limits.LINUX or not _allowed():
        return False
    _enter()
    pid = os.fork()
    if pid:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        os.closerange(3, 2**16)
        end_like(pid)
    limits.die_with_parent()
    mount_processes()
    _keep_rights()
    return True


def mount_processes() -> None:
    """Show at /proc, to this process and what it starts, its own process namespace only.

    Raises:
        OSError: it is not allowed.
    """
    if _LIBC.unshare(_NEW_MOUNTS) != 0:
        raise OSError(ctypes.get_errno(), "no mount namespace")
    flags = _NO_SUID | _NO_DEVICES | _NO_PROGRAMS
    if _LIBC.mount(b"proc", b"/proc", b"proc", flags, None) != 0:
        raise OSError(ctypes.get_errno(), "/proc cannot be mounted")


def read_only_but(folder: str) -> bool:
    """Have this process and what it starts change nothing outside of `folder` and /proc, not even the time at
    which a file was read. Where the system refuses (before Linux 5.12), False, and nothing has changed. The
    calling process must have mounts of its own."""
    path = os.fsencode(folder)
    if _LIBC.mount(path, path, None, _BIND, None) != 0 or not _set_mount(b"/", _RECURSIVE, set_=_READ_ONLY):
        return False
    return all(_set_mount(one, 0, clear=_READ_ONLY) for one in (path, b"/proc"))


def _set_mount(path: bytes, flags: int, set_: int = 0, clear: int = 0) -> bool:
    attributes = ctypes.create_string_buffer(struct.pack("QQQQ", set_, clear, 0, 0), 32)
    return int(_LIBC.syscall(_MOUNT_SETATTR, _HERE, path, flags, attributes, ctypes.c_size_t(32))) == 0


def own_user(flags: int) -> bool:
    """Move this process, which must have one thread only, into a user namespace and those of `flags`, as the
    same user and with every capability there; False, and nothing has changed, where that is not allowed."""
    user, group = os.geteuid(), os.getegid()
    if _LIBC.unshare(_NEW_USER | flags) != 0:
        return False
    _LIBC.prctl(_PR_SET_DUMPABLE, 1, 0, 0, 0)
    with suppress(OSError):  # without the map, it is nobody, to whom the same files are open
        _write("/proc/self/uid_map", f"{user} {user} 1")
        _write("/proc/self/setgroups", "deny")
        _write("/proc/self/gid_map", f"{group} {group} 1")
    return True


def _enter() -> None:
    if not own_user(_NEW_PROCESSES | _NEW_MOUNTS | _NEW_IPC):
        raise OSError(ctypes.get_errno(), "no user namespace")


def _allowed() -> bool:
    """Whether this process could settle apart. Tried in another one."""

    def tried() -> bool:
        _enter()
        inner = os.fork()
        if inner:
            end_like(inner)
        mount_processes()
        Namespaces().make_ready()
        return True

    return limits.succeeds(tried)


def _keep_rights() -> None:
    """Programs that this process starts may mount as well: a worker that is spawned shows itself its own
    processes, and then drops all rights."""
    mask = 1 << _SYS_ADMIN
    header = ctypes.create_string_buffer(struct.pack("Ii", 0x20080522, 0))
    data = ctypes.create_string_buffer(24)
    if _LIBC.capget(header, data) != 0:
        raise OSError(ctypes.get_errno(), "capget failed")
    effective, permitted, _, *upper = struct.unpack("6I", data.raw[:24])
    data = ctypes.create_string_buffer(struct.pack("6I", effective, permitted, mask, *upper))
    if _LIBC.capset(header, data) != 0:
        raise OSError(ctypes.get_errno(), "capset failed")
    _LIBC.prctl(_PR_CAP_AMBIENT, _RAISE, _SYS_ADMIN, 0, 0)


def _write(path: str, text: str) -> None:
    with open(path, "w") as file:
        file.write(text)
