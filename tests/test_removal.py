"""Folders that generated code has filled, and what cannot be removed or keeps the engine from starting."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ge_engine.config import config_from_dict
from ge_engine.evaluation.command import open_command
from ge_engine.evaluation.sandbox.removal import empty_folder, remove_tree
from ge_engine.evaluation.setup import set_up
from tests.evaluation import data, genome

DEEP = 1_200
"""Levels beyond what recursion, a path or as many open descriptors can reach."""
NAMES = st.binary(min_size=1, max_size=12).filter(lambda name: not {0, 47} & {*name} and name.strip(b"."))


def nest(folder: Path, levels: int, name: bytes = b"d", mode: int = 0o700) -> None:
    """Folders in folders, without a path to the last one."""
    folder.mkdir(parents=True, exist_ok=True)
    handle = os.open(folder, os.O_RDONLY)
    for _ in range(levels):
        os.mkdir(name, mode | 0o300, dir_fd=handle)
        os.close(os.open(b"file", os.O_CREAT | os.O_WRONLY, dir_fd=handle))
        inner = os.open(name, os.O_RDONLY if mode & 0o400 else os.O_PATH, dir_fd=handle)
        if not mode & 0o300:
            os.chmod(name, mode, dir_fd=handle)
        os.close(handle)
        handle = inner
    os.close(handle)


@pytest.mark.parametrize("name", [b"d", b"d" * 255, b"\xff\xfe", b"-rf", b" \n"])
def test_folders_that_nest_deeper_than_a_path_is_long(name: bytes, tmp_path: Path) -> None:
    nest(tmp_path / "full", DEEP, name)
    assert remove_tree(tmp_path / "full")
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("mode", [0o000, 0o300, 0o500])
def test_folders_that_may_not_be_listed_or_changed(mode: int, tmp_path: Path) -> None:
    for number in range(3):
        inner = tmp_path / "full" / str(number) / "inner"
        nest(inner, 1)
        inner.chmod(mode)
        inner.parent.chmod(mode)
    (tmp_path / "full").chmod(mode)
    assert remove_tree(tmp_path / "full")
    assert os.listdir(tmp_path) == []


def test_a_link_that_is_followed(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter").write_text("dear")
    (tmp_path / "full" / "a").mkdir(parents=True)
    (tmp_path / "full" / "a" / "link").symlink_to(tmp_path / "mine")
    (tmp_path / "full" / "link").symlink_to(tmp_path / "mine")
    (tmp_path / "link").symlink_to(tmp_path / "mine")
    assert remove_tree(tmp_path / "full")
    assert remove_tree(tmp_path / "link")
    assert remove_tree(tmp_path / "never there")
    assert (tmp_path / "mine" / "letter").read_text() == "dear"
    assert os.listdir(tmp_path) == ["mine"]


@pytest.mark.parametrize("there", ["link", "dangling link", "file", "folder", "closed folder", "nothing"])
def test_a_folder_to_be_emptied_that_is_something_else(there: str, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "mine").write_text("kept")
    folder = tmp_path / "run" / "jobs"
    if there != "nothing":
        folder.parent.mkdir()
    if "link" in there:
        folder.symlink_to(elsewhere if there == "link" else tmp_path / "gone")
    elif there == "file":
        folder.write_text("a file")
    elif "folder" in there:
        nest(folder, 3)
        folder.chmod(0o000 if there == "closed folder" else 0o700)
    empty_folder(folder)
    assert not folder.is_symlink()
    assert list(folder.iterdir()) == []
    assert (elsewhere / "mine").read_text() == "kept"


def test_an_emptied_folder_that_is_another(tmp_path: Path) -> None:
    nest(tmp_path / "jobs", 2)
    before = (tmp_path / "jobs").stat().st_ino
    empty_folder(tmp_path / "jobs")
    assert (tmp_path / "jobs").stat().st_ino == before


def test_a_name_that_removal_itself_gives(tmp_path: Path) -> None:
    for number in range(4):
        nest(tmp_path / "full" / f".removed-{os.getpid()}-{number}", 3)
    assert remove_tree(tmp_path / "full")


@given(st.recursive(st.none(), lambda inner: st.dictionaries(NAMES, inner, max_size=4), max_leaves=30))
def test_a_tree_that_is_left(tree: object) -> None:
    with tempfile.TemporaryDirectory() as top:
        folder = os.path.join(os.fsencode(top), b"full")
        plant(folder, tree)
        assert remove_tree(os.fsdecode(folder))
        assert os.listdir(top) == []


def plant(path: bytes, tree: object) -> None:
    if not isinstance(tree, dict):
        with open(path, "wb"):
            return
    os.mkdir(path)
    for name, inner in tree.items():
        plant(os.path.join(path, name), inner)


def begin_training(scratch: Path) -> None:
    set_up(genome(), config_from_dict({"sandbox": "none"}), data(), scratch)


def begin_programs(scratch: Path) -> None:
    with open_command(genome(), config_from_dict({}), ["true"], ["accuracy"], scratch):
        pass


@pytest.mark.parametrize("begin", [begin_training, begin_programs])
def test_a_run_that_cannot_start_again(begin: Callable[[Path], None], tmp_path: Path) -> None:
    nest(tmp_path / "jobs" / "1", DEEP)
    begin(tmp_path)
    assert not (tmp_path / "jobs" / "1").exists()
