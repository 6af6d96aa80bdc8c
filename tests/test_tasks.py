"""Tasks: fixed splits, images from folders and archives, clear refusals."""

from __future__ import annotations

import contextlib
import io
import os
import zipfile
from pathlib import Path

import pytest
import torch
from PIL import Image

from ge_engine.config import RunConfig, config_from_dict
from ge_engine.contracts import Dataset
from ge_engine.errors import ConfigError
from ge_engine.evaluation.setup import limited
from ge_plugins.tasks import Digits, Folder, ge_tasks

COLOURS = {"blue": (0, 0, 255), "red": (255, 0, 0)}


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def png(colour: tuple[int, int, int], size: tuple[int, int] = (12, 12)) -> bytes:
    held = io.BytesIO()
    Image.new("RGB", size, colour).save(held, "PNG")
    return held.getvalue()


def write_folder(root: Path, parts: dict[str, int], size: tuple[int, int] = (12, 12)) -> Path:
    for part, count in parts.items():
        for name, colour in COLOURS.items():
            folder = root / part / name
            folder.mkdir(parents=True)
            for number in range(count):
                (folder / f"{number:03}.png").write_bytes(png(colour, size))
    return root


def load(path: Path, **recipe: float) -> Dataset:
    return Folder().load(str(path), config_from_dict({"recipe": recipe}))


def colours_fit(data: Dataset) -> bool:
    channel = {"blue": 2, "red": 0}
    for split in (data.train, data.validation, data.test):
        for image, label in zip(split.images, split.labels, strict=True):
            if int(image[channel[data.names[label]]].min()) != 255:
                return False
    return True


def test_digits_that_change_or_overlap() -> None:
    one, two = (Digits().load("", RunConfig()) for _ in range(2))
    assert (len(one.train.labels), len(one.validation.labels), len(one.test.labels)) == (1150, 288, 359)
    assert one.train.images.shape == (1150, 3, 32, 32)
    assert one.train.images.dtype == torch.uint8
    assert torch.equal(one.validation.images, two.validation.images)
    rows = [
        tuple(row)
        for split in (one.train, one.validation, one.test)
        for row in split.images[:, 0, ::4, ::4].flatten(1).tolist()
    ]
    assert len(set(rows)) > 1790
    assert int(one.train.images.max()) == 255
    assert not one.mirror


def test_a_training_part_that_is_validated_on() -> None:
    data = Digits().load("", config_from_dict({"recipe": {"validation_share": 0.5}}))
    train = {image.numpy().tobytes() for image in data.train.images}
    assert not [1 for image in data.validation.images if image.numpy().tobytes() in train]
    assert len(data.validation.labels) == 719


def test_a_folder_with_a_test_part(tmp_path: Path) -> None:
    data = load(write_folder(tmp_path / "images", {"train": 10, "test": 3}))
    assert data.names == ("blue", "red")
    assert (len(data.train.labels), len(data.validation.labels), len(data.test.labels)) == (16, 4, 6)
    assert colours_fit(data)


def test_a_folder_without_parts(tmp_path: Path) -> None:
    data = load(write_folder(tmp_path / "images", {".": 10}))
    assert len(data.test.labels) == 4
    assert colours_fit(data)


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_an_archive_with_a_folder_around_it(compression: int, tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "images", {"train": 5, "test": 2})
    archive = tmp_path / "images.zip"
    with zipfile.ZipFile(archive, "w", compression) as held:
        for file in folder.rglob("*.png"):
            held.write(file, Path("outer", file.relative_to(folder)))
    data = load(archive)
    assert len(data.test.labels) == 4
    assert colours_fit(data)


def test_a_cache_of_older_images(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "images", {"train": 4, "test": 2})
    first = load(folder)
    for file in folder.rglob("*.png"):
        if file.parent.name == "red":
            file.write_bytes(png((255, 9, 9)))
            os.utime(file, ns=(1, 1))
    again = load(folder)
    assert set(again.test.images[:, 1].unique().tolist()) == {0, 9}
    assert set(first.test.images[:, 1].unique().tolist()) == {0}
    cached = load(folder)
    assert torch.equal(cached.train.images, again.train.images)
    assert len(list((tmp_path / "cache" / "ge-engine").glob("images-*.npz"))) == 2


def test_images_of_many_sizes(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "images", {"train": 3}, (20, 12))
    with pytest.raises(ConfigError, match="20x12"):
        load(folder)
    data = load(folder, image_size=8)
    assert data.train.images.shape[1:] == (3, 8, 8)
    assert colours_fit(data)


def test_small_images_kept_small_until_they_are_trained_on(tmp_path: Path) -> None:
    data = load(write_folder(tmp_path / "images", {"train": 3}), image_size=64)
    assert data.train.images.shape[1:] == (3, 12, 12)


def test_a_damaged_image_without_its_name(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "images", {"train": 3})
    (folder / "train" / "red" / "001.png").write_bytes(b"not an image")
    with pytest.raises(ConfigError, match=r"train/red/001\.png"):
        load(folder)


def archive_of(path: Path, *odd: tuple[zipfile.ZipInfo | str, bytes]) -> Path:
    """A sound archive of images with other entries in it."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as held:
        for name, colour in COLOURS.items():
            for number in range(3):
                held.writestr(f"train/{name}/{number}.png", png(colour))
        for info, data in odd:
            held.writestr(info, data)
    return path


def link(name: str) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)
    info.external_attr = 0o120777 << 16
    return info


ODD = {
    "absolute": ("/etc/red/1.png", b"x", "leads out of it"),
    "upwards": ("train/../../red/1.png", b"x", "leads out of it"),
    "upwards in another way": ("train\\..\\..\\red\\1.png", b"x", "leads out of it"),
    "a drive": ("C:/red/1.png", b"x", "leads out of it"),
    "a link": (link("train/red/9.png"), b"/etc/passwd", "is a link"),
    "a bomb": ("train/red/9.bmp", b"\0" * (16 * 2**20), "unpacks"),
    "twice": ("train/red/0.png", b"x", "twice"),
    "no image": ("train/red/9.png", b"x", "cannot be read"),
    "a program's language": ("train/red/9.png", b"%!PS-Adobe-3.0 EPSF-3.0\n", "cannot be read"),
}  # fmt: skip


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("kind", ODD)
def test_an_archive_with_an_odd_entry(kind: str, tmp_path: Path) -> None:
    name, data, words = ODD[kind]
    with pytest.raises(ConfigError, match=words):
        load(archive_of(tmp_path / "images.zip", (name, data)))


def test_an_archive_of_many_small_bombs(tmp_path: Path) -> None:
    bombs = [(f"train/red/b{number}.bmp", b"\0" * 2**20) for number in range(40)]
    with pytest.raises(ConfigError, match="would unpack to"):
        load(archive_of(tmp_path / "images.zip", *bombs))


def test_an_archive_that_is_damaged_or_encrypted(tmp_path: Path) -> None:
    archive = archive_of(tmp_path / "images.zip")
    sound = archive.read_bytes()
    place = sound.index(b"train/blue/0.png") + len("train/blue/0.png") + 9
    archive.write_bytes(sound[:place] + bytes((sound[place] ^ 255,)) + sound[place + 1 :])
    with pytest.raises(ConfigError, match=r"is damaged|cannot be read"):
        load(archive)
    flags = sound.index(b"PK\x01\x02") + 8
    archive.write_bytes(sound[:flags] + b"\x01" + sound[flags + 1 :])
    with pytest.raises(ConfigError, match="is encrypted"):
        load(archive)
    for end in (10, len(sound) // 2, len(sound) - 5):
        archive.write_bytes(sound[:end])
        with pytest.raises(ConfigError):
            load(archive)


@pytest.mark.parametrize("size", [(9000, 9000), (20000, 20000)])
def test_an_image_that_is_a_bomb(size: tuple[int, int], tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "images", {"train": 3})
    held = io.BytesIO()
    Image.new("1", size).save(held, "PNG")
    (folder / "train" / "red" / "001.png").write_bytes(held.getvalue())
    with pytest.raises(ConfigError, match=r"train/red/001\.png cannot be read"):
        load(folder)


@pytest.mark.parametrize("part", range(0, 60, 7))
def test_an_image_with_a_changed_byte(part: int, tmp_path: Path) -> None:
    """It is read, or refused by name."""
    folder = write_folder(tmp_path / "images", {"train": 3})
    file = folder / "train" / "red" / "001.png"
    data = bytearray(file.read_bytes())
    data[part] ^= 0xFF
    file.write_bytes(data)
    with contextlib.suppress(ConfigError):
        assert len(load(folder).names) == 2


def test_a_path_that_is_not_there_or_holds_nothing(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "text.zip").write_text("no archive")
    cases = {"absent": "There is no", "empty": "holds no images", "text.zip": "neither a directory"}
    for name, part in cases.items():
        with pytest.raises(ConfigError, match=part):
            load(tmp_path / name)


def test_a_test_class_that_was_never_trained(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "images", {"train": 3})
    (folder / "test" / "green").mkdir(parents=True)
    (folder / "test" / "green" / "0.png").write_bytes(png((0, 255, 0)))
    with pytest.raises(ConfigError, match="green"):
        load(folder)


def test_a_download_without_a_network(monkeypatch: pytest.MonkeyPatch) -> None:
    import socket

    def offline(*_: object, **__: object) -> None:
        raise OSError("Network is unreachable")

    monkeypatch.setattr(socket.socket, "connect", offline)
    monkeypatch.setattr(socket, "getaddrinfo", offline)
    for name in ("mnist", "fashion-mnist", "cifar10", "cifar100"):
        task = next(task for task in ge_tasks() if task.name == name)
        with pytest.raises(ConfigError, match="cannot be downloaded") as caught:
            task.load("", RunConfig())
        assert "digits" in caught.value.hint


def test_a_limit_that_takes_the_first_images() -> None:
    data = Digits().load("", RunConfig())
    few, again = limited(data.train, 100, 3), limited(data.train, 100, 3)
    assert torch.equal(few.labels, again.labels)
    assert len(few.labels) == 100
    assert not torch.equal(few.labels, data.train.labels[:100])
    assert not torch.equal(few.labels, limited(data.train, 100, 4).labels)
