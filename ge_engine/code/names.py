"""Which names code reads from its module, by Python's own symbol table."""

from __future__ import annotations

import builtins
import symtable
import warnings
from collections.abc import Iterator

BUILTINS = frozenset(dir(builtins)) | {
    "__file__",
    "__name__",
    "__doc__",
    "__class__",
    "__spec__",
    "__package__",
}


def free_names(code: str) -> frozenset[str]:
    """Names that `code` (which compiles) reads and that neither it nor Python itself defines.

    Local variables, parameters, comprehension targets and names that the code's own outermost level
    binds are not free. Annotations count, strings within them do not.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        top = symtable.symtable(code, "<block>", "exec")
    read: set[str] = set()
    bound: set[str] = set()
    for table in _tables(top):
        outermost = table.get_type() == "module"
        for symbol in table.get_symbols():
            if not (outermost or symbol.is_global()):
                continue
            if symbol.is_referenced():
                read.add(symbol.get_name())
            if symbol.is_assigned() or symbol.is_imported():
                bound.add(symbol.get_name())
    return frozenset(read - bound - BUILTINS)


def _tables(top: symtable.SymbolTable) -> Iterator[symtable.SymbolTable]:
    stack = [top]
    while stack:
        table = stack.pop()
        yield table
        stack.extend(table.get_children())
