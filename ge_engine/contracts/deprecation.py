"""What goes with the next minor version, and parts that still rely on it."""

from __future__ import annotations

import inspect
import warnings
from typing import Any, TypeVar, cast

Part = TypeVar("Part")


class DeprecatedHook(FutureWarning):
    """A hook or an argument that goes with the next minor version: `@hookspec(warn_on_impl=...)` and
    `warn_on_impl_args` show it, with the plugin's file and line, to whoever runs the plugin."""


def inheriting(contract: type[Part], part: object) -> Part:
    """`part` itself where it inherits from `contract`. One that only has members of the contract, as was
    enough in version 0.1.0, gets the defaults of those that it lacks, and a warning with what to write."""
    if isinstance(part, contract):
        return part
    kind = type(part)
    warnings.warn(
        f"{kind.__module__}.{kind.__qualname__} does not inherit from its contract: "
        f"write `class {kind.__name__}({contract.__name__})`, imported from ge_engine.contracts.",
        DeprecatedHook,
        stacklevel=2,
    )
    return cast("Part", _Completed(contract, part))


class _Completed:
    """A part with the defaults of its contract for what it lacks."""

    def __init__(self, contract: type[Any], part: object) -> None:
        self._contract = contract
        self._part = part

    def __getattr__(self, name: str) -> Any:
        if hasattr(self._part, name) or name in self._contract.__abstractmethods__:
            return getattr(self._part, name)
        default = inspect.getattr_static(self._contract, name)
        return default.__get__(self) if hasattr(default, "__get__") else default
