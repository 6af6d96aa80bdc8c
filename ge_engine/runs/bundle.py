"""A trained model as a folder that works alone: its code, its weights, and a script that answers images."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from ge_engine.atomic_file import write_whole
from ge_engine.errors import ConfigError
from ge_engine.evaluation.model_code import ModelCode
from ge_engine.evaluation.sandbox.removal import remove_tree
from ge_engine.evaluation.weights import PREPROCESSING, Preprocessing
from ge_engine.ledger.history import History
from ge_engine.population import Child
from ge_engine.runs.export import exported
from ge_engine.source.addresses import is_below

MODEL, WEIGHTS, PREDICT = "model.py", "model.safetensors", "predict.py"
MODULES = "src"
"""The folder of a model's modules, where it is not one file alone: Python's path leads to it."""
SCRIPT = Path(__file__).with_name(PREDICT)


def write_bundle(
    folder: Path,
    one: Child,
    history: History,
    weights: bytes,
    preprocessing: Preprocessing,
    code: ModelCode,
) -> None:
    """Write an individual with its weights and the `code` around its files into `folder`, each file whole or
    not at all, the modules together, the script last.

    Raises:
        ConfigError: a file cannot be written, or the individual has no code.
    """
    sources = exported(one, history, header=True)
    if code.module:
        write_tree(folder / MODULES, code.files(sources))
    else:
        write_whole(folder / MODEL, sources[""])
    files = {
        WEIGHTS: weights,
        PREPROCESSING: replace(preprocessing, module=code.module, folder=code.folder).as_json(),
        PREDICT: SCRIPT.read_bytes(),
    }
    for name, content in files.items():
        write_whole(folder / name, content)


def write_tree(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write files at their paths below `folder`, in place of what was there, all or none.

    Raises:
        ConfigError: one cannot be written, or its path leads elsewhere.
    """
    beside = folder.with_name(f".{folder.name}")
    remove_tree(beside)
    try:
        for name, content in files.items():
            if not is_below(name):
                raise ConfigError(f"The module {name!r} lies in no folder of its own.", "Rename it.")
            (beside / name).parent.mkdir(parents=True, exist_ok=True)
            write_whole(beside / name, content)
        remove_tree(folder)
        beside.rename(folder)
    except OSError as error:
        raise ConfigError(
            f"The folder {folder} cannot be written: {error.strerror}.", "Choose another --output."
        ) from error
    finally:
        remove_tree(beside)


def new_folder(folder: Path) -> None:
    """Make `folder`, which may be there if it is empty. Raises ConfigError where it is not, or is a file."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        taken = any(folder.iterdir())
    except OSError as error:
        raise ConfigError(
            f"The folder {folder} cannot be made: {error.strerror}.", "Choose another --output."
        ) from error
    if taken:
        raise ConfigError(f"The folder {folder} is not empty.", "Choose another --output, or empty it.")
