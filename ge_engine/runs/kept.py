"""An individual with the weights that its run kept."""

from __future__ import annotations

import shlex
from pathlib import Path

from ge_engine.errors import ConfigError, LedgerError
from ge_engine.evaluation.weights import kept_code, kept_weights
from ge_engine.ledger.history import History
from ge_engine.runs.bundle import new_folder, write_bundle
from ge_engine.runs.references import find_individual, require_genome
from ge_engine.runs.training import export_instead
from ge_engine.search.rescoring import OwnSettings


def write_kept(folder: Path, identity: str, output: Path) -> None:
    """As `Run.export_trained`."""
    with History(folder) as history:
        one = find_individual(history, identity)
        genome = require_genome(one)
        found = kept_weights(folder / "scratch", genome.digest)
        if found is None:
            raise _none_kept(history, identity, output)
        code = kept_code(folder / "scratch")
        if not code.fits(genome.files.keys()):
            raise LedgerError(
                f"The run {folder} kept the modules of another seed model.",
                f"Train the individual: {_training(folder, identity, output)}.",
            )
        new_folder(output)
        write_bundle(output, one, history, *found, code)


def _none_kept(history: History, identity: str, output: Path) -> ConfigError:
    """Why there are no weights, and what to do about it; not to train it where `ge train` refuses the run."""
    folder, config = history.folder, history.config
    if config.evaluator != OwnSettings().evaluator:
        return ConfigError(
            f"The run {folder} kept no weights of {identity}: something else than the built-in trainer "
            "scores it.",
            export_instead(folder, identity),
        )
    return ConfigError(
        f"The run {folder} kept no weights of {identity} (its keep_weights is {config.keep_weights!r}).",
        f"Train it: {_training(folder, identity, output)}. A run keeps those of its finalists at its end.",
    )


def _training(folder: Path, identity: str, output: Path) -> str:
    """The command that trains an individual instead."""
    return shlex.join(["ge", "train", f"{folder}:{identity}", "-o", str(output)])
