"""A reply about several files -> what it says of each: by the file names that stand above the code."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import PurePosixPath

_FENCE = re.compile(r"\s*(`{3,}|~{3,})(.*)")
_DECORATION = " \t#*`_:=-/<>[](){}'\""
_LANGUAGE = re.compile("python|ya?ml", re.IGNORECASE)
_WORD = re.compile(r"^(?:file|in)\b[ \t:]*", re.IGNORECASE)


def by_file(text: str, files: Sequence[str]) -> dict[str, str]:
    """The code of each file of a reply whose code all stands below the name of a file: alone on
    a line before a fence, beside its marks, or as a comment within it. {} where some stands below none."""
    found: dict[str, list[str]] = {}
    current, inside = "", False
    for line in text.split("\n"):
        fence = _FENCE.fullmatch(line)
        if fence is not None:
            inside = not inside
            current = (_named(fence[2], files) or current) if inside else ""
        elif name := _named(line, files):
            current = name
        elif inside and line.strip():
            if not current:
                return {}
            found.setdefault(current, []).append(line)
        elif inside and current:
            found.setdefault(current, []).append(line)
        elif line.strip():
            current = ""
    return {name: "\n".join(lines) + "\n" for name, lines in found.items()}


def _named(line: str, files: Sequence[str]) -> str:
    """The file whose name is all that a line says, "" for any other line."""
    said = _WORD.sub("", line.strip().strip(_DECORATION)).strip(_DECORATION)
    said = said.rpartition(" ")[2].rpartition("=")[2].strip(_DECORATION) if _LANGUAGE.match(said) else said
    whole = [name for name in files if said == name or said.endswith(f"/{name}")]
    last = [name for name in files if said == PurePosixPath(name).name]
    return whole[0] if whole else last[0] if len(last) == 1 else ""
