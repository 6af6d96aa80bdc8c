"""A new plugin from the template beside this file: an installable package with passing tests.

Names are put in by plain replacement of whole words; there is no template language.
"""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Mapping
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path

from ge_engine import __version__
from ge_engine.errors import ConfigError
from ge_engine.registry import Registry

NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
LONGEST_NAME = 40
SUFFIX = ".tmpl"
HOOKS = ("ge_operators", "ge_personas", "ge_checks", "ge_objectives")


def write_plugin(name: str, folder: Path, registry: Registry) -> Path:
    """Write the package `folder/name` and return its path; it is there whole or not at all.

    Raises:
        ConfigError: a name that cannot be a package's or that a plugin of `registry` has taken, or a folder
            that exists or cannot be written.
    """
    _refuse_bad_name(name, _taken(registry))
    target = folder / name
    if target.exists():
        raise ConfigError(f"{target} exists.", "Choose another name, or another folder with --output.")
    words = _words(name)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder, prefix=f".{name}-") as scratch:
            whole = Path(scratch) / name
            _write(resources.files(__package__) / "template", whole, words)
            shutil.move(whole, target)
    except OSError as error:
        raise ConfigError(
            f"The plugin cannot be written to {target}: {error.strerror}.", "Choose another --output."
        ) from error
    return target


def module_of(name: str) -> str:
    """The import name of a plugin that was made with `name`."""
    return "ge_" + name.replace("-", "_")


def _refuse_bad_name(name: str, taken: Mapping[str, str]) -> None:
    if not NAME.fullmatch(name) or len(name) > LONGEST_NAME:
        raise ConfigError(
            f"{name!r} cannot be a plugin's name.",
            f"Use small letters, digits and single hyphens, at most {LONGEST_NAME}, for example tiny-heads.",
        )
    if name in taken:
        raise ConfigError(
            f"The name {name!r} is taken by {taken[name]}.", "Choose another; see `ge plugins --names`."
        )


def _taken(registry: Registry) -> Mapping[str, str]:
    """Names that the new plugin's parts would meet, with what has them."""
    parts = {
        name: f"the plugin {owner!r}" for (hook, name), owner in registry.owners.items() if hook in HOOKS
    }
    return {origin.name: f"another plugin ({origin.module})" for origin in registry.origins} | parts


def _words(name: str) -> Mapping[str, str]:
    return {
        "plugin_distribution": f"ge-{name}",
        "plugin_folder": name,
        "plugin_module": module_of(name),
        "plugin_name": name,
        "engine_version": __version__,
        "Plugin": "".join(part.capitalize() for part in name.split("-")),
    }


def _write(source: Traversable, target: Path, words: Mapping[str, str]) -> None:
    if source.is_dir():
        target.mkdir()
        for child in source.iterdir():
            if child.is_dir() or child.name.endswith(SUFFIX):
                _write(child, target / _replaced(child.name.removesuffix(SUFFIX), words), words)
        return
    target.write_text(_replaced(source.read_text("utf-8"), words), "utf-8")


def _replaced(text: str, words: Mapping[str, str]) -> str:
    """Longer words first, so that none is taken for a part of another."""
    for word in sorted(words, key=len, reverse=True):
        text = text.replace(word, words[word])
    return text
