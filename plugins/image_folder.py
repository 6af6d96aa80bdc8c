"""A folder or a .zip of images in folders of classes, as arrays of one size: found, read, split, and kept."""

from __future__ import annotations

import hashlib
import os
import sys
import threading
import warnings
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image

from ge_engine.contracts import Split
from ge_engine.errors import ConfigError
from ge_plugins.archives import Directory, Zip
from ge_plugins.image_cache import Keeping, Pixels
from ge_plugins.pictures import pixels_of
from ge_plugins.scanning import Files, counted, find_entries, printable, require_classes, scan
from ge_plugins.splitting import Draw, Indices
from ge_plugins.surveying import Broken, Form, form_of, refuse, remarks, survey

__all__ = ["Folderful", "find_entries", "read_image_folder"]

VERSION = 2
"""Of how images are decoded: another one reads them anew."""


@dataclass(frozen=True, slots=True)
class Folderful:
    """What a folder of images gives: its splits, the names of its classes, how many images each has by part,
    what was left out and what was done to images, a phrase each."""

    splits: Mapping[str, Split]
    names: tuple[str, ...]
    counts: Mapping[str, Counter[str]]
    left_out: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)


def as_given(parts: Sequence[str], _labels: Sequence[int]) -> Mapping[str, Indices]:
    """The parts "train" and, where there is one, "test", as they lie in the folder."""
    return {part: np.flatnonzero(np.asarray(parts) == part) for part in sorted(set(parts))}


def read_image_folder(
    source: Path, image_size: int, draw: Draw = as_given, broken: Broken = refuse
) -> Folderful:
    """The splits that `draw` makes, as uint8 (n, channels, h, w); other images are not decoded.

    Images that are all of one size keep it, unless it is above `image_size`; others are brought to
    `image_size` (shorter side, then the centre). Images of one channel or with colours have 3 channels. A
    "val" part serves as the test where there is no other.

    Raises:
        ConfigError: no such path, no images, sizes differ without `image_size`, a damaged or giant image
            (unless `broken` takes it), or an archive with entries that no honest one has.
    """
    if not source.exists():
        raise ConfigError(
            f"There is no folder or .zip {source}.",
            "Give --task folder:PATH with a directory or a .zip, or call it from the folder in which the run "
            "was started.",
        )
    opener = Zip if source.is_file() else Directory
    with opener(source) as files, warnings.catch_warnings():
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        return _read(files, str(source), image_size, draw, broken)


def _read(files: Files, source: str, image_size: int, draw: Draw, broken: Broken) -> Folderful:
    found = scan(files, source)
    keeping = Keeping()
    key = hashlib.sha256(f"{VERSION} {files.stamp()}".encode("utf-8", "surrogateescape")).hexdigest()[:24]
    looks = survey(files.read, found.entries, keeping, f"images-{key}.npz", broken)
    rows = [row for row, look in enumerate(looks) if look is not None]
    entries = [found.entries[row] for row in rows]
    sound = [look for look in looks if look is not None]
    require_classes(entries, source)
    form = form_of(entries, sound, image_size)
    names = tuple(sorted({entry.label for entry in entries}))
    number = {name: index for index, name in enumerate(names)}
    labels = [number[entry.label] for entry in entries]
    shape = (form.channels, form.size[1], form.size[0])
    name = f"images-{key}-{'x'.join(map(str, shape))}.pixels"
    pixels = Pixels(keeping, name, len(looks), int(np.prod(shape)))
    try:
        decoder = _Decoder(files.read, form, pixels, broken)
        splits = {
            name: decoder.split(name, [(rows[i], entries[i].path, labels[i]) for i in chosen.tolist()])
            for name, chosen in draw([entry.part for entry in entries], labels).items()
        }
    finally:
        pixels.close()
    counts = {part: Counter(e.label for e in entries if e.part == part) for part in ("train", "test")}
    return Folderful(splits, names, counts, found.left_out, remarks(sound, form))


class LeftOut:
    """Takes a note of images that cannot be read."""

    def __init__(self) -> None:
        self._paths: dict[str, None] = {}
        self._lock = threading.Lock()

    def __call__(self, path: str, _error: ConfigError) -> None:
        with self._lock:
            self._paths[path] = None

    def phrases(self) -> list[str]:
        """A phrase where there are any, with the names of the first three."""
        if not self._paths:
            return []
        some = ", ".join(printable(path) for path in sorted(self._paths)[:3])
        more = ", ..." if len(self._paths) > 3 else ""
        return [f"{counted(len(self._paths), 'damaged image')} ({some}{more})"]


@dataclass(frozen=True, slots=True)
class _Decoder:
    read: Callable[[str], bytes]
    form: Form
    pixels: Pixels
    broken: Broken

    def split(self, name: str, wanted: Sequence[tuple[int, str, int]]) -> Split:
        """The images `wanted`, each with its row in the cache, its path and its class. Damaged ones are left
        out where `broken` does not raise."""
        import torch  # late: it takes a second

        width, height = self.form.size
        images = np.empty((len(wanted), self.form.channels, height, width), np.uint8)
        sound = np.ones(len(wanted), bool)
        progress = _Progress(name, len(wanted))

        def decode(place: int) -> None:
            row, path, _ = wanted[place]
            sound[place] = self._decode(path, row, images[place])
            progress.step()

        missing = [place for place, (row, _, _) in enumerate(wanted) if not self._take(row, images[place])]
        with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
            for _ in pool.map(decode, missing, chunksize=64):
                pass
        progress.end()
        labels = torch.tensor([label for _, _, label in wanted], dtype=torch.long)
        if sound.all():
            return Split(torch.from_numpy(images), labels)
        return Split(torch.from_numpy(images[sound]), labels[torch.from_numpy(sound)])

    def _take(self, row: int, into: np.ndarray) -> bool:  # type: ignore[type-arg]
        """Whether it was kept."""
        data = self.pixels.take(row)
        if data is not None:
            into[:] = np.frombuffer(data, np.uint8).reshape(into.shape)
        return data is not None

    def _decode(self, path: str, row: int, into: np.ndarray) -> bool:  # type: ignore[type-arg]
        """Whether it could be read."""
        try:
            image = pixels_of(self.read(path), path, self.form.size, self.form.channels, self.form.scales)
        except ConfigError as error:
            self.broken(path, error)
            return False
        into[:] = image.transpose(2, 0, 1)
        self.pixels.put(row, into.tobytes())
        return True


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
        if self._total > 5000 and self._done:
            print(file=sys.stderr)
