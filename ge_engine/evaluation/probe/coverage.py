"""Which functions and classes of modules are used, and which of the classes a network is made of."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import CodeType, FrameType
from typing import Any

from torch import nn

from ge_engine.evaluation.measure.parameters import walk
from ge_engine.source.addresses import address_in


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


def classes_of(model: nn.Module, files: Mapping[str, str]) -> set[str]:
    """The addresses of classes that modules of the network are of, or derive from. `files` are names of files
    by those of their modules."""
    return {
        address_in(files[kind.__module__], kind.__qualname__)
        for _, part in walk(model)
        for kind in type(part).__mro__
        if kind.__module__ in files
    }
