"""A run's settings as a file: beside its database, or to begin with."""

from __future__ import annotations

import shlex
from pathlib import Path

from ge_engine.atomic_file import write_whole
from ge_engine.config import RunConfig, changed_settings, toml_of, unused_settings
from ge_engine.errors import ConfigError
from ge_engine.genome import Seed

EVERYDAY = frozenset(
    (
        "task",
        "objectives",
        "llm",
        "generations",
        "population",
        "training.epochs",
        "training.batch_size",
    )
)
"""Settings that stand in a new file also at their defaults. Not the learning rate: it follows from the
optimizer where none is given."""


def write_settings(seed: Seed, config: RunConfig, path: Path, *, force: bool) -> Path:
    """Write the settings of a run of `seed` to begin with. Raises ConfigError: the file exists, or cannot be
    written."""
    if path.exists() and not force:
        raise ConfigError(
            f"The file {path} exists.", "Choose another --output, or overwrite it with --force."
        )
    blocks = ", ".join(seed.genome.evolvable)
    command = shlex.join(["ge", "evolve", str(seed.path), "--config", str(path)])
    head = (
        f"# Settings of ge_engine for {seed.path}: {command}\n"
        f'# Lines that begin with "# name =" are defaults: remove the # to change one.\n'
        f"# Blocks of {seed.path}: {blocks}\n\n"
    )
    in_force = (EVERYDAY | changed_settings(config)) - unused_settings(config)
    write_whole(path, (head + toml_of(config, in_force)).encode())
    return path
