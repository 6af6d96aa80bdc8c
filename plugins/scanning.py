"""Which files of a folder are images of which class, and which are left out and why."""

from __future__ import annotations

import os
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from ge_engine.errors import ConfigError

SUFFIXES = frozenset(
    (
        *(".jpg", ".jpeg", ".jpe", ".jfif", ".jif", ".png", ".bmp", ".dib", ".webp", ".gif"),
        *(".tif", ".tiff", ".ppm", ".pgm", ".pbm", ".pnm", ".npy"),
    )
)
PARTS = {
    "train": "train",
    "training": "train",
    "trainset": "train",
    "test": "test",
    "testing": "test",
    "testset": "test",
    "val": "val",
    "valset": "val",
    "valid": "val",
    "validation": "val",
}
AFFIXES = frozenset(
    ("seg", "set", "data", "dataset", "split", "image", "images", "img", "imgs", "folder", "pictures")
)
"""Words that may stand beside a part's: seg_train, test_images, training set."""
NOT_CLASSES = frozenset(
    (
        *("__macosx", "@eadir", "@tmp", "__pycache__", "$recycle.bin", "#recycle", "@recycle"),
        *("lost+found", "system volume information"),
    )
)
"""Folders that systems and programs put among those of people, in lower case; hidden ones besides."""
LAYOUT = "Wanted: train/CLASS/*.png and test/CLASS/*.png, or CLASS/*.png alone."
KINDS = "Read are JPEG, PNG, BMP, WebP, GIF, TIFF, PPM and .npy: convert images of other kinds."
HEAD = 16


class Files(Protocol):
    """The files of a directory or an archive."""

    def names(self) -> list[str]: ...
    def folders(self) -> list[str]: ...
    def dangling(self) -> list[str]: ...
    def head(self, name: str, length: int) -> bytes: ...
    def read(self, name: str) -> bytes: ...
    def stamp(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Entry:
    """An image: its path inside the source, its part ("train" or "test") and its class."""

    path: str
    part: str
    label: str


@dataclass(slots=True)
class Scan:
    """The images, sorted by path, and what was left out, a phrase each."""

    entries: list[Entry]
    left_out: list[str] = field(default_factory=list)


def scan(files: Files, source: str) -> Scan:
    """The images of `files` and what was left out: folders of programs, other files, empty classes.

    Raises:
        ConfigError: none, fewer than two classes, or a test class that is not in the training part.
    """
    images, left_out = _images(files)
    found = _arranged(images, left_out)
    left_out += [*_empty(files.folders(), found), *_nowhere(files.dangling())]
    if left_out and not found:
        raise ConfigError(
            f"{source} holds no images in folders of classes; left out: {', '.join(left_out)}.",
            f"{LAYOUT} {KINDS}",
        )
    require_classes(found, source)
    return Scan(found, left_out)


def find_entries(paths: Iterable[str], source: str) -> list[Entry]:
    """The images that have `paths`, sorted, with part and class from the folders that hold them.

    Raises:
        ConfigError: as `scan`.
    """
    entries = _arranged(sorted(paths), [])
    require_classes(entries, source)
    return entries


def require_classes(entries: Sequence[Entry], source: str) -> None:
    """Raises ConfigError: fewer than two classes, or a test class that is not in the training part."""
    names = {entry.label for entry in entries if entry.part == "train"}
    strange = sorted({entry.label for entry in entries} - names)
    if not names:
        raise ConfigError(f"{source} holds no images in folders of classes.", LAYOUT)
    if len(names) == 1:
        only = f"{source} holds images of one class only, {min(names)!r}; a task needs two or more."
        raise ConfigError(only, LAYOUT)
    if strange:
        raise ConfigError(f"{source} has the test class {strange[0]!r} without training images.", LAYOUT)


def printable(name: str) -> str:
    """A name as it can be written anywhere: what is no text and what steers terminals is spelled out."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in name)


def _images(files: Files) -> tuple[list[str], list[str]]:
    """The images by suffix or, where that says nothing, by content; and what else there is."""
    images: list[str] = []
    aside: Counter[str] = Counter()
    others: Counter[str] = Counter()
    for path in sorted(files.names()):
        *folders, name = path.split("/")
        suffix = os.path.splitext(name)[1].lower()
        strange = next((one for one in folders if _no_class(one)), "")
        if strange:
            aside[strange] += 1
        elif name.startswith("."):
            others["hidden"] += 1
        elif suffix in SUFFIXES or _looks_like_an_image(files.head(path, HEAD)):
            images.append(path)
        else:
            others[suffix or "no suffix"] += 1
    left_out = [f"{printable(name)} ({counted(count, 'file')})" for name, count in sorted(aside.items())]
    if others:
        kinds = ", ".join(printable(kind) for kind, _ in others.most_common(4))
        left_out.append(f"{counted(others.total(), 'file')} of other kinds ({kinds})")
    return images, left_out


def _no_class(folder: str) -> bool:
    return folder.startswith(".") or folder.lower() in NOT_CLASSES


def _looks_like_an_image(head: bytes) -> bool:
    return (
        head.startswith((b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF8", b"II*\0", b"MM\0*", b"\x93NUMPY"))
        or (head[:4] == b"RIFF" and head[8:12] == b"WEBP")
        or (head[:2] == b"BM" and head[6:10] == b"\0\0\0\0")
    )


def _arranged(paths: Sequence[str], left_out: list[str]) -> list[Entry]:
    """Part and class of each. A class is the first folder below the part, or below what all have in
    common; folders within it are its own. A "val" part serves as the test where there is no other."""
    within = [path.split("/") for path in paths if "/" in path]
    _note(left_out, len(paths) - len(within), "image", "in no folder of a class")
    placed = {tuple(parts[:-1]): ("", "") for parts in within}
    skip = _shared(list(placed))
    within_class = all(len(folders) > skip + 1 and part_of(folders[-1]) for folders in placed)
    place = _place_in_class if within_class else _place
    placed = {folders: place(folders[skip:]) for folders in placed}
    entries = [Entry("/".join(parts), *placed[tuple(parts[:-1])]) for parts in within]
    if any(entry.part == "train" for entry in entries):
        _note(left_out, sum(not entry.part for entry in entries), "image", "outside of train/ and test/")
        entries = [entry for entry in entries if entry.part]
    test = "test" if any(entry.part == "test" for entry in entries) else "val"
    unused = [entry for entry in entries if entry.part == "val" != test]
    _note(left_out, len(unused), "image", "of the part val/, because there is a test/")
    return [
        Entry(e.path, "test" if e.part == test else "train", e.label)
        for e in entries
        if e.part != "val" or test == "val"
    ]


def _shared(folders: Sequence[tuple[str, ...]]) -> int:
    """How many folders all paths begin with; one stays for the class, and those of the parts stay."""
    most = min((len(one) for one in folders), default=1) - 1
    for depth in range(most):
        if len({one[depth] for one in folders}) > 1 or part_of(folders[0][depth]):
            return depth
    return most


def _place(folders: tuple[str, ...]) -> tuple[str, str]:
    """Part and class. A part in a folder of its own name (seg_train/seg_train/) is that part once."""
    for above, (at, below) in zip(folders, enumerate(folders[1:], 2)):
        if part_of(above) and not (above == below and at < len(folders)):
            return part_of(above), _label(below)
    return "", _label(folders[0])


def _place_in_class(folders: tuple[str, ...]) -> tuple[str, str]:
    """Part and class of CLASS/train/ and CLASS/test/."""
    return part_of(folders[-1]), _label(folders[0])


def part_of(folder: str) -> str:
    """The part that a folder's name tells ("train", "test", "val"), "" for none."""
    words = [word for word in re.split("[^a-z]+", folder.lower()) if word and word not in AFFIXES]
    return PARTS.get(words[0], "") if len(words) == 1 else ""


def _label(folder: str) -> str:
    return printable(unicodedata.normalize("NFC", folder))


def _empty(folders: Sequence[str], entries: Sequence[Entry]) -> list[str]:
    """Folders beside those of the classes that hold no image at any depth."""
    used: set[str] = set()
    beside: set[str] = set()
    for nearest in {entry.path.rpartition("/")[0] for entry in entries}:
        parts = nearest.split("/")
        used |= {"/".join(parts[:count]) for count in range(1, len(parts) + 1)}
        beside.add(nearest.rpartition("/")[0])
    empty = [
        folder
        for folder in folders
        if folder not in used
        and folder.rpartition("/")[0] in beside
        and not any(map(_no_class, folder.split("/")))
    ]
    return [f"{printable(folder)}/ (no images)" for folder in sorted(empty)]


def _nowhere(links: Sequence[str]) -> list[str]:
    some = ", ".join(printable(link) for link in sorted(links)[:3]) + (", ..." if len(links) > 3 else "")
    return [f"{counted(len(links), 'link')} to nothing that can be read ({some})"] if links else []


def _note(left_out: list[str], count: int, what: str, why: str) -> None:
    if count:
        left_out.append(f"{counted(count, what)} {why}")


def counted(count: int, what: str) -> str:
    """ "1 image", "2,000 images"."""
    return f"{count:,} {what}{'' if count == 1 else 's'}"
