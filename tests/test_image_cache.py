"""The cache of decoded images: kept between runs, filled with what is wanted, and never in the way."""

from __future__ import annotations

import os
import pwd
import resource
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from ge_engine.cache import cache_folder
from ge_engine.contracts import Dataset
from ge_engine.errors import ConfigError
from ge_plugins.image_cache import Keeping, Pixels
from tests.pictured import dot, load, plain, write


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "ge-engine"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return plain(tmp_path / "x", a=30, b=30)


def same(one: Dataset, two: Dataset) -> bool:
    return all(
        torch.equal(getattr(one, part).images, getattr(two, part).images)
        and torch.equal(getattr(one, part).labels, getattr(two, part).labels)
        for part in ("train", "validation", "test")
    )


def kept_rows(cache: Path) -> int:
    """How many decoded images lie in the one file of pixels."""
    (file,) = cache.glob("*.pixels")
    sums = np.frombuffer(file.read_bytes()[32 : 32 + 8 * 60], np.uint64)
    return int((sums > 0).sum())


def unreadable(root: Path) -> None:
    """Images that change nothing that a stamp shows: whoever decodes them again finds no image."""
    for file in root.rglob("*.png"):
        status = file.stat()
        file.write_bytes(b"x" * status.st_size)
        os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))


def test_images_that_are_decoded_in_each_run(cache: Path, root: Path) -> None:
    first = load(root)
    unreadable(root)
    assert same(load(root), first)
    assert same(
        load(root, train_limit=20, validation_share=0.3), load(root, train_limit=20, validation_share=0.3)
    )


def test_a_limit_for_which_all_images_are_decoded(cache: Path, root: Path) -> None:
    """10 train, 10 validate and 12 test: of 60, 32 are decoded; the rest where another run wants it."""
    few = load(root, train_limit=10)
    assert kept_rows(cache) == 10 + len(few.validation.labels) + len(few.test.labels) == 32
    whole = load(root)
    assert kept_rows(cache) == 60
    unreadable(root)
    assert same(load(root), whole)
    assert same(load(root, train_limit=10), few)


def test_sizes_that_share_a_cache(cache: Path, root: Path) -> None:
    small, own = load(root, image_size=4), load(root)
    assert (small.train.images.shape[2], own.train.images.shape[2]) == (4, 8)
    assert same(load(root, image_size=4), small)


@pytest.mark.parametrize(
    "place", ["head", "a sum", "a row", "cut off", "longer", "empty", "no survey", "bad survey"]
)
def test_a_damaged_cache(place: str, cache: Path, root: Path) -> None:
    first = load(root)
    (pixels,), (survey,) = cache.glob("*.pixels"), cache.glob("*.npz")
    data = bytearray(pixels.read_bytes())
    spots = {"head": 3, "a sum": 32 + 8 * 7, "a row": len(data) - 5}
    if place in spots:
        data[spots[place]] ^= 0xFF
    data = {"cut off": data[:-100], "longer": data + b"x", "empty": bytearray()}.get(place, data)
    pixels.write_bytes(data)
    if place == "no survey":
        survey.unlink()
    if place == "bad survey":
        survey.write_bytes(survey.read_bytes()[: survey.stat().st_size // 2])
    assert same(load(root), first)
    assert kept_rows(cache) == 60
    unreadable(root)
    assert same(load(root), first), "mended, not only left"


def says_so(capsys: pytest.CaptureFixture[str]) -> bool:
    said = capsys.readouterr().err
    return said.count("The decoded images are not kept") == 1 and "XDG_CACHE_HOME" in said


@pytest.mark.parametrize("kind", ["a file", "below a file", "no home", "the root", "relative"])
def test_a_cache_that_cannot_be(
    kind: str, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("x")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    if kind.endswith("file"):
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / ("file" if kind == "a file" else "file/x")))
    elif kind == "no home":
        monkeypatch.setenv("HOME", "~nobody of this name")
        monkeypatch.setattr(pwd, "getpwuid", {}.__getitem__)
    else:
        monkeypatch.setenv("HOME", "/")
        monkeypatch.setenv("XDG_CACHE_HOME", "cache" if kind == "relative" else "")
    data = load(root)
    assert len(data.train.labels) + len(data.validation.labels) + len(data.test.labels) == 60
    assert says_so(capsys)
    with pytest.raises(ConfigError) as refused:
        cache_folder()
    assert "XDG_CACHE_HOME" in refused.value.hint
    assert not Path("/.cache/ge-engine").exists()
    assert not Path("cache").exists()


@pytest.fixture
def small_files() -> Iterator[None]:
    """A disk that takes files of 4 KiB and no more."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.usefixtures("small_files")
def test_a_full_disk(cache: Path, root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = load(root)
    assert len(data.test.labels) == 12
    assert says_so(capsys)
    assert not list(cache.glob("*.pixels")), "what nobody can use takes no room"


def test_a_disk_that_fills_up(cache: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pixels = Pixels(Keeping(), "x.pixels", 100, 64)
    pixels.put(0, b"a" * 64)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (2048, before[1]))
        pixels.put(99, b"b" * 64)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert says_so(capsys)
    pixels.put(1, b"c" * 64)
    assert pixels.take(0) is None
    assert not list(cache.glob("*.pixels"))
    pixels.close()


def test_a_cache_that_two_runs_fill(cache: Path, tmp_path: Path) -> None:
    one, two = (Pixels(Keeping(), "x.pixels", 4, 8) for _ in range(2))
    one.put(0, b"a" * 8)
    two.put(3, b"b" * 8)
    assert (one.take(3), two.take(0), one.take(1)) == (b"b" * 8, b"a" * 8, None)
    one.close()
    two.close()


def test_a_cache_that_is_a_folder(cache: Path, root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first = load(root)
    (pixels,) = cache.glob("*.pixels")
    pixels.unlink()
    pixels.mkdir()
    capsys.readouterr()
    assert same(load(root), first)
    assert says_so(capsys)


def test_images_that_changed(cache: Path, root: Path) -> None:
    first = load(root)
    write(root, {"a/0.png": dot(200)})
    assert not same(load(root), first)
