"""Files of which the oldest go when they take too much room."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path


def delete_oldest(files: Iterable[Path], newest: Path, limit: int) -> None:
    """Delete of `files`, by the times of their changes, the oldest until all take at most `limit` bytes; the
    `newest` of them stays in any case. One that somebody else has deleted is gone already."""
    kept: list[tuple[int, Path, int]] = []
    for one in files:
        with suppress(FileNotFoundError):
            seen = one.stat()
            kept.append((seen.st_mtime_ns, one, seen.st_size))
    total = sum(size for _, _, size in kept)
    for _, oldest, size in sorted(kept):
        if total <= limit:
            return
        if oldest != newest:
            total -= size
            oldest.unlink(missing_ok=True)
