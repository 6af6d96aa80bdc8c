"""What git gives an external diff driver: the change as blocks or, where it is of none, as plain lines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from ge_engine.changes import Change, diff_genomes
from ge_engine.errors import ConfigError, SeedError
from ge_engine.genome import Seed
from ge_engine.runs.git import REGULAR
from ge_engine.runs.git_patch import git_patch
from ge_engine.views.console import visible

NOTHING = "/dev/null"
PYTHON = (".py", ".pyi")
LARGEST = 2**20
"""Bytes of a file that is cut into blocks, at most."""
FORMS = (1, 7, 9)
"""How many words git gives: of a file that is unmerged, one that changed, and one that was renamed."""


@dataclass(frozen=True, slots=True)
class GivenSide:
    """A side as git gives it: a file with its content, which may be a temporary one, and its mode."""

    file: str
    mode: str

    @property
    def there(self) -> bool:
        return self.file != NOTHING

    def read(self) -> bytes:
        """b"" of what is not there or is no file."""
        try:
            return Path(self.file).read_bytes() if self.there else b""
        except OSError:
            return b""


@dataclass(frozen=True, slots=True)
class GivenDiff:
    """A change of one file as git gives it; `old` and `new` are None where it is unmerged. `told` is what git
    says of a file that was renamed or copied to `target`."""

    path: str
    target: str
    told: str
    old: GivenSide | None = None
    new: GivenSide | None = None

    @classmethod
    def of(cls, words: Sequence[str]) -> GivenDiff:
        """Raises ConfigError: they are not what git gives."""
        if len(words) not in FORMS:
            raise ConfigError(
                f"git gives an external diff {FORMS[1]} words, and these are {len(words)}.",
                "Let git call it: git config diff.ge.command 'ge git-diff --'.",
            )
        path, *rest = words
        if not rest:
            return cls(path, path, "")
        old, _, old_mode, new, _, new_mode, *renamed = rest
        target, told = renamed or (path, "")
        return cls(path, target, told, GivenSide(old, old_mode), GivenSide(new, new_mode))

    def header(self) -> list[str]:
        """What git itself writes above a change."""
        old, new = self.old, self.new
        if old is None or new is None:
            return [f"* Unmerged path {self.path}"]
        lines = [f"diff --git a/{self.path} b/{self.target}"]
        if not old.there or not new.there:
            lines.append(f"deleted file mode {old.mode}" if old.there else f"new file mode {new.mode}")
        elif old.mode != new.mode:
            lines += [f"old mode {old.mode}", f"new mode {new.mode}"]
        return [*lines, *self.told.splitlines()]

    def blocks(self) -> tuple[Change, ...]:
        """The change block by block; () where it is of no block, or not of two files that can be cut."""
        if self.old is None or self.new is None:
            return ()
        before, after = self.old.read(), self.new.read()
        python = self.path.endswith(PYTHON) and self.target.endswith(PYTHON)
        plain = {self.old.mode, self.new.mode} <= set(REGULAR)
        if not (python and plain and max(len(before), len(after)) <= LARGEST):
            return ()
        try:
            return diff_genomes(Seed.from_bytes(before).genome, Seed.from_bytes(after).genome)
        except SeedError:
            return ()

    def lines(self) -> list[str]:
        """The change as a plain unified diff below the names, which shows carriage returns; [] where there is
        none."""
        if self.old is None or self.new is None:
            return []
        before, after = self.old.read(), self.new.read()
        if before == after:
            return []
        names = (
            f"a/{self.path}" if self.old.there else NOTHING,
            f"b/{self.target}" if self.new.there else NOTHING,
        )
        if b"\0" in before or b"\0" in after:
            return [f"Binary files {names[0]} and {names[1]} differ"]
        body = visible(git_patch(before, after, PurePosixPath("file")).decode("utf-8", "replace"))
        return [f"--- {names[0]}", f"+++ {names[1]}", *body.split("\n")[3:-1]]
