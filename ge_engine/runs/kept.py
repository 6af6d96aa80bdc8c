"""An individual with the weights that its run kept."""

from __future__ import annotations

import shlex
from pathlib import Path

from ge_engine.errors import ConfigError
from ge_engine.evaluation.weights import kept_weights
from ge_engine.ledger.history import History
from ge_engine.runs.bundle import new_folder, write_bundle
from ge_engine.runs.references import find_individual, require_genome
from ge_engine.runs.training import export_instead
from ge_engine.search.rescoring import OwnSettings


def write_kept(folder: Path, identity: str, output: Path) -> None:
    """As `Run.export_trained`."""
    with History(folder) as history:
        one = find_individual(history, identity)
        found = kept_weights(folder / "scratch", require_genome(one).digest)
        if found is None:
            raise _none_kept(history, identity, output)
        new_folder(output)
        write_bundle(output, one, history, *found)


def _none_kept(history: History, identity: str, output: Path) -> ConfigError:
    """Why there are no weights, and what to do about it; not to train it where `ge train` refuses the run."""
    folder, config = history.folder, history.config
    if config.evaluator != OwnSettings().evaluator:
        return ConfigError(
            f"The run {folder} kept no weights of {identity}: something else than the built-in trainer "
            "scores it.",
            export_instead(folder, identity),
        )
    command = shlex.join(["ge", "train", f"{folder}:{identity}", "-o", str(output)])
    return ConfigError(
        f"The run {folder} kept no weights of {identity} (its keep_weights is {config.keep_weights!r}).",
        f"Train it: {command}. A run keeps those of its finalists at its end.",
    )
