"""A folder that a model is trained into: what for, what there is to go on from, and who works on it."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from ge_engine.atomic_file import write_whole
from ge_engine.errors import ConfigError, GeError
from ge_engine.evaluation.model_code import CODE, ModelCode
from ge_engine.evaluation.sandbox.removal import remove_tree
from ge_engine.runs.bundle import new_folder

STATE = ".training"
"""In the folder, until the training has ended."""
ABOUT, LOCK, SCRATCH = "about.json", "lock", "scratch"


@contextmanager
def opened_for_training(folder: Path, about: Mapping[str, Any]) -> Iterator[Path]:
    """The scratch folder of the training that `about` describes (plain data), in `folder`. It is there again
    for the same training after a kill, and gone when the block has ended well; where nothing was trained by
    then, also when it has not.

    Raises:
        ConfigError: the folder holds something else, or another process trains into it.
    """
    state = folder / STATE
    made = not folder.exists()
    if _is_folder(state):
        _require_same(folder, about)
    else:
        new_folder(folder)
        state.mkdir()
    with _alone(folder):
        write_whole(state / ABOUT, json.dumps(dict(about), indent=1).encode())
        (state / SCRATCH).mkdir(exist_ok=True)
        try:
            yield state / SCRATCH
        except GeError:
            if not is_begun(state / SCRATCH):
                _forget(folder, made)
            raise
    remove_tree(state)


def _forget(folder: Path, made: bool) -> None:
    remove_tree(folder / STATE)
    if made:
        with suppress(OSError):  # it holds something by now, and stays
            folder.rmdir()


def _is_folder(path: Path) -> bool:
    """Whether a folder is there; a link to one is none."""
    with suppress(OSError):
        return stat.S_ISDIR(os.lstat(path).st_mode)
    return False


def _require_same(folder: Path, about: Mapping[str, Any]) -> None:
    """Raises ConfigError where the folder holds another training, or something else that is not ours."""
    try:
        held = json.loads((folder / STATE / ABOUT).read_bytes())
    except FileNotFoundError:
        if {one.name for one in folder.iterdir()} == {STATE}:
            return
        held = None
    except (OSError, ValueError):
        held = None
    if held != json.loads(json.dumps(dict(about))):
        differing = [name for name in about if isinstance(held, dict) and held.get(name) != about[name]]
        what = f"another training (other {', '.join(differing)})" if differing else "something else"
        raise ConfigError(
            f"The folder {folder} holds {what}.",
            "Give the settings that it was begun with, choose another --output, or delete it.",
        )


def is_begun(scratch: Path) -> bool:
    """Whether there is a checkpoint to go on from."""
    return any((scratch / "checkpoints").glob("*"))


def require_same_code(scratch: Path, code: ModelCode) -> None:
    """Note the code around the evolved files. Raises ConfigError where a training that goes on from a
    checkpoint was begun with another."""
    noted = scratch / CODE
    try:
        if is_begun(scratch) and noted.exists() and noted.read_bytes() != code.as_json():
            raise ConfigError(
                "The modules that the model's file imports have changed since this training was begun.",
                "Put them back as they were, choose another --output, or delete the folder.",
            )
    except OSError as error:
        raise ConfigError(f"{noted} cannot be read: {error.strerror}.", "Delete the folder.") from error
    write_whole(noted, code.as_json())


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    lock = FileLock(folder / STATE / LOCK)
    try:
        lock.acquire(blocking=False)
    except Timeout as error:
        raise ConfigError(
            f"Another process trains into {folder}.", "Wait for it, or choose another --output."
        ) from error
    try:
        yield
    finally:
        lock.release()
