"""Which files nobody has read since, by the access times that their file system keeps."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

_NEVER = 0


class Watched:
    """Files of one folder's file system, from now on."""

    def __init__(self, files: Sequence[Path]) -> None:
        self._files = tuple(files)
        for file in self._files:
            _as_never_read(file)

    def unread(self, folder: Path) -> tuple[Path, ...]:
        """Those that were not read. None of them where the file system does not tell: a file in `folder` is
        read to see that it does."""
        kept = tuple(file for file in self._files if file.exists() and os.stat(file).st_atime_ns == _NEVER)
        return kept if kept and _is_told(folder / "read") else ()


def _is_told(file: Path) -> bool:
    file.write_bytes(b"read")
    _as_never_read(file)
    file.read_bytes()
    return os.stat(file).st_atime_ns != _NEVER


def _as_never_read(file: Path) -> None:
    os.utime(file, ns=(_NEVER, os.stat(file).st_mtime_ns))
