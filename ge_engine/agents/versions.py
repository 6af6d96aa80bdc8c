"""Which versions a machine has, and whether they are those of the engine."""

from __future__ import annotations

import hashlib
import importlib
import platform
from collections.abc import Iterable, Mapping
from functools import cache
from importlib import metadata
from pathlib import Path

from ge_engine import __version__
from ge_engine.errors import ConfigError


def versions_of(distributions: Iterable[str]) -> dict[str, str]:
    """Those of the engine, of Python and of `distributions`; "none" of what is not installed."""
    python = ".".join(platform.python_version_tuple()[:2])
    return {"ge_engine": __version__, "python": python, **{name: _installed(name) for name in distributions}}


def file_digest(path: Path) -> str:
    """The SHA-256 of a file; "" where there is none that can be read."""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return ""


@cache
def module_digest(name: str) -> str:
    """The SHA-256 of the file of a module, which is imported, as it was then. Raises ImportError."""
    return file_digest(Path(importlib.import_module(name).__file__ or ""))


def require_versions(wanted: Mapping[str, str], found: Mapping[str, str]) -> None:
    """Raises ConfigError: something of this machine is of another version than is wanted."""
    other = [
        f"{name} {found.get(name)} (the engine: {one})"
        for name, one in wanted.items()
        if found.get(name) != one
    ]
    if other:
        raise ConfigError(
            f"This machine has {', '.join(other)}.", "Install the same versions on all machines of a run."
        )


def _installed(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "none"
