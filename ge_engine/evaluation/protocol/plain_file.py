"""A file that is read as data, whoever put it there: no link, no device, no more bytes than are wanted."""

from __future__ import annotations

import os
import stat
from pathlib import Path


def read_plain(path: Path, most: int) -> bytes:
    """The bytes of a regular file of at most `most` bytes.

    Raises:
        FileNotFoundError: there is none.
        OSError: it is a link or no regular file, larger, or cannot be read.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    with open(descriptor, "rb") as file:
        there = os.fstat(descriptor)
        if not stat.S_ISREG(there.st_mode) or there.st_size > most:
            raise OSError(f"{path.name} is no plain file of at most {most} bytes")
        return file.read(most)
