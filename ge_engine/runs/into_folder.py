"""Puts an individual's files in their places below a folder, and loses nothing that stands there."""

from __future__ import annotations

import os
import shlex
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain, count
from pathlib import Path
from typing import Literal

from ge_engine.atomic_file import write_whole
from ge_engine.errors import ConfigError
from ge_engine.ledger.foreign import holds
from ge_engine.runs.changed_files import ChangedFile, place_below
from ge_engine.runs.git import GitError, Repository

State = Literal["committed", "uncommitted", "unknown to git"]
FRESH = 0o644


@dataclass(frozen=True, slots=True)
class Written:
    """A file that was put in its place; `kept` is where the one before stands now, where it stood in no
    commit and in no run."""

    path: Path
    kept: Path | None


@dataclass(frozen=True, slots=True)
class _Plan:
    path: Path
    data: bytes
    keeps: bool


def write_into(changed: Sequence[ChangedFile], folder: Path, force: bool) -> list[Written]:
    """Write every file, byte for byte, to its place below `folder`, or none. It keeps its permissions.

    Raises:
        ConfigError: no folder; a file there that has uncommitted changes; or, without `force`, one that is
            not what the run read.
    """
    if not os.path.isdir(folder):
        raise ConfigError(
            f"There is no folder {folder}.", "Name the folder of the repository or of the project."
        )
    real = Path(os.path.realpath(folder))
    plans = [_planned(one, real, force) for one in changed]
    return [_carried_out(plan) for plan in plans]


def _planned(changed: ChangedFile, folder: Path, force: bool) -> _Plan:
    """Raises ConfigError where something would be lost, or `force` is wanted."""
    target = place_below(changed, folder)
    if holds(target, changed.after):
        return _Plan(target, changed.after, keeps=False)
    state = _state(target, folder)
    if state == "uncommitted":
        command = shlex.join(["git", "-C", str(target.parent), "commit", "--", target.name])
        raise ConfigError(f"{target} has changes that are not committed.", f"Commit or stash them: {command}")
    as_read = holds(target, changed.before)
    if not as_read and not force:
        raise _other(target, state)
    return _Plan(target, changed.after, keeps=not as_read and state != "committed" and os.path.exists(target))


def _other(target: Path, state: State) -> ConfigError:
    if not os.path.exists(target):
        return ConfigError(
            f"There is no file {target}, which the run read.",
            "Name the folder in which it stands, or write it all the same with --force.",
        )
    kept = "the last commit has it as it is" if state == "committed" else "a copy of it is kept beside it"
    return ConfigError(
        f"{target} is not as the run read it: what was changed since would go.",
        f"Write the change with --patch and apply it, or overwrite the file with --force: {kept}.",
    )


def _state(target: Path, folder: Path) -> State:
    """Whether the last commit of the file's repository has it as it is. A file that the last commit lacks is
    unknown, and so is every one where git cannot be asked."""
    try:
        there = target.stat()
        if not stat.S_ISREG(there.st_mode):
            raise ConfigError(f"{target} is no file.", "Name another folder.")
        repository = Repository.of(target, folder)
        path = target.relative_to(repository.root).as_posix()
        entry = repository.entry(path)
        if entry is None:
            return "unknown to git"
        same = repository.conversion(path, target.read_bytes(), entry) is not None
    except (OSError, GitError):
        return "unknown to git"
    return "committed" if same else "uncommitted"


def _carried_out(plan: _Plan) -> Written:
    if holds(plan.path, plan.data):
        return Written(plan.path, None)
    hint = "Name another folder, or write the file with -o FILE."
    mode = stat.S_IMODE(plan.path.stat().st_mode) if os.path.exists(plan.path) else FRESH
    kept = _spare(plan.path) if plan.keeps else None
    if kept is not None:
        write_whole(kept, plan.path.read_bytes(), hint, mode)
    write_whole(plan.path, plan.data, hint, mode)
    return Written(plan.path, kept)


def _spare(path: Path) -> Path:
    """A name beside `path` that nothing has."""
    names = chain([f"{path.name}.orig"], (f"{path.name}.orig{number}" for number in count(2)))
    return next(one for name in names if not os.path.lexists(one := path.with_name(name)))
