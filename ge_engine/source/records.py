"""What a run database holds of a genome: segments other than its seed model's; read with suspicion."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ge_engine.errors import SeedError
from ge_engine.source.language import Language
from ge_engine.source.segmenter import SegmentedFile
from ge_engine.source.segments import Segment

Parts = tuple[dict[int, Segment], dict[int, tuple[Segment, ...]], tuple[str, ...]]
"""Segments by the place of those that they replace, helpers by that of what follows them, and imports."""


def read_record(cut: SegmentedFile, record: Mapping[str, Any], language: Language) -> Parts:
    """What `Genome.delta` described, now or in a run database of schema 4 and before, which gave for a
    block's name its number among the definitions of the file. Raises SeedError when it is of another seed
    model."""
    try:
        replaced = {
            _place(cut, key): _replacement(_block(cut, key), text, language)
            for key, text in record["replaced"].items()
        }
        helpers = {
            _place(cut, key): tuple(_helper(name, text) for name, text in group)
            for key, group in record["helpers"].items()
        }
        return replaced, helpers, tuple(map(_text, record["imports"]))
    except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
        raise foreign_record() from error


def foreign_record() -> SeedError:
    """Of a genome's record that does not fit."""
    message = "The record of a genome does not fit this seed model."
    return SeedError(message, "Was the seed model changed?")


def _block(cut: SegmentedFile, key: str) -> str:
    """The name of the block that a key of a record stands for."""
    return cut.former[int(key)] if key.isdecimal() else key


def _place(cut: SegmentedFile, key: str) -> int:
    return cut.index[_block(cut, key)]


def _replacement(name: str, text: Any, language: Language) -> Segment:
    """The segment of a record; ValueError when it is not of the block `name`."""
    if not language.defines(_text(text), name):
        raise ValueError(name)
    return language.segment(text, name)


def _helper(name: Any, text: Any) -> Segment:
    if not _text(name).isidentifier():
        raise ValueError(name)
    return Segment(_text(text), name)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(value)
    return value
