"""What each image of a folder is like, found once and kept: size, depth, damage; and what follows for all."""

from __future__ import annotations

import os
import sys
import zipfile
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ge_engine.errors import ConfigError
from ge_plugins.image_cache import Keeping
from ge_plugins.outliers import refuse_outliers
from ge_plugins.pictures import Look, Scale, look_at, scales_of
from ge_plugins.scanning import Entry, counted

DAMAGED_SURVEY = (OSError, ValueError, KeyError, EOFError, IndexError, zipfile.BadZipFile)
FIELDS = ("width", "height", "channels", "kind", "low", "high", "inner_low", "inner_high", "frames")
DARK = 15

Broken = Callable[[str, ConfigError], None]
"""What becomes of an image that cannot be read: its path and the reason. Raises it, or takes a note."""


def refuse(_path: str, error: ConfigError) -> None:
    """Raises ConfigError: a damaged image ends the reading."""
    raise error


@dataclass(frozen=True, slots=True)
class Form:
    """What all decoded images have in common: size (width, height), channels, and the scales of deep ones."""

    size: tuple[int, int]
    channels: int
    scales: Mapping[str, Scale]


def survey(
    read: Callable[[str], bytes], entries: Sequence[Entry], keeping: Keeping, name: str, broken: Broken
) -> list[Look | None]:
    """A look at each image, from the file `name` where that is kept; None for one that cannot be read."""
    path = keeping.file(name)
    known = _load(path, len(entries)) if path else None
    if known is not None:
        for entry, look in zip(entries, known):
            if look is None:
                _look(read, entry.path, broken)
        return known
    looks = [_look(read, entry.path, broken) for entry in entries]
    if path:
        _save(path, looks, keeping)
    return looks


def form_of(entries: Sequence[Entry], looks: Sequence[Look], image_size: int) -> Form:
    """Images that are all squares of one size keep it, unless it is above `image_size`.

    Raises:
        ConfigError: sizes differ without `image_size`, or the images have different numbers of channels, or
            hold values of which too little would be left.
    """
    return Form(_size(looks, image_size), _channels(entries, looks), _scales(entries, looks))


def remarks(looks: Sequence[Look], form: Form) -> list[str]:
    """What was done to images that people should know of, a phrase each."""
    kinds = Counter(look.kind for look in looks)
    said = [
        f"{counted(kinds[kind], 'image')} with values {scale.low:g} to {scale.high:g} brought to 0 to 255"
        for kind, scale in form.scales.items()
    ]
    if kinds["transparent"]:
        said.append(f"{counted(kinds['transparent'], 'image')} with transparency laid on white")
    if kinds["bands"]:
        said.append(f"{counted(kinds['bands'], 'image')} with more bands than the three that Pillow reads")
    if several := sum(look.frames > 1 for look in looks):
        said.append(f"of {counted(several, 'image')} with several frames or pages the first is read")
    return said


def _look(read: Callable[[str], bytes], path: str, broken: Broken) -> Look | None:
    try:
        return look_at(read(path), path)
    except ConfigError as error:
        broken(path, error)
        return None


def _size(looks: Sequence[Look], image_size: int) -> tuple[int, int]:
    sizes = Counter((look.width, look.height) for look in looks)
    (width, height), _ = sizes.most_common(1)[0]
    if len(sizes) == 1 and width == height and (not image_size or width <= image_size):
        return width, height
    if not image_size:
        found = ", ".join(f"{w}x{h}" for w, h in list(sizes)[:3])
        raise ConfigError(
            f"The images are not squares of one size ({found}, ...).", "Give an image size: --image-size 64."
        )
    return image_size, image_size


def _channels(entries: Sequence[Entry], looks: Sequence[Look]) -> int:
    channels = Counter(look.channels for look in looks)
    if len(channels) > 1:
        usual = channels.most_common(1)[0][0]
        odd = next(e.path for e, look in zip(entries, looks) if look.channels != usual)
        raise ConfigError(
            f"The images have different numbers of channels ({', '.join(map(str, sorted(channels)))}): "
            f"most have {usual}, and {odd} has not.",
            "Give images of one kind.",
        )
    return looks[0].channels


def _scales(entries: Sequence[Entry], looks: Sequence[Look]) -> Mapping[str, Scale]:
    deep = [(e.path, look.high) for e, look in zip(entries, looks) if look.kind == "16-bit colour"]
    if deep and 0 < max(high for _, high in deep) <= DARK:
        raise ConfigError(
            f"The image {deep[0][0]}, like all with 16 bits for each colour here, uses less than a sixteenth "
            "of them: almost nothing would be left of it in 8 bits.",
            "Convert such images to 8 bits, or to .npy files of 16 bits.",
        )
    scales = scales_of(looks)
    refuse_outliers(entries, looks, scales)
    return scales


def _save(path: Path, looks: Sequence[Look | None], keeping: Keeping) -> None:
    columns = {
        name: np.array([getattr(look, name) if look else getattr(Look(0, 0), name) for look in looks])
        for name in FIELDS
    }
    partial = path.with_suffix(f".{os.getpid()}.part")
    try:
        with open(partial, "wb") as file:
            np.savez(file, allow_pickle=False, **columns)
        partial.replace(path)
    except OSError as error:
        partial.unlink(missing_ok=True)
        keeping.give_up(error)


def _load(path: Path, count: int) -> list[Look | None] | None:
    """None where it is not there, damaged, or of other images; damage is said."""
    if not path.exists():
        return None
    try:
        with np.load(path, allow_pickle=False) as held:
            columns = [held[name].tolist() for name in FIELDS]
        rows = [Look(*row) for row in zip(*columns, strict=True)]
    except DAMAGED_SURVEY as error:
        print(f"{path} is damaged ({error}); the images are read again.", file=sys.stderr)
        return None
    return [look if look.width else None for look in rows] if len(rows) == count else None
