"""What is read from a run database has the types that its class says; what has not is told."""

from __future__ import annotations

import math
import types
from collections.abc import Iterator, Mapping, Sequence, Set
from contextlib import contextmanager
from dataclasses import fields, is_dataclass
from functools import cache
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from ge_engine.errors import LedgerError

T = TypeVar("T")
HINT = "See `ge log --check`; put back a copy of it, or start a new run."
WRONG = (KeyError, TypeError, ValueError, AttributeError, IndexError, RecursionError, OverflowError)


@contextmanager
def reading(what: str) -> Iterator[None]:
    """Raises LedgerError for whatever goes wrong in the block because it has another form."""
    try:
        yield
    except WRONG as error:
        raise LedgerError(f"The run database holds a damaged {what}.", HINT) from error


def checked(value: T, what: str) -> T:
    """A dataclass whose fields have the types that it says, numbers finite. Raises LedgerError."""
    cls: Any = type(value)
    for name, hint in _hints(cls):
        if not _fits(hint, getattr(value, name)):
            raise LedgerError(
                f"The run database holds a damaged {what}: its {name} is of a wrong type.", HINT
            )
    return value


@cache
def _hints(cls: Any) -> tuple[tuple[str, Any], ...]:
    hints = get_type_hints(cls)
    return tuple((field.name, hints[field.name]) for field in fields(cls))


def _fits(hint: Any, value: object) -> bool:
    origin, inner = get_origin(hint), get_args(hint)
    if hint is Any:
        return True
    if hint is float:
        return _is_number(value)
    if origin in (Union, types.UnionType):
        return any(_fits(one, value) for one in inner)
    if origin is Literal:
        return value in inner
    if origin is not None:
        return _holds(origin, inner, value)
    if is_dataclass(value) and isinstance(value, hint):
        return all(_fits(part, getattr(value, name)) for name, part in _hints(hint))
    return isinstance(value, hint) and not (hint is int and isinstance(value, bool))


def _holds(origin: Any, inner: tuple[Any, ...], value: object) -> bool:
    if not isinstance(value, origin):
        return False
    if isinstance(value, Mapping):
        return all(_fits(inner[0], key) and _fits(inner[1], one) for key, one in value.items())
    if isinstance(value, Sequence | Set):
        return all(_fits(inner[0], one) for one in value)
    return True


def _is_number(value: object) -> bool:
    try:
        return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
    except OverflowError:
        return False
