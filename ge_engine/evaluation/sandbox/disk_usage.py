"""How much a candidate stores: in its folder, at all levels, and in files that no longer have a name."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from ge_engine.evaluation.sandbox.limits import LINUX
from ge_engine.evaluation.sandbox.process_tree import family

DEEPEST = 64
"""Levels of folders. Nobody needs more; counting further would cost more than killing."""
ENTRY_BYTES = 64 * 2**10
"""The least that a name counts: a million empty files are slow to remove."""
File = tuple[int, int]
"""The device and inode of a file."""
_ENDS = 0x4
"""The flag of a thread in the kernel that it is on its way to its end (PF_EXITING)."""


@dataclass(slots=True)
class DiskWatch:
    """Says which candidates store more than `limit` bytes. A file that is mapped and no longer open or named
    counts with `file_bytes`, the most that one can hold, where its size is not visible. Files that are
    `known`, by device and inode, or that this process has mapped as well, are not the candidate's."""

    limit: int
    file_bytes: int
    known: frozenset[File] = frozenset()

    def over(self, pids: Sequence[int], folder: Path) -> bool:
        """Whether a worker, the first of `pids`, stores too much in `folder` and elsewhere, with all that
        descend from `pids`: the first process of its namespace has those whose parents have ended."""
        stored = stored_bytes(folder, self.limit)
        return stored > self.limit or self.held_bytes(pids) > self.limit - stored

    def hoard(self, pids: Sequence[int]) -> bool:
        """Whether `pids`, orphans that no worker answers for, together hold too much in files without a
        name."""
        return self.held_bytes(pids) > self.limit

    def held_bytes(self, pids: Sequence[int]) -> int:
        """Bytes of all files without a name, memory files among them, that `pids` and what they started hold
        (Linux); more than `limit` where a process hides them. One that ends shows nothing to an ordinary
        user, and hides nothing."""
        if not LINUX:
            return 0
        ours = self.known | {file for file, _ in _nameless_maps(os.getpid())}
        sizes: dict[File, int] = {}
        for one in filter(None, map(_living, family(pids))):
            try:
                sizes |= {file: size for file, size in _nameless_open(one) if file not in ours}
                for file, place in _nameless_maps(one):
                    if file not in ours and file not in sizes:
                        sizes[file] = self._mapped_bytes(one, place)
            except (FileNotFoundError, ProcessLookupError):
                continue
            except PermissionError:
                if _lives(one):
                    return self.limit + 1
            if sum(sizes.values()) > self.limit:
                break
        return sum(sizes.values())

    def _mapped_bytes(self, pid: int, place: str) -> int:
        with suppress(OSError):
            return os.stat(f"/proc/{pid}/map_files/{place}").st_blocks * 512
        return self.file_bytes


def stored_bytes(folder: Path, limit: int) -> int:
    """Bytes of what stands in `folder`, at any level; more than `limit` once that is clear, as it is for
    folders that nest beyond `DEEPEST` levels or cannot be opened."""
    total = 0
    pending: list[Iterator[os.DirEntry[str]]] = []
    handles: list[int] = []
    try:
        _enter(str(folder), None, handles, pending)
        while pending and total <= limit:
            entry = next(pending[-1], None)
            if entry is None:
                pending.pop()
                os.close(handles.pop())
                continue
            with suppress(FileNotFoundError, NotADirectoryError):
                found = entry.stat(follow_symlinks=False)
                total += max(ENTRY_BYTES, found.st_blocks * 512)
                if stat.S_ISDIR(found.st_mode):
                    if len(handles) > DEEPEST:
                        return limit + 1
                    _enter(entry.name, handles[-1], handles, pending)
    except FileNotFoundError:
        return 0
    except PermissionError:
        return limit + 1
    finally:
        for handle in handles:
            os.close(handle)
    return total


def _enter(
    name: str, parent: int | None, handles: list[int], pending: list[Iterator[os.DirEntry[str]]]
) -> None:
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
    handles.append(os.open(name, flags, dir_fd=parent))
    pending.append(os.scandir(handles[-1]))


def _living(pid: int) -> int:
    """A thread of `pid` that has not ended, or 0: the first one may, and then shows nothing of what all
    hold."""
    with suppress(OSError):
        return next(filter(_lives, sorted(map(int, os.listdir(f"/proc/{pid}/task")))), 0)
    return 0


def _lives(thread: int) -> bool:
    with suppress(OSError):
        return not int(Path(f"/proc/{thread}/stat").read_bytes().rpartition(b") ")[2].split()[6]) & _ENDS
    return False


def _nameless_open(pid: int) -> Iterator[tuple[File, int]]:
    """Identity and bytes of the regular files without a name that `pid` has open."""
    for number in os.listdir(f"/proc/{pid}/fd"):
        with suppress(FileNotFoundError):
            found = os.stat(f"/proc/{pid}/fd/{number}")
            if stat.S_ISREG(found.st_mode) and found.st_nlink == 0:
                yield (found.st_dev, found.st_ino), found.st_blocks * 512


def _nameless_maps(pid: int) -> Iterator[tuple[File, str]]:
    """Identity and address range of each mapped file without a name, but for memory that is only shared."""
    with open(f"/proc/{pid}/maps", "rb") as file:
        for line in file.read().splitlines():
            if not line.endswith(b" (deleted)"):
                continue
            place, _, _, device, inode, name = line.split(maxsplit=5)
            if name != b"/dev/zero (deleted)" and not name.startswith(b"/SYSV"):
                major, minor = device.split(b":")
                yield (os.makedev(int(major, 16), int(minor, 16)), int(inode)), place.decode()
