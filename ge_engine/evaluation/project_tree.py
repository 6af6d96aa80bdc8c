"""A tree of a user's project in which evolved files stand at their own places, for a program as it is.

What a program writes in the tree stays there: its folders are made anew, and what is small is copied.
Linked, never copied, are large files and folders of many files, which the program is to read
(`sandbox.kept_folder` keeps them from being written through the links). Python's files are copied at any
size: `python train.py` by a link would look for its modules beside the file that the link leads to, and find
the model as it was.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

COPIED_BYTES = 2**20
"""The size beyond which a file is linked, unless it is Python's."""
COPIED_BYTES_IN_ALL = 32 * 2**20
"""So much is copied into one tree, Python's files besides."""
FOLDER_ENTRIES, TREE_ENTRIES = 1_000, 5_000
"""How many files and folders one folder may hold, with all below it, and all such folders of a tree together,
that are made anew; others are linked as they are."""
LEFT_OUT = frozenset([".git", ".hg", ".svn", "__pycache__"])
"""What a program would change as the user's own, or what is stale beside an evolved file."""
RUN_DATABASE = "ledger.sqlite"
PYTHON = (".py", ".pyw")


def lay_tree(
    project: Path,
    into: Path,
    evolved: Mapping[PurePosixPath, bytes],
    left_out: Collection[PurePosixPath] = (),
    outside: Collection[Path] = (),
) -> None:
    """Make the folder `into` a tree of the folder `project`, whose path has no links. `evolved` are contents
    of files by their paths below the project.

    What is not taken over: `left_out`, paths below the project of files that the program is to write, in
    folders of the tree's own; `outside`, folders that trees are made in; folders of runs; `LEFT_OUT`;
    sockets, pipes and devices. A link into the project leads to the same place of the tree.

    Raises:
        OSError: the tree cannot be written.
    """
    tree = _Tree(project, into, frozenset(evolved), frozenset(left_out), frozenset(outside))
    tree.lay()
    for place, content in evolved.items():
        file = into / place
        file.write_bytes(content)
        with suppress(FileNotFoundError):
            _be_like(file, os.stat(project / place))


@dataclass(frozen=True, slots=True)
class _Subtree:
    """A folder of the project, and those in it, parents first; `entries` stops at the first too many."""

    place: PurePosixPath
    folders: tuple[PurePosixPath, ...]
    entries: int
    python: bool


class _Tree:
    def __init__(
        self,
        project: Path,
        into: Path,
        evolved: frozenset[PurePosixPath],
        left_out: frozenset[PurePosixPath],
        outside: frozenset[Path],
    ) -> None:
        self._project = project
        self._into = into
        self._own = evolved | left_out
        self._outside = outside
        written = {parent for place in left_out for parent in place.parents if (project / parent).is_dir()}
        self._spine = written.union(*(place.parents for place in evolved))
        self._room = TREE_ENTRIES
        self._bytes = COPIED_BYTES_IN_ALL

    def lay(self) -> None:
        """Make all of the tree but the evolved files."""
        for here in sorted(self._spine, key=lambda place: place.parts):
            (self._into / here).mkdir(parents=True, exist_ok=True)
            beside = [place for place in self._fill(here) if place not in self._spine]
            for subtree in sorted(map(self._subtree, beside), key=lambda one: (not one.python, one.entries)):
                self._take(subtree)

    def _take(self, subtree: _Subtree) -> None:
        """Make a folder anew, or link it where it holds too much."""
        if subtree.entries > min(FOLDER_ENTRIES, self._room):
            os.symlink(self._project / subtree.place, self._into / subtree.place)
            return
        self._room -= subtree.entries
        for folder in subtree.folders:
            (self._into / folder).mkdir()
            self._fill(folder)

    def _fill(self, here: PurePosixPath) -> list[PurePosixPath]:
        """Put the files and links of a folder into the tree; its folders."""
        folders = []
        for entry in self._entries(here):
            place = here / entry.name
            if entry.is_symlink():
                self._link(place)
            elif entry.is_dir():
                folders.append(place)
            elif entry.is_file():
                self._file(place, entry.stat())
        return folders

    def _entries(self, here: PurePosixPath) -> Iterator[os.DirEntry[str]]:
        """What is taken over of a folder, by name; nothing of one that is gone or is not there yet."""
        with suppress(FileNotFoundError, NotADirectoryError):
            found = self._listed(here)
            yield from sorted(found, key=lambda entry: entry.name)

    def _listed(self, here: PurePosixPath) -> Iterator[os.DirEntry[str]]:
        with os.scandir(self._project / here) as entries:
            for entry in entries:
                place = here / entry.name
                linked_spine = place in self._spine and entry.is_symlink()
                if place not in self._own and not linked_spine and not self._is_left_out(entry):
                    yield entry

    def _is_left_out(self, entry: os.DirEntry[str]) -> bool:
        if entry.name in LEFT_OUT:
            return True
        folder = entry.is_dir(follow_symlinks=False)
        return folder and (
            Path(entry.path) in self._outside or os.path.lexists(f"{entry.path}/{RUN_DATABASE}")
        )

    def _subtree(self, place: PurePosixPath) -> _Subtree:
        """How much a folder holds. One that cannot be listed counts as too much."""
        folders, python, count = [place], False, 0
        try:
            for here in folders:
                for entry in self._listed(here):
                    count += 1
                    python |= entry.name.endswith(PYTHON)
                    if count > FOLDER_ENTRIES:
                        return _Subtree(place, (), count, python)
                    if entry.is_dir(follow_symlinks=False):
                        folders.append(here / entry.name)
        except PermissionError:
            return _Subtree(place, (), FOLDER_ENTRIES + 1, python)
        except FileNotFoundError:
            pass
        return _Subtree(place, tuple(folders), count, python)

    def _file(self, place: PurePosixPath, about: os.stat_result) -> None:
        python = place.name.endswith(PYTHON)
        if python or about.st_size <= min(COPIED_BYTES, self._bytes):
            self._bytes -= 0 if python else about.st_size
            with suppress(FileNotFoundError, PermissionError):
                shutil.copyfile(self._project / place, self._into / place)
                _be_like(self._into / place, about)
                return
        with suppress(FileExistsError):
            os.symlink(self._project / place, self._into / place)

    def _link(self, place: PurePosixPath) -> None:
        """A link as it is in the project; one that leads into the project stays in the tree."""
        target = Path(os.path.realpath(self._project / place))
        if target.is_relative_to(self._project):
            counterpart = self._into / target.relative_to(self._project)
            target = Path(os.path.relpath(counterpart, (self._into / place).parent))
        os.symlink(target, self._into / place)


def _be_like(file: Path, about: os.stat_result) -> None:
    """The mode and the times of a file of the project, for its owner to write."""
    file.chmod(about.st_mode & 0o777 | 0o600)
    os.utime(file, ns=(about.st_atime_ns, about.st_mtime_ns))
