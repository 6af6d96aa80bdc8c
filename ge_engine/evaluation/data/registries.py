"""What a module has entered into registries of other modules, withdrawn when the module is imported anew."""

from __future__ import annotations

import sys
from collections import OrderedDict, defaultdict
from collections.abc import Collection, Iterator
from types import ModuleType
from typing import Any

_PLAIN = (dict, OrderedDict, defaultdict, list, set)


def withdraw(names: Collection[str], beside: Collection[str]) -> None:
    """Take what the modules `names` define out of the lists, sets and dictionaries of the modules `beside`
    and of the same packages: a decorator that registers a model refuses one that is there already.

    A module that imports from them keeps what it has: it chooses among blocks, and registers none.
    """
    tops = {name.partition(".")[0] for name in names if "." in name}
    for name, module in list(sys.modules.items()):
        near = name in beside or name.partition(".")[0] in tops
        if near and name not in names and not _takes(module, names):
            for container in _containers(module, name.partition(".")[0]):
                _withdraw_from(container, names)


def _takes(module: ModuleType, names: Collection[str]) -> bool:
    """Whether a module that is no package has a global from one of the modules."""
    return not hasattr(module, "__path__") and any(_is_of(value, names) for value in _globals(module))


def _containers(module: ModuleType, top: str) -> Iterator[Any]:
    """A module's lists, sets and dictionaries, and those that objects of its package's classes have."""
    for value in _globals(module):
        if type(value) in _PLAIN:
            yield value
        elif _home(type(value)).partition(".")[0] == top:
            yield from (one for one in _fields(value) if type(one) in _PLAIN)


def _withdraw_from(container: Any, names: Collection[str]) -> None:
    if isinstance(container, dict):
        for key in [key for key, value in container.items() if _is_of((key, value), names)]:
            del container[key]
    elif isinstance(container, list):
        container[:] = [one for one in container if not _is_of(one, names)]
    else:
        container -= {one for one in container if _is_of(one, names)}


def _is_of(value: Any, names: Collection[str]) -> bool:
    """Whether a class, a function, an object or one in a tuple of them is of one of the modules."""
    if type(value) is tuple:
        return any(_is_of(one, names) for one in value)
    return _home(value) in names


def _home(value: Any) -> str:
    """The module that something is of; "" where it does not say, or says it in a way of its own."""
    try:
        home = value.__module__
    except Exception:
        return ""
    return home if isinstance(home, str) else ""


def _fields(value: Any) -> list[Any]:
    """What an object has as its own attributes, without asking it."""
    try:
        return list(object.__getattribute__(value, "__dict__").values())
    except AttributeError:
        return []


def _globals(module: ModuleType) -> list[Any]:
    return [value for name, value in vars(module).items() if not name.startswith("__")]
