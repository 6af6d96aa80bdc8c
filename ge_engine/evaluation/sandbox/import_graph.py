"""Which files a seed model imports, found by reading: its module, its neighbours, what those import."""

from __future__ import annotations

import ast
import importlib.machinery
import os
import sys
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache

_CALLS = (b"import_module", b"__import__")
_LIBRARY = frozenset(sys.stdlib_module_names) | frozenset(sys.builtin_module_names)


@dataclass(slots=True)
class Imports:
    """`files` are the modules found, by dotted name; a folder is a package without `__init__.py`. `outside`
    are the top-level names of all others but Python's own."""

    files: dict[str, str] = field(default_factory=dict)
    outside: set[str] = field(default_factory=set)


def follow_imports(
    source: bytes,
    name: str,
    file_of: Callable[[str], str | None],
    others: Iterable[tuple[bytes, str]] = (),
) -> Imports:
    """What the module `name` imports, and so on, and what `others` do, given by source and name. `file_of`
    tells the file of a module that is to be followed, "" where there is none, and None where it is not to be.

    Imports with a name that is computed are not seen. A file that cannot be read or parsed ends its branch:
    it fails with its own error when it is imported. No module has a path for its name.
    """
    found = Imports()
    seen = {name}
    pending = [
        one
        for text, own in ((source, name), *others)
        for one in (*_parents(own), *imported_names(text, own, package=False))
    ]
    while pending:
        one = pending.pop()
        if one in seen or os.sep in one:
            continue
        seen.add(one)
        file = file_of(one)
        if file is None:
            found.outside |= {one.partition(".")[0]} - _LIBRARY
            continue
        pending += _parents(one)
        if file and one != name:
            found.files[one] = file
            if file.endswith(".py"):
                pending += _names_in(file, one, _stamp(file))
    return found


def named_imports(source: bytes, name: str, file_of: Callable[[str], str | None]) -> dict[str, str]:
    """The files of modules that the module `name` imports by their names, and so on, by dotted name.

    A package above one of them is not among them, though Python runs its `__init__`, which may import all
    there is: it is where something is taken from it that is no module.
    """
    found: dict[str, str] = {}
    pending = _named(imported_names(source, name, package=False), file_of)
    while pending:
        one, file = pending.popitem()
        if one == name or one in found:
            continue
        found[one] = file
        if file.endswith(".py"):
            pending |= _named(_names_in(file, one, _stamp(file)), file_of)
    return found


def _named(names: Collection[str], file_of: Callable[[str], str | None]) -> dict[str, str]:
    """The files of those of the names that are modules, less packages of which only modules are taken."""
    files = {one: file for one in names if (file := file_of(one))}
    taken = {one.rpartition(".")[0] for one in names if one not in files}
    passed = {one.rpartition(".")[0] for one in files} - taken
    return {one: file for one, file in files.items() if one not in passed}


def imported_names(source: bytes, name: str, *, package: bool) -> set[str]:
    """Dotted names that the module `name` imports, and those that `from A import B` may mean."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return set()
    home = name if package else name.rpartition(".")[0]
    nodes = ast.walk(tree) if any(word in source for word in _CALLS) else _statements(tree)
    return {one for node in nodes for one in _names_of(node, home, package) if one}


def _statements(tree: ast.Module) -> Iterator[ast.AST]:
    """All statements, also those within others; to look at the expressions in them takes several times as
    long."""
    pending: list[ast.AST] = [tree]
    while pending:
        node = pending.pop()
        yield node
        for part in ("body", "orelse", "finalbody", "handlers", "cases"):
            pending += getattr(node, part, ())


def module_file(folder: str, name: str) -> str:
    """The file of the module `name` below `folder`; the folder of a package without `__init__.py`, ""
    where there is neither."""
    place = os.path.join(folder, *name.split("."))
    for suffix in importlib.machinery.all_suffixes():
        for file in (os.path.join(place, f"__init__{suffix}"), place + suffix):
            if os.path.isfile(file):
                return file
    return place if os.path.isdir(place) else ""


def _names_of(node: ast.AST, home: str, package: bool) -> Iterator[str]:
    if isinstance(node, ast.Import):
        for alias in node.names:
            yield alias.name
    elif isinstance(node, ast.ImportFrom):
        base = node.module or ""
        if node.level:
            base = ".".join(filter(None, [_up(home, node.level - 1), base]))
        yield base
        for alias in node.names:
            yield f"{base}.{alias.name}".lstrip(".")
    elif isinstance(node, ast.Call) and node.args and _called(node.func).encode() in _CALLS:
        said = node.args[0]
        if isinstance(said, ast.Constant) and isinstance(said.value, str):
            relative = said.value.lstrip(".")
            dots = len(said.value) - len(relative)
            yield ".".join(filter(None, [_up(home, dots - 1), relative])) if dots else relative
    elif package and isinstance(node, ast.Assign) and any(_called(t) == "__all__" for t in node.targets):
        for part in ast.walk(node.value):
            if isinstance(part, ast.Constant) and isinstance(part.value, str):
                yield f"{home}.{part.value}"


def _called(node: ast.expr) -> str:
    return node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""


def _up(package: str, levels: int) -> str:
    return ".".join(package.split(".")[: len(package.split(".")) - levels]) if levels else package


def _parents(name: str) -> list[str]:
    parts = name.split(".")
    return [".".join(parts[:end]) for end in range(1, len(parts))]


def _is_package(file: str) -> bool:
    return os.path.basename(file).startswith("__init__.")


def _stamp(file: str) -> tuple[int, int]:
    """Another one where the file has changed."""
    try:
        seen = os.stat(file)
    except OSError:
        return 0, 0
    return seen.st_mtime_ns, seen.st_size


@lru_cache(maxsize=4096)
def _names_in(file: str, name: str, _: tuple[int, int]) -> frozenset[str]:
    """What the module `name` in a file imports. A run asks several times, of hundreds of files."""
    return frozenset(imported_names(_read(file), name, package=_is_package(file)))


def _read(file: str) -> bytes:
    try:
        with open(file, "rb") as held:
            return held.read()
    except OSError:
        return b""
