"""A model file's bytes, or the reason why it cannot be read."""

from __future__ import annotations

from pathlib import Path

from ge_engine.errors import SeedError


def read_seed_file(path: Path) -> bytes:
    """The bytes of a file. Raises SeedError where it cannot be read."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise SeedError(
            f"The seed model {path} cannot be read: {error.strerror}.", "Give the path of a Python file."
        ) from error
