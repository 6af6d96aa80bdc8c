"""The change from a seed model to an individual as a patch that `git apply` takes, to the last byte."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from ge_engine.ledger.foreign import holds
from ge_engine.runs.changed_files import ChangedFile, place_in_repository

PRINTABLE = re.compile(r"[ !#-\[\]-~]*")
_NO_NEWLINE = b"\n\\ No newline at end of file\n"


@dataclass(frozen=True, slots=True)
class GitPatch:
    """A patch for the files `paths` below the folder `root`, a repository's where the first stands in one.
    `stale` are those that are not there as the run read them."""

    text: bytes
    root: Path
    paths: tuple[PurePosixPath, ...]
    stale: tuple[PurePosixPath, ...]

    @classmethod
    def of(cls, changed: Sequence[ChangedFile], remarks: Iterable[str]) -> GitPatch:
        root, paths = place_in_repository([one.real_path for one in changed])
        placed = list(zip(changed, paths, strict=True))
        body = b"".join(git_patch(one.before, one.after, path) for one, path in placed)
        stale = tuple(path for one, path in placed if not holds(one.real_path, one.before))
        return cls(_remark("\n".join(remarks)) + body, root, paths, stale)


def git_patch(before: bytes, after: bytes, path: PurePosixPath, remark: str = "") -> bytes:
    """A unified diff of one file at `path` of a repository, below a `remark` that git skips; b"" where the
    two are equal. Lines end at LF alone, as git's do."""
    old, new = _name("a", path), _name("b", path)
    body = b"".join(
        line if line.endswith(b"\n") else line + _NO_NEWLINE
        for line in difflib.diff_bytes(
            difflib.unified_diff, _lines(before), _lines(after), _ended(old), _ended(new)
        )
    )
    if not body:
        return b""
    return _remark(remark) + b"diff --git %s %s\n" % (old, new) + body


def _remark(text: str) -> bytes:
    """What git skips before a patch."""
    told = "".join(f"{line}\n" for line in text.splitlines())
    return f"{told}\n".encode() if told else b""


def _lines(text: bytes) -> list[bytes]:
    return re.findall(rb"[^\n]*\n|[^\n]+", text)


def _name(side: str, path: PurePosixPath) -> bytes:
    """A path as git writes it: in quotation marks where it has others than printable characters."""
    name = f"{side}/{path}"
    if PRINTABLE.fullmatch(name):
        return name.encode()
    quoted = "".join(
        chr(byte) if PRINTABLE.fullmatch(chr(byte)) else f"\\{byte:03o}" for byte in os.fsencode(name)
    )
    return f'"{quoted}"'.encode()


def _ended(name: bytes) -> bytes:
    """A name with spaces ends with a tab in the two lines that would end there else."""
    return name + b"\t" if b" " in name and not name.startswith(b'"') else name
