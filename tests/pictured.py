"""Folders of images for tests: what they hold is known to the pixel."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from torch import Tensor

from ge_engine.config import config_from_dict
from ge_engine.contracts import Dataset
from ge_plugins.image_folder import Folderful, read_image_folder
from ge_plugins.tasks import Folder


def saved(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    held = io.BytesIO()
    image.save(held, kind, **options)
    return held.getvalue()


def dot(value: int = 9, size: tuple[int, int] = (8, 8)) -> bytes:
    """A PNG of one grey."""
    return saved(Image.new("RGB", size, (value,) * 3))


def array(values: np.ndarray[Any, Any]) -> bytes:
    """A .npy file."""
    held = io.BytesIO()
    np.save(held, values)
    return held.getvalue()


def write(root: Path, files: Mapping[str, bytes]) -> Path:
    for name, data in files.items():
        file = root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)
    return root


def plain(root: Path, count: int = 4, **classes: int) -> Path:
    """Classes of so many images each, `count` of the classes a and b where none are given."""
    wanted = classes or {"a": count, "b": count}
    return write(
        root,
        {
            f"{name}/{n}.png": dot(40 * row + n)
            for row, name in enumerate(wanted)
            for n in range(wanted[name])
        },
    )


def noise(root: Path, count: int, *classes: str) -> Path:
    """`count` images of 32x32 for each class, of random pixels, the same each time."""
    numbers = np.random.default_rng(0)
    files = [f"{name}/{number}.png" for name in classes for number in range(count)]
    drawn = [numbers.integers(0, 255, (32, 32, 3), dtype=np.uint8) for _ in files]
    return write(root, {file: saved(Image.fromarray(one)) for file, one in zip(files, drawn, strict=True)})


def two(root: Path, first: bytes, second: bytes, suffix: str = ".png") -> Path:
    """A class of one image each: `first` and `second`."""
    return write(root, {f"a/0{suffix}": first, f"b/0{suffix}": second})


def pixels(root: Path, image_size: int = 0) -> Tensor:
    """The images as (n, channels, h, w), in order."""
    return read_image_folder(root, image_size).splits["train"].images


def read(root: Path) -> Folderful:
    return read_image_folder(root, 0)


def load(root: Path, skip_broken: bool = False, **recipe: Any) -> Dataset:
    settings = {"recipe": recipe, "skip_broken": skip_broken}
    return Folder().load(str(root), config_from_dict(settings))


def line(root: Path, capsys: pytest.CaptureFixture[str], **settings: Any) -> str:
    """What is said of the folder before training."""
    capsys.readouterr()
    load(root, **settings)
    said = capsys.readouterr().err.strip().splitlines()
    assert len(said) == 1, said
    return said[0]
