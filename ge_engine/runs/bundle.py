"""A trained model as a folder that works alone: its file, its weights, and a script that answers images."""

from __future__ import annotations

from pathlib import Path

from ge_engine.atomic_file import write_whole
from ge_engine.errors import ConfigError
from ge_engine.evaluation.weights import PREPROCESSING, Preprocessing
from ge_engine.ledger.history import History
from ge_engine.population import Child
from ge_engine.runs.export import with_header
from ge_engine.runs.references import require_genome

MODEL, WEIGHTS, PREDICT = "model.py", "model.safetensors", "predict.py"
SCRIPT = Path(__file__).with_name(PREDICT)


def write_bundle(
    folder: Path, one: Child, history: History, weights: bytes, preprocessing: Preprocessing
) -> None:
    """Write an individual with its weights into `folder`, each file whole or not at all, the script last.

    Raises:
        ConfigError: a file cannot be written, or the individual has no code.
    """
    files = {
        MODEL: with_header(require_genome(one).source, one, history, history.seed.newline),
        WEIGHTS: weights,
        PREPROCESSING: preprocessing.as_json(),
        PREDICT: SCRIPT.read_bytes(),
    }
    for name, content in files.items():
        write_whole(folder / name, content)


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
