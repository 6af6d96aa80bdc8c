"""Which names code reads from its module, by Python's own symbol table."""

from __future__ import annotations

import builtins
import symtable
import warnings
from collections.abc import Iterator

BUILTINS = frozenset(dir(builtins)).union(
    ("__file__", "__name__", "__doc__", "__class__", "__spec__", "__package__")
)


def free_names(code: str) -> frozenset[str]:
    """Names that `code` (which compiles) reads and that neither it nor Python itself defines.

    Local variables, parameters, comprehension targets and names that the code's own outermost level or its
    `global` statements bind are not free. Annotations count, strings within them do not.
    """
    read, bound, made = _globals(code)
    return frozenset(read - bound - made - BUILTINS)


def read_names(code: str) -> frozenset[str]:
    """Names that `code` (which compiles) reads and that its outermost level does not bind: also Python's own,
    and those that a function of it changes by `global`, which must have a value before."""
    read, bound, _ = _globals(code)
    return frozenset(read - bound)


def module_names(code: str) -> frozenset[str]:
    """All names that `code` (which compiles) binds in its module, by whatever statement, on the outermost
    level or by `global` within a function. What a star import binds cannot be told and is not among them."""
    _, bound, made = _globals(code)
    return frozenset(bound | made)


def _globals(code: str) -> tuple[set[str], set[str], set[str]]:
    """Names of the module that code reads, that its outermost level binds, and that it binds by `global`."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        top = symtable.symtable(code, "<block>", "exec")
    read: set[str] = set()
    bound: set[str] = set()
    made: set[str] = set()
    for table in _tables(top):
        outermost = table is top
        for symbol in table.get_symbols():
            if not (outermost or symbol.is_global()):
                continue
            if symbol.is_referenced():
                read.add(symbol.get_name())
            if symbol.is_assigned() or symbol.is_imported():
                (bound if outermost else made).add(symbol.get_name())
    return read, bound, made


def _tables(top: symtable.SymbolTable) -> Iterator[symtable.SymbolTable]:
    stack = [top]
    while stack:
        table = stack.pop()
        yield table
        stack.extend(table.get_children())
