"""Files of values that a candidate's code opens by their paths: it gets the candidate's, from memory.

`open`, `io.open` and what is made of them (`Path.open`, `read_text`, `codecs.open`) are covered. Python code
that opens such a file in another way (`os.open`, `io.FileIO`) gets an error. What opens it without Python
would get the original, and is not seen.
"""

from __future__ import annotations

import builtins
import io
import os
import sys
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import wraps
from typing import Any

_original = io.open
_abspath, _realpath, _fsdecode = os.path.abspath, os.path.realpath, os.fsdecode


@dataclass(frozen=True, slots=True)
class ValueFile:
    """One file: its name in addresses, its content, and the path of its original."""

    name: str
    content: bytes
    path: str


class _Content(io.BytesIO):
    """A content as an opened file that lies nowhere."""

    mode = "rb"

    def __init__(self, held: ValueFile, name: object) -> None:
        super().__init__(held.content)
        self.name = name

    def fileno(self) -> int:
        raise io.UnsupportedOperation(f"{self.name} is given from memory, and has no descriptor")


class _Given:
    """What is given in this process, and what of it has been opened."""

    def __init__(self) -> None:
        self.files: dict[str, ValueFile] = {}
        self.opened: set[str] = set()
        self._listens = False

    def replace(self, files: Sequence[ValueFile]) -> None:
        self.files = {place: one for one in files for place in (_abspath(one.path), _realpath(one.path))}
        builtins.open = io.open = _open if files else _original
        if files and not self._listens:
            sys.addaudithook(self._hear)
            self._listens = True

    def at(self, path: object) -> ValueFile | None:
        """The file that a path leads to; None where that is none of these."""
        if not self.files or isinstance(path, int):
            return None
        with suppress(TypeError, ValueError):
            place = _abspath(_fsdecode(path))  # type: ignore[arg-type]
            return self.files.get(place) or self.files.get(_realpath(place))
        return None

    def _hear(self, event: str, args: tuple[Any, ...]) -> None:
        """Refuse what would open an original. An audit hook stays as long as its process."""
        if event == "open" and (held := self.at(args[0])):
            raise PermissionError(
                f"{held.name} is evolved, and can be read by open() or Path.open() alone, in no other way"
            )


_given = _Given()


@wraps(_original)
def _open(
    file: Any,
    mode: str = "r",
    buffering: int = -1,
    encoding: str | None = None,
    errors: str | None = None,
    newline: str | None = None,
    closefd: bool = True,
    opener: Any = None,
) -> Any:
    held = _given.at(file)
    if held is None or opener is not None or not set(mode) <= set("rbt"):
        return _original(file, mode, buffering, encoding, errors, newline, closefd, opener)
    _given.opened.add(held.name)
    content = io.BufferedReader(_Content(held, file))
    if "b" in mode:
        return content
    text = io.TextIOWrapper(content, encoding, errors, newline)
    text.mode = mode  # type: ignore[misc]
    return text


def give(files: Sequence[ValueFile]) -> None:
    """From now on whoever opens one of these files to read it gets its content, in place of those given
    before; opening it to write is refused."""
    if files or _given.files:
        _given.replace(files)


def opened() -> Collection[str]:
    """The names of the files that were given in this process and have been opened."""
    return frozenset(_given.opened)
