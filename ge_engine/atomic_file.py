"""A file that a reader sees in the old or the new state, never half written."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from ge_engine.errors import ConfigError


def write_whole(path: Path, data: bytes, hint: str = "Choose another --output.", mode: int = 0o644) -> None:
    """Write `data` so that a reader sees the old file or the new one, never half of it; `hint` is the next
    step where that fails, `mode` the file's permissions.

    Raises:
        ConfigError: the folder does not exist or cannot be written.
    """
    try:
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as file:
            try:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
                os.chmod(file.name, mode)
                os.replace(file.name, path)
            except BaseException:
                os.unlink(file.name)
                raise
    except OSError as error:
        raise ConfigError(f"The file {path} cannot be written: {error.strerror}.", hint) from error
