"""The filter over system calls: its program followed as the kernel would, its tables, and the kernel's own
verdict on each kind of call."""

from __future__ import annotations

import ctypes
import ctypes.util
import json
import os
import platform
import struct
import subprocess
import sys
from types import SimpleNamespace
from typing import Any

import pytest

from ge_engine.evaluation.sandbox import confinement, seccomp, syscalls
from tests.patience import PATIENT

MACHINES = {"x86_64": (0xC000_003E, 0), "aarch64": (0xC000_00B7, 1)}
ALLOWED, REFUSED, ABSENT = 0x7FFF_0000, 0x0005_0001, 0x0005_0026
ANCHORS = {"read": (0, 63), "openat": (257, 56), "clone": (56, 220), "ptrace": (101, 117), "kill": (62, 129)}
TABLES = (*syscalls.ALLOWED, syscalls.REFUSED)
UNIX, INET, NETLINK, STREAM, DATAGRAM = 1, 2, 16, 1, 2
IN_A_PROCESS = """\
import ctypes, json, os, sys, threading
from ge_engine.evaluation.sandbox import seccomp
libc = ctypes.CDLL(None, use_errno=True)
parent, ready, said = os.getppid(), threading.Event(), []
CALLS = [
    lambda: libc.prlimit(parent, 0, None, ctypes.create_string_buffer(16)),
    lambda: libc.setpriority(0, parent, 19),
    lambda: libc.sched_setaffinity(parent, 8, ctypes.create_string_buffer(b"\\1" + bytes(7))),
    lambda: libc.unshare(0x1000_0000),
    lambda: libc.shmget(0, 4096, 0o1600),
    lambda: libc.msgget(0, 0o1600),
    lambda: libc.semget(0, 1, 0o1600),
    lambda: libc.mq_open(b"/ge", 0o102, 0o600, None),
    lambda: libc.ptrace(16, parent, 0, 0),
    lambda: libc.socket(1, 1, 0),
    lambda: libc.socketpair(1, 2, 0, ctypes.create_string_buffer(8)),
    lambda: libc.chmod(b"/dev/null", 0o666),
    lambda: libc.fcntl(0, 8, parent),
    lambda: libc.personality(0xffffffff),
]
def attempt():
    ready.wait()
    for call in CALLS:
        ctypes.set_errno(0)
        said.append([call(), ctypes.get_errno()])
thread = threading.Thread(target=attempt)
thread.start()
assert seccomp.hold(seccomp.of_candidate(seccomp.WITHIN, refused=seccomp.NO_SOCKETS))
ready.set()
thread.join()
assert os.waitstatus_to_exitcode(os.spawnlp(os.P_NOWAIT, "true", "true") and os.wait()[1]) == 0
print(json.dumps(said))
"""


def verdict(program: bytes, architecture: int, number: int, arguments: tuple[int, ...] = ()) -> int:
    """What the program comes to, followed as the kernel would."""
    steps = [struct.unpack_from("HBBI", program, place) for place in range(0, len(program), 8)]
    words = {0: number, 4: architecture} | {
        16 + 8 * place: value & 0xFFFF_FFFF for place, value in enumerate((*arguments, *(0,) * 6)[:6])
    }
    place = value = 0
    while True:
        code, jump, fall, constant = steps[place]
        place += 1
        if code == 0x20:
            value = words[constant]
        elif code == 0x54:
            value &= constant
        elif code == 0x05:
            place += constant
        elif code == 0x06:
            return constant
        else:
            holds = {0x15: value == constant, 0x25: value > constant, 0x35: value >= constant}[code]
            place += jump if holds else fall


class Judge:
    """Verdicts of a program by the name of the call."""

    def __init__(self, machine: str, program: bytes) -> None:
        self.architecture, self.column = MACHINES[machine]
        self.program = program
        self.known = {n: v for table in TABLES for n, v in syscalls.numbers(table, self.column).items()}

    def __call__(self, name: str, *arguments: int) -> int:
        return verdict(self.program, self.architecture, self.known[name], arguments)


@pytest.fixture(params=MACHINES)
def machine(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(platform, "machine", lambda: request.param)
    return str(request.param)


def test_a_call_that_reaches_another_process(machine: str) -> None:
    judge = Judge(machine, seccomp.of_candidate({**seccomp.WITHIN, **seccomp.signals_to(77)}))
    for name in ("prlimit64", "sched_setscheduler", "sched_setparam", "sched_setattr", "sched_setaffinity"):
        assert (judge(name, 0), judge(name, 1234)) == (ALLOWED, REFUSED), name
    assert judge("setpriority", 0, 0) == ALLOWED
    assert [judge("setpriority", *who) for who in ((0, 9), (1, 0), (2, 0))] == [REFUSED] * 3
    assert [judge("ioprio_set", *who) for who in ((1, 0), (1, 9), (2, 0), (3, 0))] == [
        ALLOWED,
        *[REFUSED] * 3,
    ]
    assert [judge("kill", pid, 9) for pid in (77, 0, -77, 78, -1, 1)] == [ALLOWED] * 3 + [REFUSED] * 3
    assert [judge("tgkill", pid, 5, 9) for pid in (77, 78)] == [ALLOWED, REFUSED]
    assert judge("tkill", 78) == REFUSED
    further = ("pidfd_open", "pidfd_send_signal", "rt_sigqueueinfo", "perf_event_open")
    for name in (*seccomp.PROCESSES, *further):
        assert judge(name) == REFUSED, name
    assert [judge("fcntl", 3, command) for command in (1, 3, 1030, 8, 10, 15, 1024)] == [ALLOWED] * 3 + [
        REFUSED
    ] * 4
    assert [judge("ioctl", 3, command) for command in (0x5401, 0x5412, 0x8901)] == [ALLOWED, REFUSED, REFUSED]


@pytest.mark.parametrize("alone", [False, True])
def test_a_neighbour_that_is_killed_where_nothing_else_confines(
    alone: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    held: list[bytes] = []
    monkeypatch.setattr(seccomp, "hold", held.append)
    monkeypatch.setattr(confinement, "_PROGRAMS", {})
    session: Any = SimpleNamespace(sandbox="none", device="cpu")
    confinement.close(session, alone)
    judge = Judge(platform.machine(), held[0])
    assert judge("kill", os.getpid(), 9) == ALLOWED
    assert judge("kill", os.getpid() + 1, 9) == (ALLOWED if alone else REFUSED)


FLAGS, NEXT_FLAGS, VERSION, EXTENDED, VERITY = 0x4008_6602, 0x4004_6602, 0x4008_7602, 0x401C_5820, 0x4080_6685
HINTS, READS_TERMINAL, KEEPS_ON_EXEC, OF_NVIDIA = (1036, 1038), 0x5401, 0x5451, 0xC020_462A


def test_a_mark_that_is_left_at_a_file_without_a_right_to_write(machine: str) -> None:
    """Who owns a file may set its flags, its version and its hints through a descriptor that only reads."""
    for rules in (seccomp.WITHIN, {**seccomp.WITHIN, **seccomp.DEVICES}):
        judge = Judge(machine, seccomp.of_candidate(rules))
        for command in (FLAGS, NEXT_FLAGS, VERSION, EXTENDED, VERITY, 0x5412):
            assert judge("ioctl", 3, command) == REFUSED, hex(command)
        assert [judge("fcntl", 3, command) for command in HINTS] == [REFUSED] * 2
        assert [judge("ioctl", 3, command) for command in (READS_TERMINAL, KEEPS_ON_EXEC)] == [ALLOWED] * 2
    assert judge("ioctl", 3, OF_NVIDIA) == ALLOWED


def test_files_that_are_kept_where_nobody_counts(machine: str) -> None:
    """In a thread with descriptors of its own, on their way through a socket, or reserved at once."""
    judge = Judge(machine, seccomp.of_candidate(seccomp.WITHIN, refused=seccomp.NO_SOCKETS))
    vm, files, handlers, thread = 0x100, 0x400, 0x800, 0x1_0000
    assert judge("clone", vm | handlers | thread) == REFUSED
    assert judge("clone", vm | handlers | files | thread) == ALLOWED
    assert judge("clone", vm | files | 17) == ALLOWED
    assert [judge("sendmsg"), judge("sendmmsg"), judge("sendto")] == [REFUSED, REFUSED, ALLOWED]
    assert judge("fallocate") == ABSENT


def test_who_uses_a_file_that_may_not_be_read(machine: str) -> None:
    judge = Judge(machine, seccomp.of_candidate(seccomp.WITHIN))
    assert [judge(name) for name in ("inotify_init1", "inotify_add_watch")] == [REFUSED] * 2


def test_a_namespace_that_is_made_after_all(machine: str) -> None:
    judge = Judge(machine, seccomp.of_candidate(seccomp.WITHIN))
    threads = 0x3D0F00
    assert [judge("clone", flags) for flags in (17, threads, 0x4111)] == [ALLOWED] * 3
    for flag in (0x2_0000, 0x200_0000, 0x400_0000, 0x800_0000, 0x1000_0000, 0x2000_0000, 0x4000_0000, 0x8000):
        assert judge("clone", 17 | flag) == REFUSED
    assert [judge(name) for name in ("clone3", "openat2")] == [ABSENT] * 2
    for name in ("unshare", "setns", "mount", "pivot_root"):
        assert judge(name) == REFUSED


def test_a_socket_that_reaches_someone(machine: str) -> None:
    closed = Judge(machine, seccomp.of_candidate(seccomp.WITHIN, refused=seccomp.NO_SOCKETS))
    assert [closed("socket", family, STREAM) for family in (UNIX, INET, 10, NETLINK, 17, 40)] == [REFUSED] * 6
    assert [closed("connect"), closed("bind"), closed("sendto")] == [REFUSED, REFUSED, ALLOWED]
    kinds = (STREAM, STREAM | 0o2004000, 5, DATAGRAM, 3)
    assert [closed("socketpair", UNIX, kind) for kind in kinds] == [ALLOWED] * 3 + [REFUSED] * 2
    assert closed("socketpair", 30, STREAM) == REFUSED
    driver = Judge(machine, seccomp.of_candidate({**seccomp.WITHIN, **seccomp.DRIVER}, refused=("connect",)))
    asked = ((UNIX, 5), (UNIX, STREAM), (NETLINK, 3), (UNIX, DATAGRAM), (INET, STREAM))
    assert [driver("socket", *one) for one in asked] == [ALLOWED] * 3 + [REFUSED] * 2
    assert driver("connect") == REFUSED
    unconfined = Judge(machine, seccomp.of_candidate({**seccomp.WITHIN, **seccomp.OPEN_NETWORK}))
    assert [unconfined("socket", family, STREAM) for family in (INET, UNIX)] == [ALLOWED, REFUSED]


def test_a_file_that_is_changed_without_a_right_to_write(machine: str) -> None:
    """What Landlock does not know of: modes, owners, times, attributes; and truncation before version 3."""
    judge = Judge(machine, seccomp.of_candidate(seccomp.WITHIN))
    assert [judge("openat", 0, 0, flags) for flags in (0, 0o1101, 0o1102, 0o1000)] == [ALLOWED] * 3 + [
        REFUSED
    ]
    assert judge("fchmodat2") == REFUSED
    assert judge("ftruncate") == ALLOWED
    both = {"x86_64": (90, 92, 132, 188, 76, 235), "aarch64": (53, 54, 88, 5, 45, 52)}
    for number in both[machine]:
        assert verdict(judge.program, judge.architecture, number) == REFUSED, number


def test_a_number_of_another_architecture_or_of_the_future(machine: str) -> None:
    judge = Judge(machine, seccomp.of_candidate(seccomp.WITHIN))
    assert verdict(judge.program, 0x4000_0003, judge.known["read"]) == REFUSED
    assert verdict(judge.program, judge.architecture, 0x4000_0000) == REFUSED
    assert verdict(judge.program, judge.architecture, syscalls.NEWEST + 1) == ABSENT


def test_a_program_of_the_users_that_the_filter_breaks(machine: str) -> None:
    judge = Judge(machine, seccomp.of_program(seccomp.OTHERS, seccomp.PROCESSES))
    for name in ("socket", "connect", "unshare", "kill", "memfd_create", "sched_setaffinity", "clone3"):
        assert judge(name, 1, 2) == ALLOWED, name
    assert [judge("ptrace"), judge("prlimit64", 9), judge("prlimit64", 0)] == [REFUSED, REFUSED, ALLOWED]
    inside = Judge(machine, seccomp.of_program(seccomp.OTHERS, (*seccomp.PROCESSES, *seccomp.NAMESPACES)))
    assert [inside(name) for name in ("unshare", "clone3", "socket")] == [REFUSED, ABSENT, ALLOWED]


def test_a_machine_whose_numbers_are_not_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "riscv64")
    assert seccomp.of_candidate(seccomp.WITHIN) == seccomp.of_program(seccomp.OTHERS, ()) == b""
    assert not seccomp.hold(b"")


def test_a_number_that_is_another_calls() -> None:
    """Against libseccomp's tables where that library is; it may not know the newest."""
    for column, (machine, (architecture, _)) in enumerate(MACHINES.items()):
        known = {n: v for table in TABLES for n, v in syscalls.numbers(table, column).items()}
        assert len(set(known.values())) == len(known)
        assert {name: known[name] for name in ANCHORS} == {n: both[column] for n, both in ANCHORS.items()}
        assert max(known.values()) < syscalls.NEWEST, machine
        library = ctypes.util.find_library("seccomp")
        if library is None:
            continue
        resolve = ctypes.CDLL(library).seccomp_syscall_resolve_name_arch
        for name, number in known.items():
            assert resolve(ctypes.c_uint32(architecture), name.encode()) in (number, -1), name


def test_a_kernel_that_lets_a_refused_call_through() -> None:
    """On a thread that ran before; and a process can still be started."""
    command = [sys.executable, "-c", IN_A_PROCESS]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=PATIENT)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == [[-1, 1]] * 14
