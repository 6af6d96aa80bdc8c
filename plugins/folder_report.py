"""What a folder of images turned out to be, in one line before training."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Mapping, Sequence

from ge_plugins.image_folder import Folderful
from ge_plugins.scanning import printable
from ge_plugins.splitting import rare_classes

MOST_NAMES = 6


def tell_folder(source: str, read: Folderful, damaged: Sequence[str]) -> None:
    """Print the line on stderr."""
    print(f"{printable(source)}: {'; '.join(phrases(read, damaged))}", file=sys.stderr)


def phrases(read: Folderful, damaged: Sequence[str]) -> list[str]:
    """Classes, images per class, sizes of the splits, rare classes, what was done, what was left out."""
    first = next(iter(read.splits.values())).images
    shape = "x".join(str(side) for side in first.shape[1:])
    parts = ", ".join(f"{len(split.labels):,} {_doing(name)}" for name, split in read.splits.items())
    said = [f"{len(read.names)} classes, {_range(read.counts)} images each, as {shape}", parts]
    rare = rare_classes(read.counts["train"], read.names)
    if rare:
        shown = ", ".join(rare[:MOST_NAMES]) + (", ..." if len(rare) > MOST_NAMES else "")
        said.append(f"too few images to judge by: {shown}")
    said += read.remarks
    left_out = [*read.left_out, *damaged]
    return [*said, f"left out: {', '.join(left_out)}"] if left_out else said


def _range(counts: Mapping[str, Counter[str]]) -> str:
    whole = Counter(counts["train"]) + Counter(counts["test"])
    low, high = min(whole.values()), max(whole.values())
    return f"{low:,}" if low == high else f"{low:,} to {high:,}"


def _doing(split: str) -> str:
    return {"train": "to train", "validation": "to validate", "test": "to test"}.get(split, split)
