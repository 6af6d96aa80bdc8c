"""The change from a seed model to an individual as a patch that `git apply` takes, to the last byte."""

from __future__ import annotations

import difflib
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
    """A patch for the file `path` below the folder `root`, a repository's where the file stands in one.
    `fresh` says that the file there is the one that the run began with."""

    text: bytes
    root: Path
    path: PurePosixPath
    fresh: bool

    @classmethod
    def of(cls, seed: Seed, genome: Genome, remarks: Iterable[str]) -> GitPatch:
        """Raises ConfigError: the individual is the seed model."""
        file = seed.path or Path("model.py")
        root, path = place_in_repository(file)
        text = git_patch(seed.source, genome.source, path, "\n".join(remarks))
        if not text:
            raise ConfigError(
                "This individual is the seed model: there is nothing to patch.", "Name another, as RUN:ID."
            )
        return cls(text, root, path, file.is_file() and file.read_bytes() == seed.source)


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
    told = "".join(f"{line}\n" for line in remark.splitlines())
    head = b"diff --git %s %s\n" % (old, new)
    return (f"{told}\n" if told else "").encode() + head + body


def place_in_repository(file: Path) -> tuple[Path, PurePosixPath]:
    """The root of the Git repository that `file` stands in, and its path there; without one, its folder and
    its name."""
    file = file.absolute()
    root = next((folder for folder in file.parents if (folder / ".git").exists()), file.parent)
    return root, PurePosixPath(file.relative_to(root).as_posix())


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
