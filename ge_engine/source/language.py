"""The languages of a seed model's files: how one is cut, and how the code of its blocks is read."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

from ge_engine.source.segmenter import SegmentedFile, segment_file
from ge_engine.source.segments import Segment, defines
from ge_engine.source.source_text import Source
from ge_engine.source.syntax import SyntaxFault, compiles, parse
from ge_engine.source.yaml_entries import YamlSegment, is_entry
from ge_engine.source.yaml_file import cut_yaml, fault_of
from ge_engine.source.yaml_source import YamlSource
from ge_engine.source.yaml_tree import SUFFIXES as YAML_SUFFIXES
from ge_engine.source.yaml_tree import read


@dataclass(frozen=True, slots=True)
class Language:
    """`name` is what fences and blocks call it; `cut` reads a file, `segment` a part of one, `parse` what a
    reply gives, `source` a block's code; `fault` says why a text cannot be a file, `defines` whether that of
    a segment is the block of a name. `values` is a pattern of how a value begins, "NAME" in it its name."""

    name: str
    cut: Callable[[bytes, str], SegmentedFile]
    segment: Callable[[str, str], Segment]
    parse: Callable[[str], ast.Module | SyntaxFault]
    source: Callable[[str], Source]
    fault: Callable[[str], SyntaxFault | None]
    defines: Callable[[str, str], bool]
    values: str

    def value_header(self, names: str, indent: str = "") -> re.Pattern[str]:
        """The first words of values, behind an indent at a line's beginning. Both are patterns."""
        begins = self.values.replace("^", f"^{indent}", 1).replace("NAME", f"(?:{names})")
        return re.compile(begins, re.MULTILINE)

    def __reduce__(self) -> tuple[Any, ...]:
        return _named, (self.name,)


PYTHON = Language(
    name="python",
    cut=segment_file,
    segment=Segment,
    parse=parse,
    source=Source,
    fault=compiles,
    defines=defines,
    values=r"(?:^|;)[ \t]*NAME[ \t]*(?::[^=\n]+)?=(?!=)",
)
YAML = Language(
    name="yaml",
    cut=cut_yaml,
    segment=YamlSegment,
    parse=read,
    source=YamlSource,
    fault=fault_of,
    defines=is_entry,
    values=r"""^(["']?)NAME\1[ \t]*:(?=\s|$)""",
)
LANGUAGES: Mapping[str, Language] = {one.name: one for one in (PYTHON, YAML)}
SUFFIXES: Mapping[str, Language] = {".py": PYTHON, **dict.fromkeys(YAML_SUFFIXES, YAML)}


def _named(name: str) -> Language:
    return LANGUAGES[name]


def language_of(file: str | PurePath | None) -> Language:
    """The language of a file by its name; Python's where that does not say."""
    return SUFFIXES.get(PurePath(file or "").suffix.lower(), PYTHON)
