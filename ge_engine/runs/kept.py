"""An individual with the weights that its run kept."""

from __future__ import annotations

import shlex
from pathlib import Path

from ge_engine.errors import ConfigError
from ge_engine.evaluation.weights import kept_weights
from ge_engine.ledger.history import History
from ge_engine.runs.bundle import new_folder, write_bundle
from ge_engine.runs.references import find_individual, require_genome


def write_kept(folder: Path, identity: str, output: Path) -> None:
    """As `Run.export_trained`."""
    with History(folder) as history:
        one = find_individual(history, identity)
        found = kept_weights(folder / "scratch", require_genome(one).digest)
        if found is None:
            kept = history.config.keep_weights
            command = shlex.join(["ge", "train", f"{folder}:{identity}", "-o", str(output)])
            raise ConfigError(
                f"The run {folder} kept no weights of {identity} (its keep_weights is {kept!r}).",
                f"Train it: {command}. A run keeps those of its finalists at its end.",
            )
        new_folder(output)
        write_bundle(output, one, history, *found)
