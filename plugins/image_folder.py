"""Images in folders by class, from a directory or a .zip, decoded once and kept in the user's cache."""

from __future__ import annotations

import hashlib
import io
import os
import struct
import sys
import threading
import warnings
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
import torch
from PIL import Image, UnidentifiedImageError

from ge_engine.contracts import Split
from ge_engine.errors import ConfigError
from ge_plugins.archives import Directory, Zip

SUFFIXES = frozenset((".jpg", ".jpeg", ".png", ".bmp", ".webp", ".gif", ".tif", ".tiff", ".ppm", ".pgm"))
FORMATS = ("JPEG", "PNG", "BMP", "WEBP", "GIF", "TIFF", "PPM")
"""What a file may hold, whatever its name says: others start programs or are no photographs."""
MOST_PIXELS = 64 * 2**20
DAMAGED_IMAGE = (
    *(UnidentifiedImageError, Image.DecompressionBombError, Image.DecompressionBombWarning, OSError),
    *(ValueError, SyntaxError, TypeError, KeyError, IndexError, RuntimeError, OverflowError, EOFError),
    *(MemoryError, ZeroDivisionError, AttributeError, struct.error, zlib.error),
)
"""What Pillow raises on files that are not what they say."""
PARTS = {
    "train": "train",
    "training": "train",
    "test": "test",
    "val": "val",
    "valid": "val",
    "validation": "val",
}
LAYOUT = "Wanted: train/CLASS/*.png and test/CLASS/*.png, or CLASS/*.png alone."


@dataclass(frozen=True, slots=True)
class Entry:
    """An image: its path inside the source, its part ("train", "test", "val" or "") and its class."""

    path: str
    part: str
    label: str


def read_image_folder(source: Path, image_size: int) -> tuple[Mapping[str, Split], tuple[str, ...]]:
    """The parts "train" and, where there is one, "test" as uint8 (n, 3, h, w), and the classes' names.

    Images that are all of one size keep it, unless it is above `image_size`; others are brought to
    `image_size` (shorter side, then the centre). A "val" part serves as the test where there is no other.

    Raises:
        ConfigError: no such path, no images, sizes differ without `image_size`, a damaged or giant image, or
            an archive with entries that no honest one has.
    """
    if not source.exists():
        raise ConfigError(
            f"There is no folder or .zip {source}.", "Give --task folder:PATH with a directory or a .zip."
        )
    opener = Zip if source.is_file() else Directory
    with opener(source) as files:
        key = hashlib.sha256(f"{files.stamp()} {image_size}".encode()).hexdigest()[:24]
        cached = cache_folder() / f"images-{key}.npz"
        if cached.exists():
            return _load(cached)
        entries = find_entries(files.names(), str(source))
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            parts, names = _decode_all(files.read, entries, image_size)
    _save(cached, parts, names)
    return parts, names


def find_entries(paths: Iterable[str], source: str) -> list[Entry]:
    """The images among `paths`, sorted, with part and class from the folders that hold them.

    Raises:
        ConfigError: none, fewer than two classes, or a test class that is not in the training part.
    """
    entries = []
    for path in sorted(paths):
        pure = PurePosixPath(path)
        if pure.suffix.lower() in SUFFIXES and len(pure.parts) >= 2 and not pure.name.startswith("."):
            part = PARTS.get(pure.parts[-3].lower(), "") if len(pure.parts) >= 3 else ""
            entries.append(Entry(path, part, pure.parts[-2]))
    if any(entry.part == "train" for entry in entries):
        entries = [entry for entry in entries if entry.part]
    kinds = {entry.part for entry in entries}
    test = "test" if "test" in kinds else "val"
    entries = [
        Entry(e.path, "test" if e.part == test else "train", e.label)
        for e in entries
        if e.part != "val" or test == "val"
    ]
    names = {entry.label for entry in entries if entry.part == "train"}
    strange = sorted({entry.label for entry in entries} - names)
    if not names:
        raise ConfigError(f"{source} holds no images in folders of classes.", LAYOUT)
    if len(names) == 1:
        only = f"{source} holds images of one class only, {min(names)!r}; a task needs two or more."
        raise ConfigError(only, LAYOUT)
    if strange:
        raise ConfigError(f"{source} has the test class {strange[0]!r} without training images.", LAYOUT)
    return entries


def cache_folder() -> Path:
    """The user's cache folder for ge_engine, made if need be."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    folder = Path(base, "ge_engine")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _decode_all(
    read: Callable[[str], bytes], entries: Sequence[Entry], image_size: int
) -> tuple[dict[str, Split], tuple[str, ...]]:
    target = _common_size(read, entries, image_size)
    names = tuple(sorted({entry.label for entry in entries}))
    place = {name: index for index, name in enumerate(names)}
    parts = {}
    for part in sorted({entry.part for entry in entries}):
        mine = [entry for entry in entries if entry.part == part]
        images = np.empty((len(mine), 3, target[1], target[0]), np.uint8)
        progress = _Progress(part, len(mine))

        def decode(
            index: int, mine: list[Entry] = mine, images: np.ndarray = images, tick: _Progress = progress
        ) -> None:
            pixels = _open(read(mine[index].path), mine[index].path, target)
            images[index] = np.asarray(pixels).transpose(2, 0, 1)
            tick.step()

        with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
            for _ in pool.map(decode, range(len(mine)), chunksize=64):
                pass
        progress.end()
        labels = torch.tensor([place[entry.label] for entry in mine])
        parts[part] = Split(torch.from_numpy(images), labels)
    return parts, names


def _common_size(read: Callable[[str], bytes], entries: Sequence[Entry], image_size: int) -> tuple[int, int]:
    """(width, height) of all decoded images."""
    sizes = Counter(_open(read(entry.path), entry.path, None).size for entry in entries)
    (width, height), _ = sizes.most_common(1)[0]
    if len(sizes) == 1 and width == height and (not image_size or width <= image_size):
        return width, height
    if not image_size:
        found = ", ".join(f"{w}x{h}" for w, h in list(sizes)[:3])
        raise ConfigError(
            f"The images are not squares of one size ({found}, ...).", "Give an image size: --image-size 64."
        )
    return image_size, image_size


def _open(data: bytes, path: str, target: tuple[int, int] | None) -> Image.Image:
    """Opened without decoding when `target` is None, else RGB in that size."""
    try:
        image: Image.Image = Image.open(io.BytesIO(data), formats=FORMATS)
        if image.width * image.height > MOST_PIXELS:
            raise ValueError(f"it has {image.width}x{image.height} pixels")
        if target is None:
            return image
        if image.size != target:
            image.draft("RGB", (target[0] * 2, target[1] * 2))
        image = image.convert("RGB")
    except DAMAGED_IMAGE as error:
        raise ConfigError(f"The image {path} cannot be read: {error}.", "Remove or replace it.") from error
    if image.size == target:
        return image
    scale = max(target[0] / image.width, target[1] / image.height)
    large = image.resize(
        (max(target[0], round(image.width * scale)), max(target[1], round(image.height * scale))),
        Image.Resampling.BILINEAR,
    )
    left, top = (large.width - target[0]) // 2, (large.height - target[1]) // 2
    return large.crop((left, top, left + target[0], top + target[1]))


class _Progress:
    """A line on stderr for each tenth, for more than 5,000 images."""

    def __init__(self, part: str, total: int) -> None:
        self._part, self._total, self._done = part, total, 0
        self._lock = threading.Lock()

    def step(self) -> None:
        with self._lock:
            self._done += 1
            tenth = max(1, self._total // 10)
            if self._total > 5000 and self._done % tenth == 0:
                print(
                    f"\rdecoding {self._part} images: {self._done:,}/{self._total:,}", end="", file=sys.stderr
                )

    def end(self) -> None:
        if self._total > 5000:
            print(file=sys.stderr)


def _save(path: Path, parts: Mapping[str, Split], names: Sequence[str]) -> None:
    arrays = {f"{part}_images": split.images.numpy() for part, split in parts.items()}
    arrays |= {f"{part}_labels": split.labels.numpy() for part, split in parts.items()}
    partial = path.with_suffix(f".{os.getpid()}.part")
    with open(partial, "wb") as file:
        np.savez(file, names=np.array(names), **arrays)  # type: ignore[arg-type]
    partial.replace(path)


def _load(path: Path) -> tuple[dict[str, Split], tuple[str, ...]]:
    with np.load(path, allow_pickle=False) as held:
        parts = {
            name.removesuffix("_images"): Split(
                torch.from_numpy(held[name]), torch.from_numpy(held[name.replace("_images", "_labels")])
            )
            for name in held.files
            if name.endswith("_images")
        }
        return parts, tuple(str(name) for name in held["names"])
