"""Remove a folder that generated code has filled: any depth, any name, any mode, without recursion."""

from __future__ import annotations

import itertools
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

ROUNDS = 4_000_000
"""More than the depth that folders can have; an end also where somebody keeps filling the folder."""
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def remove_tree(folder: str | Path) -> bool:
    """Delete `folder` and all in it; returns whether it is gone. What the system does not delete stays.

    Each subfolder is emptied into `folder` itself before it goes, so that no path is ever longer than two
    names, and few descriptors are open, however deep the folders are nested. Links are deleted
    and not followed.
    """
    with suppress(FileNotFoundError):
        if not stat.S_ISDIR(os.lstat(folder).st_mode):
            return _done(os.unlink, folder)
        with _opened(os.fspath(folder)) as top:
            numbers = itertools.count()
            for _ in range(ROUNDS):
                if not _round(top, numbers):
                    break
        return _done(os.rmdir, folder)
    return True


def empty_folder(folder: Path) -> None:
    """Make `folder` one that is empty. One that is there stays, for it may be mounted where a process begins;
    a link or a file of its name goes. What the system does not delete stays."""
    if folder.is_symlink() or not folder.is_dir():
        remove_tree(folder)
    folder.mkdir(parents=True, exist_ok=True)
    with suppress(OSError):
        folder.chmod(folder.stat().st_mode | 0o700)
    for one in folder.iterdir():
        remove_tree(one)


def _round(top: int, numbers: Iterator[int]) -> bool:
    """Delete the files of `top`, and its folders once their entries are its own; whether there is more."""
    more = False
    for name in os.listdir(top):
        if not _is_folder(name, top):
            _done(os.unlink, name, top)
        elif not _done(os.rmdir, name, top):
            more |= _emptied(name, top, numbers)
    return more


def _emptied(name: str, top: int, numbers: Iterator[int]) -> bool:
    """Move the entries of the folder `name` up into `top`; whether any could be moved or deleted."""
    moved = False
    with suppress(OSError), _opened(name, top) as folder:
        for entry in os.listdir(folder):
            if not _is_folder(entry, folder):
                moved |= _done(os.unlink, entry, folder)
                continue
            _permit(entry, folder)
            moved |= _moved(entry, folder, top, numbers)
    return moved


def _moved(entry: str, folder: int, top: int, numbers: Iterator[int]) -> bool:
    """Move the folder `entry` up into `top`, under a name that nothing there has."""
    while True:
        name = f".removed-{os.getpid()}-{next(numbers)}"
        if not _exists(name, top):
            break
    try:
        os.rename(entry, name, src_dir_fd=folder, dst_dir_fd=top)
    except OSError:
        return False
    return True


def _exists(name: str, top: int) -> bool:
    try:
        os.lstat(name, dir_fd=top)
    except FileNotFoundError:
        return False
    return True


def _is_folder(name: str, parent: int) -> bool:
    try:
        return stat.S_ISDIR(os.lstat(name, dir_fd=parent).st_mode)
    except OSError:
        return False


@contextmanager
def _opened(name: str, parent: int | None = None) -> Iterator[int]:
    """A descriptor of the folder `name`, whose mode may have forbidden that."""
    _permit(name, parent)
    handle = os.open(name, _FOLDER, dir_fd=parent)
    try:
        yield handle
    finally:
        os.close(handle)


def _permit(name: str, parent: int | None) -> None:
    with suppress(OSError):
        os.chmod(name, 0o700, dir_fd=parent)


def _done(act: Callable[..., None], name: str | Path, parent: int | None = None) -> bool:
    """Whether `act`, os.unlink or os.rmdir, went through, or there was nothing left to do."""
    try:
        act(name, dir_fd=parent)
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return True
