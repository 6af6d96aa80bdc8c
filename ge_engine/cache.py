"""Where downloads and decoded images are kept between runs: one folder in the user's cache."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from platformdirs import user_cache_path

from ge_engine.errors import ConfigError

_SETTING = "Set XDG_CACHE_HOME or GE_CACHE to a folder that can be written."


def cache_path() -> Path:
    """$GE_CACHE, else ge-engine in the user's cache folder. It need not exist.

    Raises:
        ConfigError: there is no home for it.
    """
    if chosen := os.environ.get("GE_CACHE"):
        return Path(chosen)
    try:
        return user_cache_path("ge-engine", appauthor=False)
    except RuntimeError as error:
        raise ConfigError("There is no home folder to keep a cache in.", _SETTING) from error


def cache_paths() -> list[Path]:
    """All folders in which what was downloaded may lie: the user's whole cache, and ours."""
    found = []
    for one in (user_cache_path, cache_path):
        with suppress(RuntimeError, ConfigError):
            found.append(one())
    return found


def cache_folder() -> Path:
    """`cache_path`, made if need be.

    Raises:
        ConfigError: there is no home for it, or it cannot be made.
    """
    folder = cache_path()
    if not folder.is_absolute():
        raise ConfigError("There is no home folder to keep a cache in.", _SETTING)
    if folder.parent == Path("/.cache"):
        raise ConfigError("The home folder is /, which is no place for a cache.", _SETTING)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"The cache folder {folder} cannot be made: {error.strerror}.", _SETTING) from error
    return folder
