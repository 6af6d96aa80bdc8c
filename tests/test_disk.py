"""What a candidate stores and a count of its folder's files does not see."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ge_engine.agents.own_memory import hide_memory
from ge_engine.evaluation.fork_server import running
from ge_engine.evaluation.sandbox import limits
from ge_engine.evaluation.sandbox.disk_usage import DEEPEST, ENTRY_BYTES, DiskWatch, stored_bytes

NOBODY = 65534
MIB = 2**20
LIMIT = 8 * MIB
FILE_BYTES = 2 * MIB
UNLINKED = "f = open('f', 'w+b'); os.unlink('f'); os.posix_fallocate(f.fileno(), 0, SIZE)"
MEMORY = "f = os.memfd_create('m'); os.posix_fallocate(f, 0, SIZE)"
LEAVE = """\
import ctypes, platform, threading
def after_the_first():
    while ') Z' not in open(f'/proc/{os.getpid()}/stat').read():
        time.sleep(0.01)
    tell()
threading.Thread(target=after_the_first).start()
ctypes.CDLL(None).syscall(60 if platform.machine() == 'x86_64' else 93, 0)"""
"""Ends the first thread of a process alone; another one goes on."""
HOLDERS = {
    "a file without a name": UNLINKED,
    "memory that is a file": MEMORY,
    "a file without a name of a child": f"""
if os.fork() == 0:
    {UNLINKED}
    tell()
time.sleep(60)""",
    "a file that is only mapped": """
f = open('f', 'w+b'); os.posix_fallocate(f.fileno(), 0, SIZE); import mmap
m = mmap.mmap(f.fileno(), 4096); os.unlink('f'); f.close()""",
    "memory that is only mapped": """
import ctypes
f = os.memfd_create('m'); os.posix_fallocate(f, 0, SIZE); libc = ctypes.CDLL(None)
libc.mmap(None, ctypes.c_size_t(4096), 3, 1, f, ctypes.c_long(0)); os.close(f)""",
    "a file that is only mapped, in a folder that is named like memory": """
os.makedirs('a /dev/zero', exist_ok=True)
f = open('a /dev/zero/f', 'w+b'); os.posix_fallocate(f.fileno(), 0, SIZE)
import ctypes; libc = ctypes.CDLL(None)
libc.mmap(None, ctypes.c_size_t(4096), 1, 1, f.fileno(), ctypes.c_long(0)); os.unlink(f.name); f.close()""",
    "a file without a name of a process whose first thread has ended": f"""
{UNLINKED}
{LEAVE}""",
    "a file that is only mapped of a process whose first thread has ended": f"""
{UNLINKED}; import mmap; m = mmap.mmap(f.fileno(), 4096); f.close()
{LEAVE}""",
}


@contextmanager
def holding(code: str, folder: Path, size: int) -> Iterator[int]:
    """The id of a process that holds `size` bytes in the way of `code`."""
    program = (
        f"import os, time\ndef tell():\n    print('held', flush=True)\n    time.sleep(60)\n{code}\ntell()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program.replace("SIZE", str(size))],
        cwd=folder,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "held\n"
            yield process.pid
        finally:
            os.killpg(process.pid, 9)


@pytest.mark.parametrize("code", HOLDERS.values(), ids=HOLDERS)
def test_bytes_that_no_folder_shows(code: str, tmp_path: Path) -> None:
    with holding(code, tmp_path, 9 * MIB) as pid:
        assert DiskWatch(LIMIT, LIMIT + 1).over([pid], tmp_path)
    with holding(code, tmp_path, MIB) as pid:
        assert not DiskWatch(LIMIT, FILE_BYTES).over([pid], tmp_path)


@pytest.mark.parametrize("code", HOLDERS.values(), ids=HOLDERS)
def test_bytes_that_only_an_orphan_holds(code: str, tmp_path: Path) -> None:
    """Whom the first process of a namespace has adopted, or the fork server itself."""
    with subprocess.Popen(["sleep", "60"]) as worker, holding(code, tmp_path, 9 * MIB) as orphan:
        assert DiskWatch(LIMIT, LIMIT + 1).over([worker.pid, orphan], tmp_path / "never there")
        assert not DiskWatch(LIMIT, LIMIT + 1).over([worker.pid, 0], tmp_path / "never there")
        assert DiskWatch(LIMIT, LIMIT + 1).hoard([worker.pid, orphan])
        worker.kill()


def test_orphans_that_each_hold_less_than_the_limit(tmp_path: Path) -> None:
    with holding(UNLINKED, tmp_path, 5 * MIB) as one, holding(UNLINKED, tmp_path, 5 * MIB) as another:
        watch = DiskWatch(LIMIT, FILE_BYTES)
        assert not watch.hoard([one])
        assert watch.hoard([one, another])


def as_nobody(act: Callable[[], bool]) -> bool:
    """Whether `act` gives true in a process of an ordinary user, to whom the others of that user show
    themselves."""

    def tried() -> bool:
        if os.getuid() == 0:
            os.setgroups([])
            os.setresgid(NOBODY, NOBODY, NOBODY)
            os.setresuid(NOBODY, NOBODY, NOBODY)
        hide_memory(False)
        return act()

    return limits.succeeds(tried)


def child(act: Callable[[], object]) -> int:
    """A process that calls `act` and ends."""
    pid = os.fork()
    if pid == 0:
        act()
        os._exit(0)
    return pid


def test_an_orphan_that_shows_nothing() -> None:
    def seen() -> bool:
        told, tells = os.pipe()

        def hide() -> None:
            hide_memory(True)
            os.write(tells, b"x")
            signal.pause()

        pid = child(hide)
        os.read(told, 1)
        hoards = DiskWatch(LIMIT, FILE_BYTES).hoard([pid])
        os.kill(pid, signal.SIGKILL)
        return hoards

    assert as_nobody(seen)


def test_a_child_that_ended_taken_for_one_that_hides() -> None:
    """The worker has not waited for it: its descriptors are gone, and what is left is the system's."""

    def spared() -> bool:
        ended = child(lambda: None)
        os.waitid(os.P_PID, ended, os.WEXITED | os.WNOWAIT)
        watch = DiskWatch(LIMIT, FILE_BYTES)
        return not any(watch.hoard([os.getpid()]) for _ in range(9))

    assert as_nobody(spared)


def test_a_worker_blamed_before_it_begins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "FOLDER_BYTES", LIMIT)
    ours, theirs = socket.socketpair()
    with ours, theirs, holding(UNLINKED, tmp_path, 9 * MIB) as pid:
        job = running.RunningJob("", tmp_path, pid, float("inf"), 9.0, ours)
        assert running.ResourceWatch([]).exceeded(job) == ""
        job.hello = None
        assert running.ResourceWatch([]).exceeded(job) == "disk"


def test_a_file_whose_inode_is_that_of_shared_data_elsewhere(tmp_path: Path) -> None:
    with holding(UNLINKED, tmp_path, 9 * MIB) as pid:
        elsewhere = frozenset((-1, os.stat(f"/proc/{pid}/fd/{number}").st_ino) for number in (0, 1, 2, 3))
        assert DiskWatch(LIMIT, FILE_BYTES, elsewhere).over([pid], tmp_path)


def test_data_that_all_share_charged_to_a_candidate(tmp_path: Path) -> None:
    shared = os.memfd_create("shared")
    try:
        os.posix_fallocate(shared, 0, 9 * MIB)
        with subprocess.Popen(["sleep", "60"], pass_fds=[shared]) as process:
            assert DiskWatch(LIMIT, FILE_BYTES).over([process.pid], tmp_path)
            found = os.fstat(shared)
            known = frozenset([(found.st_dev, found.st_ino)])
            assert not DiskWatch(LIMIT, FILE_BYTES, known).over([process.pid], tmp_path)
            process.kill()
    finally:
        os.close(shared)


def test_a_process_that_has_ended_and_is_not_yet_reaped(tmp_path: Path) -> None:
    with subprocess.Popen(["true"]) as process:
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        assert not DiskWatch(LIMIT, FILE_BYTES).over([process.pid], tmp_path)


@pytest.mark.parametrize("levels", [0, 4, 20])
def test_files_below_the_third_level(levels: int, tmp_path: Path) -> None:
    folder = tmp_path.joinpath(*["d"] * levels)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "f").write_bytes(bytes(9 * MIB))
    assert stored_bytes(tmp_path, LIMIT) > LIMIT
    (folder / "f").write_bytes(bytes(MIB))
    assert stored_bytes(tmp_path, LIMIT) < LIMIT


def test_names_that_cost_nothing(tmp_path: Path) -> None:
    for number in range(LIMIT // ENTRY_BYTES + 1):
        (tmp_path / str(number)).touch()
    assert stored_bytes(tmp_path, LIMIT) > LIMIT


def test_levels_that_take_long_to_count(tmp_path: Path) -> None:
    tmp_path.joinpath(*["d"] * DEEPEST).mkdir(parents=True)
    assert stored_bytes(tmp_path, LIMIT) <= LIMIT
    tmp_path.joinpath(*["d"] * (DEEPEST + 1)).mkdir(parents=True)
    before = len(os.listdir("/proc/self/fd"))
    assert stored_bytes(tmp_path, LIMIT) > LIMIT
    assert len(os.listdir("/proc/self/fd")) == before


def test_a_link_that_is_counted_as_what_it_leads_to(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "up").symlink_to("/")
    (tmp_path / "big").write_bytes(bytes(9 * MIB))
    (tmp_path / "in" / "big").symlink_to(tmp_path / "big")
    assert stored_bytes(tmp_path / "in", LIMIT) < MIB
    assert stored_bytes(tmp_path / "never there", LIMIT) == 0
