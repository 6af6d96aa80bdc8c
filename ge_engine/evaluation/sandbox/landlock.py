"""Landlock denies files outside an allow-list, TCP, and signals to processes outside (Linux 5.13 and later).

It needs no privilege; https://docs.kernel.org/userspace-api/landlock.html. It knows nothing of UDP, of modes
and times of files, or of priorities: `network` and `seccomp` close the rest.
"""

from __future__ import annotations

import ctypes
import os
import struct
from collections.abc import Callable, Collection, Iterable
from contextlib import suppress
from dataclasses import dataclass

from ge_engine.evaluation.sandbox.limits import LINUX

_PR_SET_NO_NEW_PRIVS = 38
_LANDLOCK_CREATE, _LANDLOCK_ADD_RULE, _LANDLOCK_RESTRICT = 444, 445, 446
_FS_EXECUTE, _FS_WRITE_FILE, _FS_READ_FILE, _FS_READ_DIR = 1, 2, 4, 8
_FS_READ = _FS_EXECUTE | _FS_READ_FILE | _FS_READ_DIR
_FS_RIGHTS_BY_ABI = {1: 13, 2: 14, 3: 15, 4: 15, 5: 16}
_FS_IOCTL_DEV = 1 << 15
_SCOPE_SIGNALS, _SCOPE_SOCKETS_AND_SIGNALS = 2, 3
_FILE_RIGHTS = _FS_EXECUTE | _FS_WRITE_FILE | _FS_READ_FILE | (1 << 14) | _FS_IOCTL_DEV
_LIBC = ctypes.CDLL(None, use_errno=True)


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


def hold_reach() -> None:
    """Refuse this thread, and what it starts, signals to and abstract sockets of all but these, from ABI 6
    on. Processes that are confined one by one afterwards still reach each other.

    Raises:
        OSError: the kernel refuses.
    """
    if landlock_version() >= 6:
        _restrict(struct.pack("QQQ", 0, 0, _SCOPE_SOCKETS_AND_SIGNALS))


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


def restrict_files(
    readable: Iterable[str],
    writable: Iterable[str],
    listed: Iterable[str] = (),
    known: Collection[Rule] = (),
    written: Iterable[str] = (),
) -> None:
    """Confine this thread, and what it starts, to reading `readable`, changing `writable`, writing to the
    files that are there below `written`, seeing the names of the files below `listed`, and what `known` rules
    allow, whose paths are closed.

    Raises:
        OSError: the kernel refuses.
    """
    abi = landlock_version()
    all_rights = _all_rights(abi)

    def add_rules(ruleset: int) -> None:
        allowed = (
            (readable, _FS_READ),
            (writable, all_rights),
            (listed, _FS_READ_DIR),
            (written, _FS_WRITE_FILE),
        )
        for paths, rights in allowed:
            for path in paths:
                _allow(ruleset, path, rights & all_rights)
        for rule in known:
            _syscall(_LANDLOCK_ADD_RULE, ruleset, 1, rule.text, 0)
            os.close(rule.handle)

    _restrict(struct.pack("Q", all_rights), add_rules)


def restrict_changes(writable: Iterable[str]) -> None:
    """Confine this thread, and what it starts, to changing what lies below `writable`; it reads as before.

    Raises:
        OSError: the kernel refuses.
    """
    rights = _all_rights(landlock_version()) & ~(_FS_READ | _FS_IOCTL_DEV)

    def add_rules(ruleset: int) -> None:
        for path in writable:
            with suppress(PermissionError):
                _allow(ruleset, path, rights)

    _restrict(struct.pack("Q", rights), add_rules)


def close_network() -> None:
    """Deny this thread, and what it starts, new TCP connections and servers, from ABI 4 on; connections that
    stand go on.

    Raises:
        OSError: the kernel refuses.
    """
    if landlock_version() < 4:
        return
    _restrict(struct.pack("QQ", 0, 3))


def _restrict(attributes: bytes, add_rules: Callable[[int], None] = lambda _: None) -> None:
    ruleset = _syscall(_LANDLOCK_CREATE, ctypes.create_string_buffer(attributes), len(attributes), 0)
    try:
        add_rules(ruleset)
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
