# ruff: noqa: SIM115
"""Files that a candidate's code opens: it gets the candidate's content, and never the original's."""

from __future__ import annotations

import builtins
import codecs
import io
import os
import pkgutil
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ge_engine.evaluation.data.given_files import ValueFile, give, opened

ORIGINAL, MINE = "width: 1\n", "width: 2\n"


@pytest.fixture(autouse=True)
def nothing_given() -> Iterator[None]:
    yield
    give(())


@pytest.fixture
def conf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file in whose place another content is given; the working folder is beside it."""
    file = tmp_path / "real" / "conf.yaml"
    file.parent.mkdir()
    file.write_text(ORIGINAL)
    (tmp_path / "link").symlink_to("real")
    (tmp_path / "real" / "linked.yaml").symlink_to("conf.yaml")
    (tmp_path / "real" / "inner").mkdir()
    monkeypatch.chdir(tmp_path / "real" / "inner")
    give([ValueFile("conf.yaml", MINE.encode(), str(tmp_path / "link" / "conf.yaml"))])
    return file


READS: dict[str, Callable[[Path], str | bytes]] = {
    "open": lambda file: open(file).read(),
    "open by a text": lambda file: open(str(file)).read(),
    "open by bytes": lambda file: open(os.fsencode(file)).read(),
    "open with all arguments": lambda file: open(file, "rt", -1, "utf-8", "strict", "", True, None).read(),  # noqa: UP015
    "open for bytes": lambda file: open(file, "rb").read(),
    "open without a buffer": lambda file: open(file, "rb", buffering=0).read(),
    "io.open": lambda file: io.open(file, encoding="utf-8").read(),  # noqa: UP020
    "codecs.open": lambda file: codecs.open(str(file), "r", "utf-8").read(),
    "Path.read_text": lambda file: file.read_text("utf-8"),
    "Path.read_bytes": lambda file: file.read_bytes(),
    "Path.open": lambda file: file.open().read(),
    "a relative path": lambda file: open("../conf.yaml").read(),
    "a path that is not normal": lambda file: open(file.parent / "inner" / ".." / "conf.yaml").read(),
    "a link to the file": lambda file: (file.parent / "linked.yaml").read_text(),
    "a link to its folder": lambda file: (file.parent.parent / "link" / "conf.yaml").read_text(),
}


@pytest.mark.parametrize("way", READS)
def test_a_way_to_open_a_file_that_gives_the_original(conf: Path, way: str) -> None:
    read = READS[way](conf)
    assert (read if isinstance(read, str) else read.decode()) == MINE
    assert "conf.yaml" in opened()


OTHERS: dict[str, Callable[[Path], Any]] = {
    "os.open": lambda file: os.open(file, os.O_RDONLY),
    "io.FileIO": lambda file: io.FileIO(str(file)),
    "the open of before": lambda file: io.open_code(str(file)),
    "an opener": lambda file: open(file, opener=lambda path, flags: os.open(path, flags)),
    "pkgutil": lambda file: (
        pkgutil.get_importer(str(file.parent)).find_spec("late").loader.get_data(str(file))
    ),  # type: ignore[union-attr]
    "to write": lambda file: open(file, "w"),
    "to append": lambda file: file.open("a"),
    "to read and write": lambda file: open(file, "r+b"),
}


@pytest.mark.parametrize("way", OTHERS)
def test_another_way_that_reads_or_writes_the_original(conf: Path, way: str) -> None:
    (conf.parent / "late.py").touch()
    with pytest.raises(PermissionError, match=r"conf.yaml is evolved, and can be read by open\(\)"):
        OTHERS[way](conf)
    give(())
    assert conf.read_text() == ORIGINAL


def test_a_descriptor_of_a_file_that_has_none(conf: Path) -> None:
    with open(conf) as file, pytest.raises(io.UnsupportedOperation, match="given from memory"):
        file.fileno()
    with open(conf, "rb") as raw, pytest.raises(io.UnsupportedOperation):
        raw.write(b"x")


def test_a_file_that_is_another_and_is_taken_for_it(conf: Path) -> None:
    other = conf.parent / "inner" / "conf.yaml"
    other.write_text("other")
    assert other.read_text() == "other"
    with pytest.raises(FileNotFoundError):
        open(conf.parent / "none" / "conf.yaml")
    with suppress(OSError), open(10**6) as file:  # a descriptor is no path
        file.read()
    with pytest.raises(TypeError):
        open(None)  # type: ignore[call-overload]


def test_the_content_of_the_candidate_before(conf: Path) -> None:
    give([ValueFile("conf.yaml", b"width: 3\n", str(conf))])
    assert conf.read_text() == "width: 3\n"
    give(())
    assert conf.read_text() == ORIGINAL
    assert builtins.open is io.open
    assert "given_files" not in str(getattr(builtins.open, "__globals__", {}).get("__name__", ""))


@given(
    st.binary(max_size=40) | st.text("a\r\nä", max_size=20).map(str.encode),
    st.sampled_from(["r", "rt", "rb"]),
    st.sampled_from([None, "", "\n", "\r\n"]),
    st.sampled_from(["strict", "replace", "surrogateescape"]),
)
def test_a_given_file_reads_as_a_real_one(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, mode: str, newline: str | None, errors: str
) -> None:
    folder = tmp_path_factory.mktemp("files")
    (folder / "real").write_bytes(content)
    (folder / "given").write_bytes(b"the original")
    give([ValueFile("given", content, str(folder / "given"))])
    named = {} if "b" in mode else {"newline": newline, "errors": errors, "encoding": "utf-8"}
    assert _lines(folder / "given", mode, named) == _lines(folder / "real", mode, named)


def _lines(file: Path, mode: str, named: dict[str, Any]) -> Any:
    try:
        with open(file, mode, **named) as opened_file:
            lines = opened_file.readlines()
            opened_file.seek(0)
            return (
                lines,
                opened_file.read(3),
                opened_file.mode,
                opened_file.readable(),
                opened_file.writable(),
            )
    except UnicodeDecodeError as error:
        return str(error)


def test_a_process_without_such_files_that_opens_otherwise() -> None:
    give(())
    assert builtins.open is io.open is sys.modules["_io"].open
