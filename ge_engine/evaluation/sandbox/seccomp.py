"""One filter over the system calls of every process that runs generated code (Linux, x86_64 and aarch64).

A candidate may make the calls of `syscalls` only, some with some arguments only; a program of `--command`
may make all but those that touch other processes. What is refused fails with EPERM, so that a library that
tries it continues; what is newer than the tables, or has an older alternative, with ENOSYS. The filter is
classic BPF over struct seccomp_data; https://docs.kernel.org/userspace-api/seccomp_filter.html. It is built
here because libseccomp is a library of the system that not every machine has.
"""

from __future__ import annotations

import ctypes
import platform
import struct
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from ge_engine.evaluation.sandbox import limits, syscalls

_PR_SET_NO_NEW_PRIVS, _SET_MODE_FILTER, _ALL_THREADS = 38, 1, 1
_LOAD, _AND, _JUMP, _EQUAL, _ABOVE, _AT_LEAST, _RETURN = 0x20, 0x54, 0x05, 0x15, 0x25, 0x35, 0x06
_ALLOW, _NOT_PERMITTED, _NO_SUCH_CALL = 0x7FFF_0000, 0x0005_0000 | 1, 0x0005_0000 | 38
_X32 = 0x4000_0000
_ARCHITECTURES = {"x86_64": (0xC000_003E, 0), "aarch64": (0xC000_00B7, 1)}
_WORD = 0xFFFF_FFFF

_UNIX, _NETLINK, _STREAM, _SEQPACKET, _SOCKET_KIND = 1, 16, 1, 5, 0xF
_NAMESPACES, _CLONE_PARENT, _CLONE_PTRACE = 0x7E02_0000, 0x8000, 0x2000
_REACHING_OUT, _THREAD, _SAME_FILES = _NAMESPACES | _CLONE_PARENT | _CLONE_PTRACE, 0x1_0000, 0x400
_SET_OWNER, _SET_SIGNAL, _SET_OWNER_EX, _SET_LEASE = 8, 10, 15, 1024
_TYPE_INTO_TERMINAL, _LINUX_CONSOLE, _SET_SOCKET_OWNER, _SET_SOCKET_GROUP = 0x5412, 0x541C, 0x8901, 0x8902
_COMMAND_KIND, _OF_TERMINALS = 0xFF00, 0x5400
_OF_FILE_SYSTEMS = (0x1200, 0x5800, 0x6600, 0x7600, 0x9400, 0xF500)
_OF_DESCRIPTORS = (*range(8), *range(36, 39), 1030, 1031, 1032, 1033, 1034)
_DEATH_SIGNAL, _TRACER = 1, 0x5961_6D61
_ACCESS_AND_TRUNCATE, _TRUNCATE = 0o1003, 0o1000
_ONE_PROCESS = 0
_IO_ONE_PROCESS = 1
_IN_AN_OLDER_WAY = ("clone3", "fallocate", "openat2")
PROCESSES = (
    "kcmp",
    "pidfd_getfd",
    "process_madvise",
    "process_mrelease",
    "process_vm_readv",
    "process_vm_writev",
    "ptrace",
    "migrate_pages",
)
NAMESPACES = (
    "clone3",
    "mount",
    "mount_setattr",
    "move_mount",
    "open_tree",
    "pivot_root",
    "setns",
    "umount2",
    "unshare",
)

Instruction = tuple[int, int, int, int]
"""An instruction: its code, how far it jumps when it holds and when not, and its constant."""


@dataclass(frozen=True, slots=True)
class ArgumentTest:
    """Of an argument of a call, its lower 32 bits under `mask`: one of `values`, or (`among` false) none."""

    argument: int
    values: tuple[int, ...]
    mask: int = _WORD
    among: bool = True


def only(argument: int, *values: int, mask: int = _WORD) -> ArgumentTest:
    """The argument is one of `values`."""
    return ArgumentTest(argument, tuple(value & _WORD for value in values), mask)


def but(argument: int, *values: int, mask: int = _WORD) -> ArgumentTest:
    """The argument is none of `values`."""
    return ArgumentTest(argument, values, mask, among=False)


Rules = Mapping[str, Sequence[Sequence[ArgumentTest]]]
"""The name of a call -> the ways in which it is allowed, each of conditions that hold together."""

_TO_OTHERS = but(1, _TYPE_INTO_TERMINAL, _LINUX_CONSOLE, _SET_SOCKET_OWNER, _SET_SOCKET_GROUP)
OTHERS: Rules = {
    "prlimit64": [[only(0, 0)]],
    "setpriority": [[only(0, _ONE_PROCESS), only(1, 0)]],
    "ioprio_set": [[only(0, _IO_ONE_PROCESS), only(1, 0)]],
    "sched_setscheduler": [[only(0, 0)]],
    "sched_setparam": [[only(0, 0)]],
    "sched_setattr": [[only(0, 0)]],
    "ioctl": [[_TO_OTHERS]],
    "fcntl": [[but(1, _SET_OWNER, _SET_SIGNAL, _SET_OWNER_EX, _SET_LEASE)]],
}
"""What may be done to the process itself, and not to another."""
WITHIN: Rules = {
    **OTHERS,
    "sched_setaffinity": [[only(0, 0)]],
    "clone": [
        [only(0, 0, mask=_REACHING_OUT | _THREAD)],
        [only(0, _THREAD | _SAME_FILES, mask=_REACHING_OUT | _THREAD | _SAME_FILES)],
    ],
    "ioctl": [[_TO_OTHERS, only(1, _OF_TERMINALS, mask=_COMMAND_KIND)]],
    "fcntl": [[only(1, *_OF_DESCRIPTORS)]],
    "prctl": [[but(0, _DEATH_SIGNAL, _TRACER)]],
    "open": [[but(1, _TRUNCATE, mask=_ACCESS_AND_TRUNCATE)]],
    "openat": [[but(2, _TRUNCATE, mask=_ACCESS_AND_TRUNCATE)]],
    "socketpair": [[only(0, _UNIX), only(1, _STREAM, _SEQPACKET, mask=_SOCKET_KIND)]],
}
"""A candidate makes no namespaces, outlives nobody, empties no file that it only reads (which Landlock does
not know before version 3), and has no pair of datagram sockets, which can be sent from to any address. It
hides no open file in a thread with descriptors of its own, and leaves nothing at a file that it only reads:
who owns one may set its flags, its version or its hints for writing without a right to write."""
NO_SOCKETS = ("socket", "connect", "bind", "listen", "sendmsg", "sendmmsg")
"""A file on its way through a pair of sockets is in no process's hands: nobody would see what it takes."""
DEVICES: Rules = {"ioctl": [[_TO_OTHERS, but(1, *_OF_FILE_SYSTEMS, mask=_COMMAND_KIND)]]}
"""A driver is spoken to by commands of its own."""
DRIVER: Rules = {
    "socket": [[only(0, _UNIX), only(1, _STREAM, _SEQPACKET, mask=_SOCKET_KIND)], [only(0, _NETLINK)]]
}
"""CUDA's driver listens on a socket of its own (cuda-uvmfd-...); it need not connect to any."""
OPEN_NETWORK: Rules = {"socket": [[but(0, _UNIX)]]}


def signals_to(pid: int) -> Rules:
    """Signals to the process `pid` alone and its own group; for where nothing else confines them."""
    return {"kill": [[only(0, 0, pid, -pid)]], "tkill": [[only(0, pid)]], "tgkill": [[only(0, pid)]]}


def of_candidate(rules: Rules, refused: Iterable[str] = (), allowed: Iterable[str] = ()) -> bytes:
    """The program that lets the calls of `syscalls` through, and `allowed`, but none of `refused`, and those
    in `rules` by their conditions only; b"" where there is none for this machine."""
    if platform.machine() not in _ARCHITECTURES:
        return b""
    architecture, column = _ARCHITECTURES[platform.machine()]
    known = {name: n for table in syscalls.ALLOWED for name, n in syscalls.numbers(table, column).items()}
    known |= {n: v for n, v in syscalls.numbers(syscalls.REFUSED, column).items() if n in set(allowed)}
    known = {name: number for name, number in known.items() if name not in set(refused)}
    steps = _head(architecture) + _ruled(rules, known)
    for first, last in _ranges(number for name, number in known.items() if name not in rules):
        steps += [(_AT_LEAST, 0, 2, first), (_ABOVE, 1, 0, last), (_RETURN, 0, 0, _ALLOW)]
    steps += [*_absent(column), (_AT_LEAST, 0, 1, syscalls.NEWEST + 1), (_RETURN, 0, 0, _NO_SUCH_CALL)]
    return _packed([*steps, (_RETURN, 0, 0, _NOT_PERMITTED)])


def of_program(rules: Rules, refused: Iterable[str]) -> bytes:
    """The program that lets all calls through but `refused`, and those in `rules` by their conditions only;
    b"" where there is none for this machine."""
    if platform.machine() not in _ARCHITECTURES:
        return b""
    architecture, column = _ARCHITECTURES[platform.machine()]
    tables = (*syscalls.ALLOWED, syscalls.REFUSED)
    known = {name: n for table in tables for name, n in syscalls.numbers(table, column).items()}
    steps = _head(architecture) + _ruled(rules, known)
    for name in refused:
        answer = _NO_SUCH_CALL if name in _IN_AN_OLDER_WAY else _NOT_PERMITTED
        steps += [(_EQUAL, 0, 1, known[name]), (_RETURN, 0, 0, answer)]
    return _packed([*steps, (_RETURN, 0, 0, _ALLOW)])


def hold(program: bytes) -> bool:
    """Put all threads of this process, and what they start, under `program` for good. False where the kernel
    has no seccomp for it, and for a program that is empty."""
    machine = {"x86_64": 317, "aarch64": 277}.get(platform.machine())
    if not limits.LINUX or machine is None or not program:
        return False
    held = ctypes.create_string_buffer(program)
    filled = struct.pack("HxxxxxxP", len(program) // 8, ctypes.addressof(held))
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    return (
        int(libc.syscall(machine, _SET_MODE_FILTER, _ALL_THREADS, ctypes.create_string_buffer(filled))) == 0
    )


def _head(architecture: int) -> list[Instruction]:
    """Another architecture's calls, and those of x32, have other numbers: none of them. Loads the number."""
    return [
        (_LOAD, 0, 0, 4),
        (_EQUAL, 1, 0, architecture),
        (_RETURN, 0, 0, _NOT_PERMITTED),
        (_LOAD, 0, 0, 0),
        (_AT_LEAST, 0, 1, _X32),
        (_RETURN, 0, 0, _NOT_PERMITTED),
    ]


def _ruled(rules: Rules, known: Mapping[str, int]) -> list[Instruction]:
    """The calls with conditions; the others go past, with the number still loaded."""
    steps: list[Instruction] = []
    for name, ways in rules.items():
        if name not in known:
            continue
        block = [step for way in ways for step in _way(way)]
        block.append((_RETURN, 0, 0, _NOT_PERMITTED))
        steps += [(_EQUAL, 0, len(block), known[name]), *block]
    return steps


def _way(conditions: Sequence[ArgumentTest]) -> list[Instruction]:
    """Allow where all of `conditions` hold; else go past the end."""
    rest: list[Instruction] = [(_RETURN, 0, 0, _ALLOW)]
    for condition in reversed(conditions):
        count = len(condition.values)
        steps: list[Instruction] = [(_LOAD, 0, 0, 16 + 8 * condition.argument), (_AND, 0, 0, condition.mask)]
        for place, value in enumerate(condition.values):
            left = count - place - 1
            steps.append((_EQUAL, left + (1 if condition.among else len(rest)), 0, value))
        if condition.among:
            steps.append((_JUMP, 0, 0, len(rest)))
        rest = steps + rest
    return rest


def _absent(column: int) -> list[Instruction]:
    """Calls that glibc makes in another way where the kernel lacks them; their flags lie where no filter sees
    them."""
    known = syscalls.numbers(syscalls.REFUSED, column)
    return [
        step
        for name in _IN_AN_OLDER_WAY
        for step in ((_EQUAL, 0, 1, known[name]), (_RETURN, 0, 0, _NO_SUCH_CALL))
    ]


def _ranges(allowed: Iterable[int]) -> list[tuple[int, int]]:
    """First and last of each run of numbers without a gap."""
    found: list[tuple[int, int]] = []
    for number in sorted(set(allowed)):
        if found and number == found[-1][1] + 1:
            found[-1] = (found[-1][0], number)
        else:
            found.append((number, number))
    return found


def _packed(steps: Sequence[Instruction]) -> bytes:
    return b"".join(struct.pack("HBBI", *step) for step in steps)
