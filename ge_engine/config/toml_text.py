"""Settings as a TOML file that explains itself, and that `--config` reads."""

from __future__ import annotations

import textwrap
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from ge_engine.config.loading import flat_settings, settings
from ge_engine.config.run_config import RunConfig
from ge_engine.config.setting import GROUPS, Field

WIDTH = 100


def changed_settings(config: RunConfig) -> set[str]:
    """Full names of the settings that are not at their defaults."""
    values = flat_settings(config)
    return {name for name, one in settings().items() if values[name] != one.default}


def toml_of(config: RunConfig, in_force: Collection[str] | None = None) -> str:
    """`config` as TOML by the groups of settings, the sentence of its help above each.

    Those of `in_force` (full names, None: all) stand as they are, the others as comments: the file says of
    them what the default is.
    """
    values = flat_settings(config)
    tables: dict[str, list[str]] = {"": [], "training": []}
    for name, one in _by_group():
        table = name.rpartition(".")[0]
        mark = "" if in_force is None or name in in_force else "# "
        tables[table] += [*_comment(one), mark + _line(one.key, values[name]), ""]
    lines = [*tables[""], "[training]", *tables["training"], *_islands(values["island"])]
    return "\n".join(lines).rstrip("\n") + "\n"


def _by_group() -> list[tuple[str, Field]]:
    return sorted(settings().items(), key=lambda pair: GROUPS.index(pair[1].about.group))


def _comment(one: Field) -> list[str]:
    text = " ".join(filter(None, (one.about.help, one.about.more)))
    return [f"# {line}" for line in textwrap.wrap(text, WIDTH - 2)]


def _line(key: str, value: Any) -> str:
    import tomlkit  # late: no worker writes settings

    return f"{key} = {tomlkit.item(list(value) if isinstance(value, tuple) else value).as_string()}"


def _islands(islands: Collection[Mapping[str, Any]]) -> Iterator[str]:
    for one in islands:
        yield "[[island]]"
        yield from (_line(key, value) for key, value in one.items())
        yield ""
