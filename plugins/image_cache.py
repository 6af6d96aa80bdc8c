"""Decoded images in the user's cache folder: kept between runs, filled as wanted, never relied on."""

from __future__ import annotations

import os
import struct
import sys
import threading
import zlib
from pathlib import Path

from ge_engine.cache import cache_folder
from ge_engine.errors import ConfigError

MAGIC = b"ge_engine pixels 1\n".ljust(32)
SUM = struct.Struct("<Q")
PRESENT = 2**32
SETTING = "Set XDG_CACHE_HOME to a folder that can be written."


class Keeping:
    """Where what was read is kept. Where that cannot be it is said once, and all goes on without it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._folder: Path | None = None
        try:
            self._folder = cache_folder()
        except ConfigError as error:
            _tell(f"{error.message} {error.hint}")

    def file(self, name: str) -> Path | None:
        """Where a file of this name is kept, None where nothing is."""
        return self._folder and self._folder / name

    def give_up(self, error: OSError) -> None:
        """Say that nothing can be kept, and keep nothing more."""
        with self._lock:
            folder, self._folder = self._folder, None
        if folder is not None:
            _tell(f"{folder}: {error.strerror}. {SETTING}")


def _tell(why: str) -> None:
    print(f"The decoded images are not kept for the next run: {why}", file=sys.stderr)


class Pixels:
    """Rows of as many bytes each, with a checksum each, in one sparse file that processes may share.

    A row that is not there, or whose checksum is not right, is None. What cannot be written is said once."""

    def __init__(self, keeping: Keeping, name: str, count: int, row: int) -> None:
        self._keeping, self._count, self._row = keeping, count, row
        self._path = path = keeping.file(name)
        self._lock = threading.Lock()
        self._file = self._handle = -1
        if path is not None:
            try:
                self._open(path)
            except OSError as error:
                self._give_up(error)

    def take(self, index: int) -> bytes | None:
        """The row, where it is there and sound."""
        if self._file < 0:
            return None
        try:
            (held,) = SUM.unpack(os.pread(self._file, SUM.size, self._sum_at(index)))
            data = os.pread(self._file, self._row, self._row_at(index)) if held else b""
        except (OSError, struct.error):
            return None
        return data if held == PRESENT | zlib.crc32(data) and len(data) == self._row else None

    def put(self, index: int, data: bytes) -> None:
        """Keep a row, the pixels before the checksum that makes them count."""
        try:
            if self._path is not None:
                self._write(data, self._row_at(index))
                self._write(SUM.pack(PRESENT | zlib.crc32(data)), self._sum_at(index))
        except OSError as error:
            self._give_up(error)

    def close(self) -> None:
        if self._handle >= 0:
            os.close(self._handle)
        self._file = self._handle = -1

    def _open(self, path: Path) -> None:
        size = self._row_at(self._count)
        self._handle = _opened(path)
        sound = os.fstat(self._handle).st_size in (0, size)
        if not sound or os.pread(self._handle, len(MAGIC), 0) not in (b"", MAGIC):
            os.close(self._handle)
            self._handle = -1
            path.unlink()
            self._handle = _opened(path)
        self._file = self._handle
        os.ftruncate(self._file, size)
        self._write(MAGIC, 0)

    def _write(self, data: bytes, place: int) -> None:
        while data:
            written = os.pwrite(self._handle, data, place)
            data, place = data[written:], place + written

    def _sum_at(self, index: int) -> int:
        return len(MAGIC) + SUM.size * index

    def _row_at(self, index: int) -> int:
        return len(MAGIC) + SUM.size * self._count + self._row * index

    def _give_up(self, error: OSError) -> None:
        """A file that cannot be written leaves nothing behind and is not tried again. Its number stays taken
        until all is read, for another thread may be about to use it."""
        with self._lock:
            if self._path is None:
                return
            path, self._path, self._file = self._path, None, -1
            if self._handle >= 0:
                path.unlink(missing_ok=True)
        self._keeping.give_up(error)


def _opened(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
