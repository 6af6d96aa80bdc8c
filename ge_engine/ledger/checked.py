"""What is read from a run database has the types that its class says; what has not is told."""

from __future__ import annotations

import math
import types
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from contextlib import contextmanager
from dataclasses import fields, is_dataclass
from functools import cache, partial
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from ge_engine.errors import LedgerError

T = TypeVar("T")
Fits = Callable[[object], bool]
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
    for name, fits in _fields_of(cls):
        if not fits(getattr(value, name)):
            raise LedgerError(
                f"The run database holds a damaged {what}: its {name} is of a wrong type.", HINT
            )
    return value


@cache
def _fields_of(cls: Any) -> tuple[tuple[str, Fits], ...]:
    hints = get_type_hints(cls)
    return tuple((field.name, _fitting(hints[field.name])) for field in fields(cls))


@cache
def _fitting(hint: Any) -> Fits:
    """What tells whether a value is of a type: made once for each, since a run has many values of few
    types."""
    origin, inner = get_origin(hint), get_args(hint)
    if hint is Any:
        return lambda _: True
    if hint is float:
        return _is_number
    if hint is int:
        return lambda value: isinstance(value, int) and not isinstance(value, bool)
    if origin in (Union, types.UnionType):
        each = tuple(map(_fitting, inner))
        return lambda value: any(fits(value) for fits in each)
    if origin is Literal:
        return lambda value: value in inner
    if origin is not None:
        return _holding(origin, inner)
    return partial(_is_whole, hint) if is_dataclass(hint) else lambda value: isinstance(value, hint)


def _holding(origin: Any, inner: tuple[Any, ...]) -> Fits:
    """As `_fitting`, of a type with others in it."""
    if issubclass(origin, Mapping):
        key, one = map(_fitting, inner)
        return lambda value: (
            isinstance(value, origin) and all(key(name) and one(held) for name, held in value.items())
        )
    if issubclass(origin, Sequence | Set):
        each = _fitting(inner[0])
        return lambda value: isinstance(value, origin) and all(map(each, value))
    return lambda value: isinstance(value, origin)


def _is_whole(cls: Any, value: object) -> bool:
    return isinstance(value, cls) and all(fits(getattr(value, name)) for name, fits in _fields_of(cls))


def _is_number(value: object) -> bool:
    try:
        return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
    except OverflowError:
        return False
