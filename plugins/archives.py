"""The files of a directory or a .zip, by name: what is not what it seems is refused in one sentence."""

from __future__ import annotations

import contextlib
import os
import stat
import struct
import threading
import zipfile
import zlib
from collections import Counter
from pathlib import Path

from ge_engine.errors import ConfigError

LARGEST_FILE = 256 * 2**20
MOST_FILES = 4_000_000
MOST_RATIO = 200
"""How much larger than packed a file, and all of an archive, may be; images are packed already."""
FREE = 2**20
"""Bytes of a file, or of all of them, that may be packed as well as they are."""
DAMAGED = (
    *(zipfile.BadZipFile, zlib.error, struct.error, OSError, EOFError, ValueError),
    *(NotImplementedError, RuntimeError, KeyError, IndexError, MemoryError, OverflowError),
)
HINT = "Unpack it with a program that you trust, look at it, and give the folder."


class Directory:
    """The files below a folder. Paths have slashes and begin below it."""

    def __init__(self, root: Path) -> None:
        self._root = root.resolve()
        self._folders: list[str] = []
        self._names: list[str] = []
        self._dangling: list[str] = []

    def __enter__(self) -> Directory:
        """Links to folders are followed, each folder once on a way down.

        Raises:
            ConfigError: a folder cannot be listed.
        """
        self._walk("", frozenset())
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def names(self) -> list[str]:
        return self._names

    def folders(self) -> list[str]:
        """All folders below it, the empty ones too."""
        return self._folders

    def dangling(self) -> list[str]:
        """Links to what is not there or cannot be looked at."""
        return self._dangling

    def stamp(self) -> str:
        """Another one where a file has changed."""
        stats = [(name, (self._root / name).stat()) for name in sorted(self._names)]
        lines = [f"{name} {stat.st_mtime_ns} {stat.st_size}" for name, stat in stats]
        return f"{self._root}\n" + "\n".join(lines)

    def head(self, name: str, length: int) -> bytes:
        """The first bytes. Raises ConfigError: it cannot be read."""
        return self._read(name, length)

    def read(self, name: str) -> bytes:
        """Raises ConfigError: it is too large, or cannot be read."""
        return _bounded(self._read(name, LARGEST_FILE + 1), name)

    def _walk(self, folder: str, above: frozenset[tuple[int, int]]) -> None:
        try:
            status = (self._root / folder).stat()
            here = (status.st_dev, status.st_ino)
            if here in above:
                return
            with os.scandir(self._root / folder) as listed:
                entries = sorted(listed, key=lambda entry: entry.name)
        except OSError as error:
            raise ConfigError(
                f"The folder {folder or self._root} cannot be listed: {error.strerror}.",
                "Check its permissions.",
            ) from error
        for entry in entries:
            name = f"{folder}/{entry.name}" if folder else entry.name
            kind = _kind(entry)
            if kind == stat.S_IFDIR:
                self._folders.append(name)
                self._walk(name, above | {here})
            elif kind == stat.S_IFREG:
                self._names.append(name)
            elif not kind:
                self._dangling.append(name)

    def _read(self, name: str, length: int) -> bytes:
        try:
            with open(self._root / name, "rb") as file:
                return file.read(length)
        except OSError as error:
            raise ConfigError(
                f"The file {name} cannot be read: {error.strerror}.", "Check its permissions."
            ) from error


class Zip:
    """The files in an archive, read one at a time into memory; nothing is unpacked to the disk."""

    def __init__(self, path: Path) -> None:
        """Raises ConfigError: no archive, or one with entries that no honest one has."""
        self._path = path.resolve()
        try:
            self._archive = zipfile.ZipFile(self._path)
        except DAMAGED as error:
            raise ConfigError(
                f"{path} is neither a directory nor a readable .zip: {error}.", "See --task folder:PATH."
            ) from error
        self._lock = threading.Lock()
        try:
            self._entries = self._honest_entries()
        except BaseException:
            self._archive.close()
            raise

    def __enter__(self) -> Zip:
        return self

    def __exit__(self, *_: object) -> None:
        self._archive.close()

    def names(self) -> list[str]:
        return [name for name, info in self._entries.items() if not (info.is_dir() or name.endswith("/"))]

    def folders(self) -> list[str]:
        """All folders that it names or that its files lie in."""
        nearest = {name.rpartition("/")[0] for name in self._entries}
        return sorted(
            {"/".join(f.split("/")[:n]) for f in nearest for n in range(1, f.count("/") + 2)} - {""}
        )

    def dangling(self) -> list[str]:
        """None: an archive with links is refused."""
        return []

    def stamp(self) -> str:
        """Another one where the archive has changed."""
        stat = self._path.stat()
        return f"{self._path} {stat.st_mtime_ns} {stat.st_size}"

    def read(self, name: str) -> bytes:
        """Raises ConfigError: damaged, or longer than it said."""
        return _bounded(self._read(name, LARGEST_FILE + 1), name)

    def head(self, name: str, length: int) -> bytes:
        """The first bytes. Raises ConfigError: damaged."""
        return self._read(name, length)

    def _read(self, name: str, length: int) -> bytes:
        try:
            with self._lock, self._archive.open(self._entries[name]) as file:
                return file.read(length)
        except NotImplementedError as error:
            raise ConfigError(
                f"The entry {name!r} of {self._path} cannot be unpacked: {error}.", HINT
            ) from error
        except DAMAGED as error:
            raise ConfigError(
                f"The entry {name!r} of {self._path} is damaged: {error}.",
                f"{HINT} --skip-broken leaves damaged images out.",
            ) from error

    def _honest_entries(self) -> dict[str, zipfile.ZipInfo]:
        """The entries by their paths. Raises ConfigError: one that no honest archive has."""
        entries = self._archive.infolist()
        if len(entries) > MOST_FILES:
            raise ConfigError(f"The archive {self._path} has more than {MOST_FILES:,} entries.", HINT)
        for info in entries:
            if why := _odd(info):
                raise ConfigError(
                    f"The archive {self._path} has an entry {info.filename!r} that {why}.", HINT
                )
        names = [_slashed(info) for info in entries]
        named = dict(zip(names, entries, strict=True))
        if len(named) < len(names):
            twice = next(name for name, count in Counter(names).items() if count > 1)
            raise ConfigError(f"The archive {self._path} has the entry {twice!r} twice.", HINT)
        whole = sum(info.file_size for info in entries)
        if whole > FREE + MOST_RATIO * self._path.stat().st_size:
            raise ConfigError(
                f"The archive {self._path} would unpack to {whole:,} bytes: it is no archive of images.", HINT
            )
        return named


def _kind(entry: os.DirEntry[str]) -> int:
    """The type of a file or of what a link leads to (`stat.S_IFMT`), 0 where it cannot be looked at."""
    try:
        return stat.S_IFMT(entry.stat().st_mode)
    except OSError:
        return 0


def _slashed(info: zipfile.ZipInfo) -> str:
    """An entry's path with slashes, also where Windows wrote it with backslashes; as UTF-8 where it is that
    without saying so."""
    name = info.filename
    if not info.flag_bits & 0x800:
        with contextlib.suppress(UnicodeError):
            name = name.encode("cp437").decode("utf-8")
    return name.replace("\\", "/")


def _odd(info: zipfile.ZipInfo) -> str:
    """What is wrong with an entry, "" for nothing."""
    name = info.filename.replace("\\", "/")
    kind = stat.S_IFMT(info.external_attr >> 16)
    if name.startswith("/") or ".." in name.split("/") or name[1:2] == ":":
        return "leads out of it"
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        return "is a link or a device"
    if info.flag_bits & 1:
        return "is encrypted"
    if info.file_size > LARGEST_FILE:
        return f"has {info.file_size:,} bytes"
    if info.file_size > FREE + MOST_RATIO * info.compress_size:
        return f"unpacks {info.compress_size:,} bytes to {info.file_size:,}"
    return ""


def _bounded(data: bytes, name: str) -> bytes:
    if len(data) > LARGEST_FILE:
        raise ConfigError(f"The file {name!r} has more than {LARGEST_FILE:,} bytes.", "Remove or replace it.")
    return data
