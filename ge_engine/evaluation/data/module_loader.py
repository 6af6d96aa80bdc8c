"""Import a genome's source as the module that its seed model is, from memory.

Nothing is written and no bytecode is cached, so two genomes can never meet in a stale `.pyc`. The
module's name resolves to the genome for every importer: a package whose `__init__` imports the seed model
gets the genome too, and a registry decorator runs once.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import linecache
import os
import re
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

FOLDER_NAMES = ("site-packages", "dist-packages")
"""Folders of installed packages."""
SEED_FILE = "GE_SEED"
"""The environment variable by which a program of the user's knows the seed model's file."""


@dataclass(frozen=True, slots=True)
class ModuleAddress:
    """Where a seed model's module lives: the folder for `sys.path`, its dotted name, its pseudo-file, and the
    files of `modules` that it imports, for a process that cannot list the folders they lie in."""

    root: str
    name: str
    file: str
    modules: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_package(self) -> bool:
        """Whether it is a package by this name, whose file is an `__init__.py`."""
        return os.path.basename(self.file).startswith("__init__.") and not self.name.endswith("__init__")


def module_address(path: Path, digest: str, modules: Mapping[str, str] | None = None) -> ModuleAddress:
    """The address of the module at `path`, inside its package when the folder has an `__init__.py` or is
    among the `modules`.

    The pseudo-file stands beside the seed model, so `__file__` leads to the seed model's neighbours, and
    holds `digest`, so that tracebacks and `inspect.getsource` never show another genome's text.
    """
    path = Path(
        os.path.abspath(path)
    )  # where it lies for its neighbours, also as a link into a store of files
    parts = [path.stem]
    folder = path.parent
    while (folder / "__init__.py").exists() and folder.name.isidentifier():
        parts.insert(0, folder.name)
        folder = folder.parent
    if len(parts) == 1 and (modules or {}).get(folder.name) == str(folder):
        parts.insert(0, folder.name)
        folder = folder.parent
    name = ".".join(parts)
    if len(parts) == 1 and (
        not name.isidentifier() or name in sys.stdlib_module_names or name in sys.modules
    ):
        name = "ge_candidate_" + "".join(c if c.isalnum() else "_" for c in name)
    file = str(path.with_name(f"{path.stem}.{digest[:16]}.py"))
    return ModuleAddress(str(folder), name, file, modules or {})


def namespace_of(path: Path, source: bytes) -> dict[str, str]:
    """The folder of a file with relative imports as a package, which needs no `__init__.py`."""
    folder = Path(os.path.abspath(path)).parent
    return {folder.name: str(folder)} if re.search(rb"^\s*from\s+\.", source, re.MULTILINE) else {}


def import_source(source: bytes, address: ModuleAddress) -> ModuleType:
    """Execute `source` as the module at `address`; whatever the source raises comes out unchanged."""
    supply(source, address)
    sys.meta_path.insert(_after_own_modules(), _file_finder(address.modules))
    if address.root not in sys.path:
        sys.path.insert(_place_on_path(address.root), address.root)
    return importlib.import_module(address.name)


def supply(source: bytes, address: ModuleAddress) -> None:
    """From now on whoever imports the module at `address` gets `source`."""
    stale = sys.modules.pop(address.name, None)
    if stale is not None:
        importlib.invalidate_caches()
    sys.meta_path.insert(0, _genome_finder(source, address))


def load(path: str | Path) -> ModuleType:
    """The module in a candidate's file, as the seed model in whose place it stands: with that one's name,
    neighbours and package, so that relative imports, dataclasses and pickles work. For programs and functions
    that score.

    Whatever the file raises comes out unchanged.
    """
    source = Path(path).read_bytes()
    place = Path(os.environ.get(SEED_FILE) or path)
    digest = hashlib.sha256(source).hexdigest()
    return import_source(source, module_address(place, digest, namespace_of(place, source)))


def _place_on_path(root: str) -> int:
    """The place of a seed model's folder on `sys.path`: behind Python's own library, whose modules no file
    beside a seed model replaces; and behind its packages where the folder holds those of another Python."""
    installed = [at for at, entry in enumerate(sys.path) if entry.endswith(FOLDER_NAMES)]
    before = [] if root.endswith(FOLDER_NAMES) else installed
    return min(before, default=len(sys.path))


class _GenomeLoader(importlib.abc.InspectLoader):
    def __init__(self, source: bytes, address: ModuleAddress) -> None:
        self._source = source
        self._address = address

    def get_source(self, fullname: str) -> str:  # noqa: ARG002
        return importlib.util.decode_source(self._source)

    def get_code(self, fullname: str) -> CodeType:
        text = self.get_source(fullname)
        lines = text.splitlines(keepends=True)
        linecache.cache[self._address.file] = (len(text), None, lines, self._address.file)
        return compile(self._source, self._address.file, "exec", dont_inherit=True)

    def exec_module(self, module: ModuleType) -> None:
        module.__file__ = self._address.file
        exec(self.get_code(module.__name__), module.__dict__)


class _Finder(importlib.abc.MetaPathFinder):
    """Finds the modules that `spec_of` knows by name."""

    def __init__(self, spec_of: Callable[[str], importlib.machinery.ModuleSpec | None]) -> None:
        self._spec_of = spec_of

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None,  # noqa: ARG002
        target: ModuleType | None = None,  # noqa: ARG002
    ) -> importlib.machinery.ModuleSpec | None:
        return self._spec_of(fullname)


def _genome_finder(source: bytes, address: ModuleAddress) -> _Finder:
    loader = _GenomeLoader(source, address)

    def spec_of(name: str) -> importlib.machinery.ModuleSpec | None:
        if name != address.name:
            return None
        spec = importlib.machinery.ModuleSpec(name, loader, origin=address.file)
        if address.is_package:
            spec.submodule_search_locations = [os.path.dirname(address.file)]
        return spec

    return _Finder(spec_of)


def _file_finder(modules: Mapping[str, str]) -> _Finder:
    """Finds the modules of known files, without looking into any folder."""
    return _Finder(lambda name: _file_spec(name, modules[name]) if name in modules else None)


def _file_spec(name: str, place: str) -> importlib.machinery.ModuleSpec | None:
    folder, file = os.path.split(place)
    if os.path.isdir(place):
        spec = importlib.machinery.ModuleSpec(name, None, is_package=True)
        spec.submodule_search_locations = [place]
        return spec
    inside = [folder] if file.startswith("__init__.") else None
    return importlib.util.spec_from_file_location(name, place, submodule_search_locations=inside)


class _ReadableFinder:
    """Another finder, by which a package that may not be read is one that is not installed."""

    def __init__(self, finder: Any, paths: Iterable[str]) -> None:
        self._finder = finder
        self._paths = frozenset(paths)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._finder, name)

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        spec: importlib.machinery.ModuleSpec | None = self._finder.find_spec(fullname, path, target)
        if spec is None or not spec.has_location or not spec.origin or self._is_readable(spec.origin):
            return spec
        return None

    def _is_readable(self, file: str) -> bool:
        path = os.path.realpath(file)
        return path in self._paths or any(str(folder) in self._paths for folder in Path(path).parents)


_BUILT_IN = (importlib.machinery.BuiltinImporter, importlib.machinery.FrozenImporter)


def _after_own_modules() -> int:
    """The place among the finders behind that of genomes and those of modules that are in the interpreter."""
    known = [place for place, finder in enumerate(sys.meta_path) if finder in _BUILT_IN]
    return max(known, default=0) + 1


def see_only(paths: Iterable[str]) -> None:
    """Have Python find only modules that may be read: an installed package that cannot be opened would fail
    with an error that no importer expects."""
    paths = tuple(paths)
    sys.meta_path[:] = [
        finder if finder in _BUILT_IN else _ReadableFinder(finder, paths) for finder in sys.meta_path
    ]


def error_line(error: BaseException, files: Mapping[str, str]) -> str:
    """One sentence for a candidate's exception: type, message, and the deepest line in `files`, pseudo-files
    with the names of those of several."""
    message = " ".join(str(error).split())[:500]
    text = f"{type(error).__name__}: {message}" if message else type(error).__name__
    if isinstance(error, SyntaxError) and (named := files.get(error.filename or "")) is not None:
        return f"{text} (line {error.lineno}{_of(named)})"
    place = ""
    trace = error.__traceback__
    while trace is not None:
        code = trace.tb_frame.f_code
        if code.co_filename in files:
            place = f" (line {trace.tb_lineno}, in {code.co_qualname}{_of(files[code.co_filename])})"
        trace = trace.tb_next
    return text + place


def _of(file: str) -> str:
    return f" of {file}" if file else ""


WARM = ("torch._dynamo", "torch.utils.flop_counter")
"""What a first training imports in addition to torch."""


def preload(names: Iterable[str]) -> None:
    """Import libraries, such as those that the seed model imports, before a training's time counts. What
    fails here fails again, with its own error, in the candidate."""
    for name in names:
        try:
            importlib.import_module(name)
        except Exception as error:
            print(f"not preloaded: {name}: {error}", file=sys.stderr)
