"""Files of which the oldest go when they take too much room."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path


def delete_oldest(files: Iterable[Path], newest: Path, limit: int) -> None:
    """Delete of `files`, by the times of their changes, the oldest until all take at most `limit` bytes; the
    `newest` stays in any case. One that somebody else has deleted is gone already."""
    kept = [(one.stat().st_mtime_ns, one) for one in files if one != newest]
    total = newest.stat().st_size + sum(one.stat().st_size for _, one in kept)
    for _, oldest in sorted(kept):
        if total <= limit:
            return
        total -= oldest.stat().st_size
        oldest.unlink(missing_ok=True)
