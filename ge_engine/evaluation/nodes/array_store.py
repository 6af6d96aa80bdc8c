"""Arrays by their content, kept on a machine between the sessions and agents that need them."""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path

from ge_engine.atomic_file import write_whole
from ge_engine.evaluation.bounded_folder import delete_oldest

STORE_LIMIT = 16 * 2**30
"""Bytes. Of more, those that were not read for the longest go."""
_DIGEST = re.compile(r"[0-9a-f]{64}")


class ArrayStore:
    """Files in `folder`, named by the SHA-256 of their content. What does not have it is not given."""

    def __init__(self, folder: Path, limit: int = STORE_LIMIT) -> None:
        self._folder, self._limit = folder, limit

    def get(self, digest: str) -> bytes | None:
        """None where it is not here, or is damaged."""
        path = self._path(digest)
        try:
            content = path.read_bytes()
            os.utime(path)
        except OSError:
            return None
        return content if hashlib.sha256(content).hexdigest() == digest else None

    def put(self, digest: str, content: bytes) -> None:
        """Raises ValueError: the content is another. ConfigError: it cannot be written."""
        if hashlib.sha256(content).hexdigest() != digest:
            raise ValueError("an array came otherwise than it was sent")
        path = self._path(digest)
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_whole(path, content, "", mode=0o600)
        delete_oldest(self._folder.iterdir(), path, self._limit)

    def _path(self, digest: str) -> Path:
        if not _DIGEST.fullmatch(digest):
            raise ValueError("no digest")
        return self._folder / digest
