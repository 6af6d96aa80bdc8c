"""Which functions, classes and values of a module are used, and which of its classes a network is made of."""

from __future__ import annotations

import ast
import inspect
import sys
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from types import CodeType, FrameType
from typing import Any

from torch import nn

from ge_engine.evaluation.measure.parameters import walk
from ge_engine.source.addresses import address_in
from ge_engine.source.syntax import DEFINITIONS, is_main_guard
from ge_engine.source.values import module_values, names_elsewhere, unread


@contextmanager
def covered_functions(files: Mapping[str, str], addresses: set[str]) -> Iterator[None]:
    """While open, collect the addresses of functions and methods that run in modules at `files`, which are
    told by the names that addresses carry, and of their classes (also of a dataclass, whose `__init__` has no
    text of its own)."""
    seen: set[CodeType] = set()

    def note(frame: FrameType, event: str, argument: Any) -> None:  # noqa: ARG001
        code = frame.f_code
        if (
            code in seen
            or not code.co_flags & inspect.CO_OPTIMIZED
            or (file := files.get(frame.f_globals.get("__file__", ""))) is None
        ):
            return
        seen.add(code)
        name = code.co_qualname.split(".<locals>")[0]
        if code.co_filename.startswith("<") and code.co_argcount:
            name = type(frame.f_locals.get(code.co_varnames[0])).__qualname__
        parts = name.split(".")
        addresses.update(address_in(file, ".".join(parts[: end + 1])) for end in range(len(parts)))

    before = sys.gettrace()
    sys.settrace(note)
    try:
        yield
    finally:
        sys.settrace(before)


def values_read(source: bytes, executed: Collection[str]) -> set[str]:
    """The values of a module (`WIDTH = 64`) that its statements read, or those of its functions and classes
    that are `executed`."""
    tree = ast.parse(source)
    values = set(module_values(tree))
    return values - unread(ast.Module(_ran(tree, executed), []), values)


def values_of(source: bytes) -> set[str]:
    """The names of a module's values."""
    return set(module_values(ast.parse(source)))


def values_read_by(source: bytes, executed: Collection[str]) -> set[str]:
    """Names of values of other modules that a module's statements may read, or those of its functions and
    classes that are `executed`."""
    return names_elsewhere(_ran(ast.parse(source), executed))


def _ran(tree: ast.Module, executed: Collection[str]) -> list[ast.stmt]:
    return [statement for statement in tree.body if _runs(statement, executed)]


def _runs(statement: ast.stmt, executed: Collection[str]) -> bool:
    if isinstance(statement, DEFINITIONS):
        return statement.name in executed
    return not is_main_guard(statement)


def classes_of(model: nn.Module, files: Mapping[str, str]) -> set[str]:
    """The addresses of classes that modules of the network are of, or derive from. `files` are names of files
    by those of their modules."""
    return {
        address_in(files[kind.__module__], kind.__qualname__)
        for _, part in walk(model)
        for kind in type(part).__mro__
        if kind.__module__ in files
    }
