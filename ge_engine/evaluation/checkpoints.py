"""Checkpoints of trainings between their rungs."""

from __future__ import annotations

import os
from pathlib import Path

from ge_engine.evaluation.bounded_folder import delete_oldest
from ge_engine.evaluation.protocol.messages import CHECKPOINT_LIMIT

SUFFIX = ".checkpoint"
FOLDER_LIMIT = 8 * CHECKPOINT_LIMIT
_STATES, _ASIDE = 8, 16 * 2**20
"""A checkpoint holds the weights, their averages and what an optimizer keeps of each; and the rest."""


def room_for(size_on_disk: float) -> int:
    """The most bytes that a network's checkpoint may take. A larger one is not kept, which costs time."""
    return min(CHECKPOINT_LIMIT, _ASIDE + _STATES * int(size_on_disk))


class Checkpoints:
    """Files in one folder, at most one for each genome and random seed of a training. Any of them may be
    lost: the training then starts again, with the same result. Of more than `limit` bytes the oldest go."""

    def __init__(self, folder: Path, limit: int = FOLDER_LIMIT) -> None:
        self._folder = folder
        self._limit = limit

    def latest(self, digest: str, rng_seed: int) -> Path | None:
        """What a rung can continue from."""
        path = self._path(digest, rng_seed)
        return path if path.is_file() else None

    def put(self, digest: str, rng_seed: int, content: bytes) -> None:
        """Keep `content` in place of what an earlier rung left. Raises OSError."""
        self._folder.mkdir(parents=True, exist_ok=True)
        path = self._path(digest, rng_seed)
        half = path.with_suffix(".half")
        half.write_bytes(content)
        os.replace(half, path)
        delete_oldest(self._folder.glob(f"*{SUFFIX}"), path, self._limit)

    def discard(self, digest: str) -> None:
        """Delete all of this genome."""
        for path in self._folder.glob(f"{digest}.*"):
            path.unlink(missing_ok=True)

    def _path(self, digest: str, rng_seed: int) -> Path:
        return self._folder / f"{digest}.{rng_seed}{SUFFIX}"
