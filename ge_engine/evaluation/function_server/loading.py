"""Load a user's function once, for forks: what its module has said, read and seeded, and why it may not be
forked.

A fork has all of what the module made when it was loaded. That must be what a process of its own would have
made as well: no descriptor whose place in a file forks would share, no thread that forks would lack, no path
of a folder that belongs to one evaluation.
"""

from __future__ import annotations

import fcntl
import os
import random
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain, islice
from types import ModuleType
from typing import Any

from ge_engine.evaluation import function
from ge_engine.evaluation.data.module_loader import FOLDER_NAMES
from ge_engine.evaluation.sandbox.process_tree import children

Stamps = Mapping[str, tuple[int, int, int]]
"""Files by path -> inode, size in bytes, and time of change in ns."""
_HARMLESS = ("/dev/null", "/dev/zero", "/dev/random", "/dev/urandom", "/dev/nvidia")
_LIBRARY = os.path.dirname(os.__file__)
_CONTAINERS = (dict, list, tuple, set, frozenset)
_MOST_SEARCHED = 1000
"""Entries of a container that are looked at for a path."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """A function and the files that its module and the user's modules which that imports were read from.
    `drawing` is the state of `random` where its module has seeded that, so that each evaluation draws the
    same numbers. `refused` says why it is not to be forked; "" where it may be."""

    function: Callable[[str, dict[str, Any]], Any]
    files: Stamps
    drawing: tuple[Any, ...] | None
    refused: str


def load(target: str, folder: str) -> Loaded:
    """Load the function `target` in this process, which has one thread. `folder` holds what belongs to one
    evaluation: its temporary folder "tmp", its HOME, and the candidate, which is not there.

    Raises whatever loading raises.
    """
    before = frozenset(_open_files())
    with _noting_seeds() as seeds:
        found = function.found(target)
    own = list(own_modules())
    drawing = random.getstate() if seeds else None
    return Loaded(found, stamps(map(_file, own)), drawing, _refused(folder, before, own))


def own_modules() -> Iterator[ModuleType]:
    """The modules that were loaded from the user's files: no installed packages, nothing of Python's own."""
    for name, module in tuple(sys.modules.items()):
        file = _file(module)
        installed = any(f"{os.sep}{part}{os.sep}" in file for part in FOLDER_NAMES)
        ours = name == "__main__" or name.partition(".")[0] in ("ge_engine", "ge_plugins")
        if file and not installed and not ours and not file.startswith(_LIBRARY + os.sep):
            yield module


def stamps(files: Iterator[str]) -> Stamps:
    """What tells whether a file is still as it is now; zeros of one that is not there."""
    found = {}
    for file in files:
        try:
            status = os.stat(file)
            found[file] = status.st_ino, status.st_size, status.st_mtime_ns
        except OSError:
            found[file] = 0, 0, 0
    return found


def _file(module: ModuleType) -> str:
    file = getattr(module, "__file__", None)
    return file if isinstance(file, str) else ""


@contextmanager
def _noting_seeds() -> Iterator[list[None]]:
    """A list that grows when somebody seeds `random`."""
    seeds: list[None] = []
    acts = random.seed, random.setstate

    def noting(act: Callable[..., None]) -> Callable[..., None]:
        def noted(*arguments: Any, **named: Any) -> None:
            seeds.append(None)
            act(*arguments, **named)

        return noted

    random.seed, random.setstate = noting(acts[0]), noting(acts[1])
    try:
        yield seeds
    finally:
        random.seed, random.setstate = acts


def _refused(folder: str, before: frozenset[str], own: list[ModuleType]) -> str:
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_initialized():
        return "it uses CUDA when it is loaded"
    if (threads := _threads()) > 1:
        return f"{threads - 1} threads run when it is loaded"
    if children():
        return "it starts processes when it is loaded"
    opened = [target for number, target in _open_files().items() if number not in before]
    if kept := [target for target in opened if not target.startswith(_HARMLESS)]:
        return f"it keeps {kept[0]} open when it is loaded"
    if os.listdir(os.path.join(folder, "tmp")):
        return "it makes temporary files when it is loaded"
    for module in own:
        for name, value in vars(module).items():
            if _mentions(value, folder):
                return f"its {name} holds a path that is another one for each evaluation"
    return ""


def _threads() -> int:
    """How many threads this process keeps. Pools that end before a fork and are begun again when they are
    needed, such as OpenBLAS's, have ended after this one."""
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)
    return len(os.listdir("/proc/self/task"))


def _open_files() -> dict[str, str]:
    """What is open by its number, but for files that are only added to."""
    found = {}
    for number in os.listdir("/proc/self/fd"):
        try:
            flags = fcntl.fcntl(int(number), fcntl.F_GETFL)
            target = os.readlink(f"/proc/self/fd/{number}")
        except OSError:  # that of the folder itself
            continue
        if not (flags & os.O_APPEND and flags & os.O_ACCMODE == os.O_WRONLY):
            found[number] = target
    return found


def _mentions(value: object, folder: str, depth: int = 4) -> bool:
    """Whether `value` is a path in `folder`, or holds one."""
    if isinstance(value, (str, os.PathLike)):
        path = os.fspath(value)
        return isinstance(path, str) and folder in path
    if not isinstance(value, _CONTAINERS) or not depth:
        return False
    held = chain(value, value.values()) if isinstance(value, dict) else iter(value)
    return any(_mentions(one, folder, depth - 1) for one in islice(held, _MOST_SEARCHED))
