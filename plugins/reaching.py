"""Ways by which code reaches past a model: modules within modules, dunder names, computed attributes.

Judged by what the model files of torchvision, transformers and timm never write (`make corpus` counts it).
The sandbox is what holds; this check only spares it what is plain to see.
"""

from __future__ import annotations

import ast
import re
import symtable
import warnings
from collections.abc import Iterable, Iterator

OPERATORS = frozenset(
    {"__abs__", "__add__", "__and__", "__bool__", "__call__", "__contains__", "__delitem__"}
    | {"__divmod__", "__eq__", "__float__", "__floordiv__", "__ge__", "__getitem__", "__gt__"}
    | {"__iadd__", "__imul__", "__index__", "__int__", "__invert__", "__isub__", "__iter__"}
    | {"__itruediv__", "__le__", "__len__", "__lt__", "__matmul__", "__mod__", "__mul__", "__ne__"}
    | {"__neg__", "__next__", "__or__", "__pos__", "__pow__", "__radd__", "__repr__"}
    | {"__reversed__", "__rmatmul__", "__rmul__", "__round__", "__rpow__", "__rsub__"}
    | {"__rtruediv__", "__setitem__", "__str__", "__sub__", "__truediv__", "__xor__", "__enter__"}
    | {"__exit__", "__hash__", "__bytes__", "__complex__", "__format__", "__copy__", "__deepcopy__"}
    | {"__missing__", "__aenter__", "__aexit__"}
)
DUNDERS = OPERATORS | frozenset(
    {"__all__", "__annotations__", "__class__", "__constants__", "__delattr__", "__dict__"}
    | {"__doc__", "__file__", "__getattr__", "__init__", "__init_subclass__", "__main__"}
    | {"__module__", "__name__", "__new__", "__post_init__", "__qualname__", "__setattr__"}
    | {"__setstate__", "__getstate__", "__slots__", "__torch_function__", "__version__"}
)
"""Dunder names that a model may write; every other one leads to the interpreter's own parts."""

ANYWHERE = frozenset(
    {"os", "sys", "subprocess", "ctypes", "socket", "importlib", "builtins", "shutil", "pickle"}
    | {"pathlib", "tempfile", "multiprocessing", "threading", "marshal", "mmap", "fcntl", "posix"}
    | {"pty", "urllib", "runpy", "zipimport", "sqlite3", "_os", "_sys", "f_globals", "f_back"}
    | {"f_builtins", "f_locals", "tb_frame", "gi_frame", "cr_frame", "ag_frame", "mro"}
    | {"attrgetter", "methodcaller"}
)
"""Attributes that no model has, of whatever object: parts of the system, and frames."""

OF_MODULES = frozenset(
    {"__dict__", "io", "code", "platform", "inspect", "resource", "gc", "glob", "http", "ssl"}
    | {"zipfile", "tarfile", "pdb", "hub", "cpp_extension", "ctypeslib", "load", "save"}
    | {"from_file", "fromfile", "tofile", "memmap", "loadtxt", "savetxt", "genfromtxt"}
    | {"load_library"}
)
"""Attributes that lead out of an imported module, and are harmless on objects of the model's own."""

COMPUTED = frozenset(("getattr", "setattr", "delattr", "vars"))
PIECES = re.compile(r"__\w+__|^__[A-Za-z]\w*$|^\w*[A-Za-z]__$|builtins|subclasses|_import_")
"""A dunder name within a text, a piece of one, or a word that only such names have."""


def reached(codes: Iterable[str], modules: Iterable[str]) -> frozenset[str]:
    """What in `codes` (each compiles) reaches past a model, by name. `modules` are names of imports that
    the file has; those of the codes themselves count as well."""
    known = frozenset(modules)
    return frozenset(found for code in codes for found in _reached(ast.parse(code), known))


def builtins_read(codes: Iterable[str], names: frozenset[str]) -> frozenset[str]:
    """Those of `names` that `codes` read, and not as a variable or parameter of a function."""
    return frozenset(name for code in codes for name in _read(code) if name in names)


def _reached(tree: ast.Module, modules: frozenset[str]) -> Iterator[str]:
    roots = _roots(tree, modules)
    silent = _docstrings(tree)
    called = {id(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    inner = {
        id(side) for node in ast.walk(tree) if isinstance(node, ast.BinOp) for side in (node.left, node.right)
    }
    for node in ast.walk(tree):
        match node:
            case ast.Attribute(attr=name):
                yield from _attribute(_root(node), name, roots)
            case ast.Name(id=name):
                if _is_refused(name) or (name in COMPUTED and id(node) not in called):
                    yield name
            case ast.Call(func=ast.Name(id=name)) if name in (*COMPUTED, "hasattr"):
                yield from _computed(name, node, roots)
            case ast.Import(names=names):
                yield from _imported(name.name for name in names)
            case ast.ImportFrom(names=names, module=module):
                yield from _imported(f"{module}.{name.name}" for name in names)
            case ast.Constant(value=str() | bytes() as value) if id(node) not in silent:
                yield from _text(value)
            case ast.BinOp(op=ast.Add()) if id(node) not in inner:
                yield from _text(_joined(node))


def _attribute(root: str, name: str, roots: frozenset[str]) -> Iterator[str]:
    if root in roots and name in OF_MODULES | ANYWHERE:
        yield f"{root}.{name}"
    elif _is_refused(name) or name in ANYWHERE:
        yield f".{name}"


def _computed(function: str, call: ast.Call, roots: frozenset[str]) -> Iterator[str]:
    """An attribute of a module whose name only shows at run time, or one that is named and refused."""
    root = _root(call.args[0]) if call.args else ""
    match call.args[1:2]:
        case [ast.Constant(value=str() as name)]:
            yield from _attribute(root, name, roots)
        case _ if root in roots and function != "hasattr":
            yield f"{function}({root}, ...)"


def _imported(paths: Iterable[str]) -> Iterator[str]:
    for path in paths:
        yield from (
            path for part in path.split(".")[1:] if part in ANYWHERE | OF_MODULES or _is_refused(part)
        )


def _text(value: str | bytes) -> Iterator[str]:
    text = value if isinstance(value, str) else value.decode("latin-1")
    found = PIECES.search(text)
    if found is not None and found[0] not in DUNDERS:
        yield repr(text if len(text) < 40 else found[0])


def _is_refused(name: str) -> bool:
    return name.startswith("__") and name.endswith("__") and name not in DUNDERS


def _root(node: ast.expr) -> str:
    """The name on which a chain of attributes stands, "" where it stands on something else."""
    while isinstance(node, ast.Attribute):
        node = node.value
    return node.id if isinstance(node, ast.Name) else ""


def _roots(tree: ast.Module, modules: frozenset[str]) -> frozenset[str]:
    """Names of imports, and variables that hold one or a part of one."""
    roots = set(modules)
    for node in ast.walk(tree):
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            roots.update((alias.asname or alias.name).partition(".")[0] for alias in node.names)
    aliases = list(_aliases(tree))
    while new := {name for name, value in aliases if name not in roots and _root(value) in roots}:
        roots |= new
    return frozenset(roots)


def _aliases(tree: ast.Module) -> Iterator[tuple[str, ast.expr]]:
    for node in ast.walk(tree):
        match node:
            case ast.Assign(targets=targets, value=(ast.Name() | ast.Attribute()) as value):
                yield from ((one.id, value) for one in targets if isinstance(one, ast.Name))
            case ast.NamedExpr(target=ast.Name(id=name), value=(ast.Name() | ast.Attribute()) as value):
                yield name, value


def _docstrings(tree: ast.Module) -> frozenset[int]:
    """Texts that stand alone as a statement: nobody reads them."""
    alone = (node.value for node in ast.walk(tree) if isinstance(node, ast.Expr))
    return frozenset(id(value) for value in alone if isinstance(value, ast.Constant))


def _joined(node: ast.expr) -> str:
    """The text of constants that are added up, "" where something else is among them."""
    parts, waiting = [], [node]
    while waiting:
        match waiting.pop():
            case ast.BinOp(op=ast.Add(), left=left, right=right):
                waiting += [left, right]
            case ast.Constant(value=str() as text):
                parts.append(text)
            case _:
                return ""
    return "".join(reversed(parts))


def _read(code: str) -> Iterator[str]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tables = [symtable.symtable(code, "<block>", "exec")]
    while tables:
        table = tables.pop()
        tables += table.get_children()
        local = table.get_type() == "function"
        for symbol in table.get_symbols():
            if symbol.is_referenced() and not (local and symbol.is_local()):
                yield symbol.get_name()
