"""The change from a seed model to an individual as a patch that `git apply` takes, to the last byte."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from ge_engine.errors import ConfigError
from ge_engine.genome import Genome, Seed

PRINTABLE = re.compile(r"[ !#-\[\]-~]*")
_NO_NEWLINE = b"\n\\ No newline at end of file\n"


@dataclass(frozen=True, slots=True)
class GitPatch:
    """A patch for files below the folder `root`, a repository's where they stand in one. `stale` are those
    that are no longer as the run began with them."""

    text: bytes
    root: Path
    stale: tuple[PurePosixPath, ...]

    @classmethod
    def of(cls, seed: Seed, genome: Genome, remarks: Iterable[str]) -> GitPatch:
        """Raises ConfigError: the individual is the seed model."""
        files = {name: (one.path or Path(name or "model.py")).absolute() for name, one in seed.files.items()}
        root = root_of(files.values())
        below = {name: PurePosixPath(file.relative_to(root).as_posix()) for name, file in files.items()}
        changed = {
            name: text
            for name, one in seed.files.items()
            if (text := git_patch(one.source, genome.files[name].source, below[name]))
        }
        if not changed:
            raise ConfigError(
                "This individual is the seed model: there is nothing to patch.", "Name another, as RUN:ID."
            )
        stale = (below[name] for name in changed if not _holds(files[name], seed.files[name].source))
        return cls(_remark("\n".join(remarks)) + b"".join(changed.values()), root, tuple(stale))


def _holds(file: Path, source: bytes) -> bool:
    return file.is_file() and file.read_bytes() == source


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
    """What git skips, and a blank line; b"" for nothing."""
    told = "".join(f"{line}\n" for line in text.splitlines())
    return (f"{told}\n" if told else "").encode()


def root_of(files: Iterable[Path]) -> Path:
    """The root of the Git repository that all of the `files`, absolute paths, stand in; without one, the
    folder that holds them all."""
    home = Path(os.path.commonpath([file.parent for file in files]))
    return next((folder for folder in (home, *home.parents) if (folder / ".git").exists()), home)


def _lines(text: bytes) -> list[bytes]:
    return re.findall(rb"[^\n]*\n|[^\n]+", text)


def _name(side: str, path: PurePosixPath) -> bytes:
    """A path as git writes it: in quotation marks where it has others than printable characters."""
    name = f"{side}/{path}"
    if PRINTABLE.fullmatch(name):
        return name.encode()
    quoted = "".join(
        chr(byte) if PRINTABLE.fullmatch(chr(byte)) else f"\\{byte:03o}" for byte in name.encode()
    )
    return f'"{quoted}"'.encode()


def _ended(name: bytes) -> bytes:
    """A name with spaces ends with a tab in the two lines that would end there else."""
    return name + b"\t" if b" " in name and not name.startswith(b'"') else name
