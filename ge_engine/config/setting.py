"""What is known of a setting: the range, help and group that stand beside its type and default.

A class of settings is a frozen dataclass whose fields are `name: type = setting(default, help, ...)`.
"""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

from ge_engine.errors import ConfigError

MODEL, LANGUAGE, SEARCH = "Model and task", "Language model", "Search"
TRAINING, RUN, BUDGET = "Training", "Run", "Budgets"
GROUPS = (MODEL, LANGUAGE, SEARCH, TRAINING, RUN, BUDGET)
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Range:
    """Whether a value lies in range, and the words that follow the setting's name: "must be 1 or more".
    `words` are the values where there are no others."""

    holds: Callable[[Any], bool]
    text: str
    words: tuple[str, ...] = ()


def at_least(least: int, meaning: str = "") -> Range:
    """`least` or more; `meaning` says what `least` itself stands for."""
    named = f"{least} ({meaning})" if meaning else str(least)
    return Range(lambda value: bool(value >= least), f"must be {named} or more")


def positive(unit: str = "") -> Range:
    """More than 0."""
    return Range(lambda value: bool(value > 0), f"must be more than 0 {unit}".rstrip())


def below_one(meaning: str = "") -> Range:
    """0 or more and less than 1; `meaning` says what 0 stands for."""
    zero = f"0 ({meaning})" if meaning else "0"
    return Range(lambda value: bool(0 <= value < 1), f"must be {zero} or more and less than 1")


def rising(least: int) -> Range:
    """A pair of `least` or more whose second value is not below its first."""
    return Range(lambda pair: bool(least <= pair[0] <= pair[1]), "must be a rising pair")


def one_of(*words: str) -> Range:
    """One of `words`."""
    return Range(lambda value: value in words, f"is {', '.join(words[:-1])} or {words[-1]}", words)


@dataclass(frozen=True, slots=True)
class Setting:
    """What `setting` gets besides the default."""

    help: str
    group: str
    range: Range | None
    more: str
    metavar: str | None
    changeable: bool
    flag: bool


def setting(
    default: T,
    help: str,
    group: str,
    range: Range | None = None,
    *,
    more: str = "",
    metavar: str | None = None,
    changeable: bool = False,
    flag: bool = True,
) -> T:
    """A field of a class of settings.

    Args:
        help: a sentence for `--help` and the documentation.
        group: the panel of the setting's flag in `--help`.
        more: what the documentation says besides.
        metavar: what stands for the value in `--help`.
        changeable: a later session of a run may change it, for it decides how much is done and how fast,
            never what is compared.
        flag: whether a flag gives it, besides TOML and Python.
    """
    about = Setting(help, group, range, more, metavar, changeable, flag)
    return dataclasses.field(default=default, metadata={Setting: about})


@dataclass(frozen=True, slots=True)
class Field:
    """A setting with its place: `name` is "population" or "training.epochs"."""

    name: str
    kind: Any
    default: Any
    about: Setting

    @property
    def key(self) -> str:
        """The name without its table, which is also the flag's."""
        return self.name.rpartition(".")[2]

    @property
    def flag(self) -> str:
        return "--" + self.key.replace("_", "-")

    @property
    def limits(self) -> str:
        """The range as "1 or more"; "" where no such words tell it."""
        text = self.about.range.text if self.about.range else ""
        return text.removeprefix("must be ") if text.startswith("must be ") else ""

    def of(self, values: Mapping[str, Any]) -> Any:
        """The setting's value in nested plain data, its default where there is none."""
        table, _, key = self.name.rpartition(".")
        return (values.get(table, {}) if table else values).get(key, self.default)


@lru_cache
def fields_of(cls: type, prefix: str = "") -> Mapping[str, Field]:
    """The settings of a class by full name, in its order; its other fields are tables."""
    kinds = get_type_hints(cls)
    return {
        prefix + one.name: Field(prefix + one.name, kinds[one.name], one.default, one.metadata[Setting])
        for one in dataclasses.fields(cls)
        if Setting in one.metadata
    }


def typed(
    fields: Mapping[str, Field],
    values: Any,
    table: str,
    renamed: Mapping[str, str],
    others: Mapping[str, Field],
) -> dict[str, Any]:
    """The values of one table with the types of its settings, by key. `others` are settings of other tables,
    for whom one may have meant them.

    Raises:
        ConfigError: an unknown or renamed key, or a value of another type.
    """
    if not isinstance(values, Mapping):
        raise ConfigError(f"The setting {table.rstrip('.')!r} wants a table and got {values!r}.")
    for key in values:
        if table + key not in fields:
            raise _unknown(table + key, fields, renamed, others)
    return {key: _convert(table + key, value, fields[table + key].kind) for key, value in values.items()}


def _unknown(
    name: str, fields: Mapping[str, Field], renamed: Mapping[str, str], others: Mapping[str, Field]
) -> ConfigError:
    if name in renamed:
        return ConfigError(f"The setting {name!r} is now called {renamed[name]!r}.", "Write the new name.")
    meant = nearest(name.rpartition(".")[2], fields) or nearest(name.rpartition(".")[2], others)
    known = ", ".join(sorted(field.key for field in fields.values()))
    hint = f"Did you mean {meant}?" if meant else f"Known keys: {known}."
    return ConfigError(f"There is no setting {name!r}.", hint)


def nearest(key: str, fields: Mapping[str, Field]) -> str:
    """The full name of the setting whose key is `key`, or most like it; "" where none is."""
    by_key = {field.key: name for name, field in fields.items()}
    close = difflib.get_close_matches(key, by_key, n=1)
    return by_key[close[0]] if close else ""


def _convert(name: str, value: Any, kind: Any) -> Any:
    if get_origin(kind) is tuple:
        inner = get_args(kind)
        if not isinstance(value, (str, list, tuple)):
            raise ConfigError(f"The setting {name!r} wants a list and got {value!r}.")
        items = [value] if isinstance(value, str) else list(value)
        if inner[-1] is not Ellipsis and len(items) != len(inner):
            raise ConfigError(f"The setting {name!r} wants {len(inner)} values and got {len(items)}.")
        return tuple(_convert(name, item, inner[0]) for item in items)
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if type(value) is not kind:
        raise ConfigError(
            f"The setting {name!r} wants {'an' if kind is int else 'a'} {kind.__name__} and got {value!r}."
        )
    return value
