"""Where trainings that may go on are kept between their stages."""

from __future__ import annotations

import os
from pathlib import Path

SUFFIX = ".checkpoint"


class Checkpoints:
    """Files in one folder, at most one for each genome and seed of a training. Any of them may be lost: the
    training starts again then, and comes to the same."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def latest(self, digest: str, rng_seed: int) -> Path | None:
        """What a stage can go on from."""
        path = self._path(digest, rng_seed)
        return path if path.is_file() else None

    def put(self, digest: str, rng_seed: int, content: bytes) -> None:
        """Keep `content` in place of what an earlier stage left. Raises OSError."""
        self._folder.mkdir(parents=True, exist_ok=True)
        path = self._path(digest, rng_seed)
        half = path.with_suffix(".half")
        half.write_bytes(content)
        os.replace(half, path)

    def discard(self, digest: str) -> None:
        """Nobody goes on with this genome."""
        for path in self._folder.glob(f"{digest}.*"):
            path.unlink(missing_ok=True)

    def _path(self, digest: str, rng_seed: int) -> Path:
        return self._folder / f"{digest}.{rng_seed}{SUFFIX}"
