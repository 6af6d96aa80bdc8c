"""Folders and archives of images as people have them: what is a class, what is left out, what is damaged."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from ge_engine.errors import ConfigError
from ge_engine.evaluation.setup import limited, private_paths
from ge_plugins.scanning import SUFFIXES, find_entries
from ge_plugins.splitting import stratified
from tests.pictured import dot, line, load, plain, read, saved, write


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


# --- what is a class -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "folder",
    [
        *(".ipynb_checkpoints", "@eaDir", "__MACOSX", ".hidden", ".git/objects", "$RECYCLE.BIN"),
        *("lost+found", "__pycache__", "a/.ipynb_checkpoints", "a/@eaDir/0.png"),
    ],
)
def test_a_folder_of_a_program_that_becomes_a_class(
    folder: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = write(plain(tmp_path / "x", a=10, b=10), {f"{folder}/0.png": dot()})
    assert read(root).names == ("a", "b")
    name = next(part for part in folder.split("/") if part != "a")
    assert line(root, capsys).endswith(f"; left out: {name} (1 file)")


def test_the_line_before_training(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = write(
        plain(tmp_path / "x", a=20, b=30),
        {
            "notes.txt": b"x",
            "a/labels.csv": b"x",
            ".DS_Store": b"x",
            "stray.png": dot(),
            "@eaDir/1.png": dot(),
        },
    )
    (root / "c").mkdir()
    assert line(root, capsys) == (
        f"{root}: 2 classes, 20 to 30 images each, as 3x8x8; 32 to train, 8 to validate, 10 to test; "
        "left out: @eaDir (1 file), 3 files of other kinds (hidden, .csv, .txt), "
        "1 image in no folder of a class, c/ (no images)"
    )


@pytest.mark.parametrize("place", ["a", "b", "train", "train/a", "test"])
def test_a_linked_folder_that_is_dropped(place: str, tmp_path: Path) -> None:
    """A class, or a part, that lies elsewhere."""
    parts = ["train", "test"] if place.startswith("t") else [""]
    root = tmp_path / "x"
    for part in parts:
        plain(root / part)
    elsewhere = tmp_path / "elsewhere"
    (root / place).rename(elsewhere)
    (root / place).symlink_to(elsewhere)
    found = read(root)
    assert found.names == ("a", "b")
    assert [len(split.labels) for split in found.splits.values()] == [8] * len(parts)
    from ge_engine.config import config_from_dict

    config = config_from_dict({"task": f"folder:{root}"})
    (tmp_path / "runs" / "one" / "s").mkdir(parents=True)
    assert elsewhere in private_paths(config, tmp_path / "runs" / "one" / "s"), "no candidate reads it"


def test_a_link_that_leads_round(tmp_path: Path) -> None:
    root = plain(tmp_path / "x")
    (root / "a" / "again").symlink_to(root)
    (root / "b" / "b").symlink_to(root / "b")
    (root / "gone").symlink_to(tmp_path / "nowhere")
    found = read(root)
    assert found.names == ("a", "b")
    assert len(found.splits["train"].labels) == 8


@pytest.mark.parametrize("suffix", [".jfif", ".JPG", ".Jpeg", ".jpe", ".jpg_large", ".jpeg?x=1", "", ".bin"])
def test_a_class_of_odd_suffixes_that_vanishes(suffix: str, tmp_path: Path) -> None:
    data = saved(Image.new("RGB", (8, 8)), "JPEG")
    files = {f"{name}/{n}{suffix if name == 'b' else '.png'}": data for name in "ab" for n in range(3)}
    found = read(write(tmp_path / "x", files))
    assert found.names == ("a", "b")
    assert len(found.splits["train"].labels) == 6


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "PPM"])
def test_content_of_another_type_than_the_suffix(kind: str, tmp_path: Path) -> None:
    data = saved(Image.new("RGB", (8, 8), (255, 255, 255)), kind)
    for suffix in (".jpg", ".png", ".webp", ".gif"):
        root = write(tmp_path / suffix, {f"a/0{suffix}": data, f"b/0{suffix}": data})
        assert int(read(root).splits["train"].images.min()) >= 250


def test_what_looks_like_an_image_by_two_letters(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = write(plain(tmp_path / "x", a=10, b=10), {"a/BMW.txt": b"BMW is a car, and that is a text."})
    assert "1 file of other kinds (.txt)" in line(root, capsys)


@pytest.mark.parametrize(
    ("paths", "labels"),
    [
        (["cats/day/1.png", "cats/night/2.png", "dogs/3.png"], ["cats", "cats", "dogs"]),
        (["o/train/cats/x/1.png", "o/train/dogs/y/z/2.png"], ["cats", "dogs"]),
        (["train/train/1.png", "train/bus/1.png"], ["bus", "train"]),
        (["vehicles/train/1.png", "vehicles/bus/2.png"], ["bus", "train"]),
        (["Train/cats/1.png", "TRAIN/dogs/1.png"], ["dogs", "cats"]),
        (["a/b/c/cats/1.png", "a/b/c/dogs/1.png"], ["cats", "dogs"]),
    ],
)
def test_folders_within_classes_that_become_classes(paths: list[str], labels: list[str]) -> None:
    assert [entry.label for entry in find_entries(paths, "x")] == labels


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("Training/", "Testing/"),
        ("seg_train/seg_train/", "seg_test/seg_test/"),
        ("training_set/training_set/", "test_set/test_set/"),
        ("train2017/", "val2017/"),
        ("Train Images/", "Validation Images/"),
    ],
)
def test_parts_by_the_names_that_downloads_have(first: str, second: str) -> None:
    paths = [f"x/{part}{label}/1.png" for part in (first, second) for label in ("cat", "dog")]
    found = [(entry.part, entry.label) for entry in find_entries(paths, "x")]
    assert sorted(found) == [("test", "cat"), ("test", "dog"), ("train", "cat"), ("train", "dog")]


def test_parts_within_classes_that_are_mixed() -> None:
    paths = [f"{label}/{part}/1.png" for label in ("cat", "dog") for part in ("train", "test")]
    assert [(entry.part, entry.label) for entry in find_entries(paths, "x")] == [
        *[("test", "cat"), ("train", "cat"), ("test", "dog"), ("train", "dog")]
    ]


def test_trains_that_are_a_class_and_no_part() -> None:
    found = find_entries(["x/car/1.png", "x/train/1.png", "x/images 2/1.png"], "x")
    assert {(entry.part, entry.label) for entry in found} == {
        ("train", "car"), ("train", "train"), ("train", "images 2"),
    }  # fmt: skip


def test_links_to_nothing_that_vanish(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = plain(tmp_path / "x", a=10, b=10)
    for name, target in (("c", "/not/mounted"), ("a/lost.png", "gone.png"), ("round", "round")):
        (root / name).symlink_to(target)
    said = line(root, capsys)
    assert said.endswith("; left out: 3 links to nothing that can be read (a/lost.png, c, round)")


def test_photographs_of_a_kind_that_is_not_read(tmp_path: Path) -> None:
    root = write(tmp_path / "x", {f"{label}/1.HEIC": b"\0\0\0\x18ftypheic" for label in "ab"})
    with pytest.raises(ConfigError) as refused:
        read(root)
    said = str(refused.value)
    assert f"{root} holds no images in folders of classes; left out: 2 files of other kinds (.heic)" in said
    assert "convert images of other kinds" in refused.value.hint


def test_one_name_spelled_in_two_ways(tmp_path: Path) -> None:
    """Macs write é as two characters: the test class is the one that was trained."""
    files = {"train/caf\u00e9/0.png": dot(), "train/tea/0.png": dot(), "test/cafe\u0301/0.png": dot()}
    assert read(write(tmp_path / "x", files)).names == ("café", "tea")


def test_names_that_are_no_text(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = plain(tmp_path / "x", a=10, b=10)
    os.rename(root / "b", os.fsencode(root) + b"/caf\xe9")
    assert read(root).names == ("a", "caf\\udce9")
    (root / "\x1b[31m").mkdir()
    said = line(root, capsys)
    assert "\\x1b[31m/ (no images)" in said
    assert "\x1b" not in said


def test_parts_that_are_not_used(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = tmp_path / "x"
    for part in ("train", "val", "test"):
        plain(root / part, a=10, b=10)
    write(root, {"more/a/0.png": dot()})
    said = line(root, capsys)
    assert "1 image outside of train/ and test/, 20 images of the part val/, because there is a test/" in said


def test_a_folder_that_may_not_be_listed(tmp_path: Path) -> None:
    """Root may list all: a name that is too long cannot be had either."""
    from ge_plugins.archives import Directory

    with (
        pytest.raises(ConfigError, match=r"cannot be listed|cannot be read"),
        Directory(tmp_path / ("x" * 300)),
    ):
        pass


@given(st.sets(st.sampled_from(sorted(SUFFIXES)), min_size=1), st.integers(2, 5))
def test_an_image_of_a_known_suffix_that_has_no_class(suffixes: set[str], classes: int) -> None:
    paths = [f"c{n}/x{suffix.upper()}" for n in range(classes) for suffix in suffixes]
    assert len(find_entries(paths, "x")) == len(paths)


# --- splits --------------------------------------------------------------------------------------------


@given(
    st.lists(st.integers(1, 60), min_size=2, max_size=12),
    st.floats(0.05, 0.6),
    st.sampled_from([2, 3]),
)
def test_a_class_that_a_split_loses(counts: list[int], share: float, least: int) -> None:
    labels = np.repeat(np.arange(len(counts)), counts)
    np.random.default_rng(3).shuffle(labels)
    rest, off = stratified(np.arange(len(labels)), labels, share, least)
    assert sorted([*rest, *off]) == list(range(len(labels)))
    for number, count in enumerate(counts):
        held = int((labels[off] == number).sum())
        assert held >= (1 if count >= least else 0)
        assert count - held >= min(count, least - 1)
        assert abs(held - share * count) <= max(1.0, least - 1)


def test_three_of_203_images_that_are_not_validated(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = plain(tmp_path / "x", a=100, b=100, rare=3)
    data = load(root)
    rare = data.names.index("rare")
    assert [int((split.labels == rare).sum()) for split in (data.train, data.validation, data.test)] == [
        1
    ] * 3
    assert "too few images to judge by: rare (3)" in line(root, capsys)
    assert "too few" not in line(plain(tmp_path / "y", a=20, b=20), capsys)


def test_a_class_of_one_image(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = plain(tmp_path / "x", a=20, b=1)
    data = load(root)
    assert int((data.train.labels == 1).sum()) == 1
    assert "too few images to judge by: b (1)" in line(root, capsys)


def test_so_few_images_that_nothing_is_left(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"too few images for a (test|validation) part"):
        load(plain(tmp_path / "x", a=1, b=1))


def test_a_test_part_that_is_given(tmp_path: Path) -> None:
    root = plain(tmp_path / "x" / "train", a=30, b=10).parent
    plain(root / "test", a=3, b=7)
    data = load(root)
    assert [int((data.test.labels == n).sum()) for n in (0, 1)] == [3, 7]
    assert [int((data.validation.labels == n).sum()) for n in (0, 1)] == [6, 2]


def test_a_limit_that_draws_other_images_than_the_engine(tmp_path: Path) -> None:
    root = plain(tmp_path / "x", a=30, b=30)
    few, whole = load(root, train_limit=11), load(root)
    drawn = limited(whole.train, 11, 0)
    assert bool((few.train.images == drawn.images).all())
    assert len(few.train.labels) == 11
    assert bool((few.validation.images == whole.validation.images).all())


# --- damage --------------------------------------------------------------------------------------------


def cut_off() -> bytes:
    """Sound at its beginning, so that its size is known; what is missing shows when it is decoded."""
    rng = np.random.default_rng(0)
    whole = saved(Image.fromarray(rng.integers(0, 256, (8, 8, 3)).astype(np.uint8)))
    return whole[: len(whole) - 60]


@pytest.mark.parametrize("bad", [b"", b"no image", cut_off(), b"\x93NUMPY\x01\x00", b"\x89PNG\r\n\x1a\n"])
def test_a_damaged_image_that_ends_all(
    bad: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = write(plain(tmp_path / "x", a=12, b=12), {"a/bad.png": bad, "b/bad.png": bad})
    with pytest.raises(ConfigError, match=r"bad\.png cannot be read") as refused:
        load(root)
    assert "--skip-broken" in refused.value.hint
    for _ in range(2):  # the second time from the cache
        said = line(root, capsys, skip_broken=True)
        assert said.endswith("left out: 2 damaged images (a/bad.png, b/bad.png)")
    data = load(root, skip_broken=True)
    assert sum(len(split.labels) for split in (data.train, data.validation, data.test)) == 24


def test_a_class_that_is_all_damaged(tmp_path: Path) -> None:
    root = write(plain(tmp_path / "x"), {"c/0.png": b"x", "c/1.png": b"x"})
    data = load(root, skip_broken=True)
    assert data.names == ("a", "b")


def zipped(path: Path, names: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(path, "w", compression) as held:
        for name, data in names.items():
            held.writestr(name, data)
    return path


def spoilt(archive: Path, name: bytes) -> Path:
    """The entry's last byte is another one: its checksum is wrong."""
    data = bytearray(archive.read_bytes())
    start = data.index(name) + len(name)
    data[start + len(dot()) - 1] ^= 0xFF
    archive.write_bytes(data)
    return archive


EIGHT = {f"{name}/{n}.png": dot() for name in "ab" for n in range(4)}


@pytest.mark.parametrize("parts", [1, 2])
def test_an_archive_that_windows_wrote(parts: int, tmp_path: Path) -> None:
    """Backslashes between folders."""
    names = {("train\\" * (parts - 1) + name.replace("/", "\\")): data for name, data in EIGHT.items()}
    names |= {f"test\\{name}\\0.png": dot() for name in "ab"} if parts == 2 else {}
    archive = zipped(tmp_path / "x.zip", {})
    with zipfile.ZipFile(archive, "w") as held:
        for name, data in names.items():
            info = zipfile.ZipInfo(name)
            info.filename = name
            held.writestr(info, data)
    assert read(archive).names == ("a", "b")
    assert len(read(archive).splits["train"].labels) == 8


def test_an_archive_with_a_wrong_checksum(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    archive = spoilt(zipped(tmp_path / "x.zip", EIGHT), b"a/1.png")
    with pytest.raises(ConfigError, match=r"'a/1\.png' .* is damaged: Bad CRC-32") as refused:
        load(archive)
    assert len(refused.value.message) < 300
    assert "--skip-broken" in refused.value.hint
    assert "1 damaged image (a/1.png)" in line(archive, capsys, skip_broken=True)


def test_an_archive_packed_in_a_way_that_python_does_not_know(tmp_path: Path) -> None:
    archive = zipped(tmp_path / "x.zip", EIGHT)
    data = bytearray(archive.read_bytes())
    for magic, place in ((b"PK\x03\x04", 8), (b"PK\x01\x02", 10)):
        start = data.index(magic)
        data[start + place] = 9
    archive.write_bytes(data)
    with pytest.raises(ConfigError, match=r"cannot be unpacked: That compression method"):
        load(archive)


@pytest.mark.parametrize("name", ["café", "猫", "кот"])
def test_an_archive_with_names_beyond_ascii(name: str, tmp_path: Path) -> None:
    """As UTF-8 that says so, and as UTF-8 that does not (Info-ZIP on Linux)."""
    names = {f"{name}/{n}.png": dot() for n in range(3)} | {f"a/{n}.png": dot() for n in range(3)}
    archive = zipped(tmp_path / "x.zip", names)
    assert name in read(archive).names
    data = bytearray(archive.read_bytes())
    for magic, place in ((b"PK\x03\x04", 7), (b"PK\x01\x02", 9)):
        start = data.find(magic)
        while start >= 0:
            data[start + place] &= ~0x08
            start = data.find(magic, start + 4)
    archive.write_bytes(data)
    assert name in read(archive).names


def test_an_archive_with_names_of_no_encoding(tmp_path: Path) -> None:
    archive = zipped(tmp_path / "x.zip", EIGHT)
    archive.write_bytes(archive.read_bytes().replace(b"b/", b"\xff/"))
    assert len(read(archive).names) == 2


def test_empty_classes_of_an_archive(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names = {f"x/{name}/{n}.png": dot() for name in "ab" for n in range(10)}
    archive = zipped(tmp_path / "x.zip", {**names, "x/": b"", "x/c/": b"", "x/d/e.txt": b"x"})
    assert line(archive, capsys).endswith(
        "left out: 1 file of other kinds (.txt), x/c/ (no images), x/d/ (no images)"
    )
