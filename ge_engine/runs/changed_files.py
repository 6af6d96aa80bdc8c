"""What an individual changed in the files that its run read, and where these stand below a folder."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from ge_engine.entry_block import without_entry_block
from ge_engine.errors import ConfigError
from ge_engine.genome import Genome
from ge_engine.ledger.foreign import holds
from ge_engine.ledger.history import History

UNNAMED = Path("model.py")
"""The name of a seed model that was read from no file."""


@dataclass(frozen=True, slots=True)
class ChangedFile:
    """A file that the run read at `path`: its bytes then, `before`, and the individual's, `after`."""

    path: Path
    before: bytes
    after: bytes

    @property
    def real_path(self) -> Path:
        """Without links and `..`; the file need not be there."""
        return Path(os.path.realpath(self.path))


def changed_files(history: History, genome: Genome) -> tuple[ChangedFile, ...]:
    """The files that differ between what the run read and `genome`. Raises ConfigError: none does."""
    block = history.config.entry_block
    pairs = zip(history.seed.files.items(), genome.files.values(), strict=True)
    files = (
        ChangedFile(
            seed.path or Path(name or UNNAMED),
            without_entry_block(seed) if block and not at else seed.source,
            one.source,
        )
        for at, ((name, seed), one) in enumerate(pairs)
    )
    changed = tuple(one for one in files if one.before != one.after)
    if not changed:
        raise ConfigError(
            "This individual is the seed model: there is nothing to patch.", "Name another, as RUN:ID."
        )
    return changed


def place_in_repository(files: Sequence[Path]) -> tuple[Path, tuple[PurePosixPath, ...]]:
    """The root of the Git repository that the first of `files`, real paths, stands in, and their paths there;
    where they are not in one, their common folder and the paths there."""
    common = Path(os.path.commonpath([file.parent for file in files]))
    above = (common, *common.parents)
    root = next((folder for folder in above if os.path.exists(folder / ".git")), common)
    return root, tuple(PurePosixPath(file.relative_to(root).as_posix()) for file in files)


def places_below(file: Path, folder: Path) -> Iterator[PurePosixPath]:
    """Where `file`, a real path, may stand below `folder`: at its own place, where that is below the folder;
    in another copy of its project, or when it was moved, at an end of its path, the longest first."""
    own = file.relative_to(folder).parts if file.is_relative_to(folder) else file.parts[1:]
    own = own or (UNNAMED.name,)
    yield from (PurePosixPath(*own[at:]) for at in range(len(own)))


def place_below(changed: ChangedFile, folder: Path) -> Path:
    """The file's place below `folder`, a real path: its own where it is there, else where a file holds what
    the run read, else where one is, else below the root of its repository.

    Raises:
        ConfigError: it leads out of the folder, or into what belongs to a repository.
    """
    real = changed.real_path
    there = [one for place in places_below(real, folder) if os.path.lexists(one := folder / place)]
    _, (usual,) = place_in_repository([real])
    as_read = next((one for one in there if holds(one, changed.before)), None)
    found = real if real in there else as_read or (*there, folder / usual)[0]
    target = Path(os.path.realpath(found))
    if not target.is_relative_to(folder):
        raise ConfigError(f"{found} leads to {target}, which is not below {folder}.", "Name another folder.")
    if any(part.casefold() == ".git" for part in target.relative_to(folder).parts):
        raise ConfigError(f"{target} belongs to a repository itself.", "Write the file with -o FILE.")
    return target
