"""Installed packages: where they lie, what they need, and what in them is data and no code."""

from __future__ import annotations

import importlib.machinery
import importlib.util
import json
import os
import site
import sys
import sysconfig
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from functools import cache
from importlib import metadata
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from ge_engine.evaluation.data.module_loader import FOLDER_NAMES

_SOURCES = """
py pyi pyc so dylib typed toml yaml yml cfg ini c cc cpp cu cuh h hpp
"""
CODE = frozenset(f".{word}" for word in _SOURCES.split())
"""What a package of the user's own shows of itself."""
_BUNDLED = """
arff bin bmp bz2 csv dat data db dta feather flac gif gz h5 hdf5 idx jpeg jpg jsonl mat mp3 ndjson npy npz
parquet pgm pickle pkl png ppm rda rdata rds sas7bdat sav sqlite sqlite3 svm svmlight tar tif tiff tsv ubyte
wav webp xls xlsx xz zip zst
"""
DATA = frozenset(f".{word}" for word in _BUNDLED.split())
"""What an installed package may bundle as a data set."""
_TESTS = frozenset(["tests", "test", "testing_data", "test_data", "testdata"])


def is_data(name: str) -> bool:
    """Whether a file of an installed package may be a data set."""
    return os.path.splitext(name)[1].lower() in DATA


def is_no_code(name: str) -> bool:
    """Whether a file of the user's own package is something else than code or settings."""
    return os.path.splitext(name)[1].lower() not in CODE


def hidden_in(place: str, hides: Callable[[str], bool]) -> list[str]:
    """Files of the folder `place` whose names `hides` tells, and folders in place of their files where
    nothing else is in them or they hold tests."""
    hidden, _ = _hidden_and_shown(place, hides)
    return hidden


def _hidden_and_shown(folder: str, hides: Callable[[str], bool]) -> tuple[list[str], bool]:
    """What is hidden in `folder`, and whether anything in it is shown. Links to folders are neither."""
    hidden: list[str] = []
    shown = False
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if not entry.is_dir():
                inside, visible = ([entry.path], False) if hides(entry.name) else ([], True)
            elif entry.is_symlink():
                continue
            else:
                inside, visible = _hidden_and_shown(entry.path, hides)
                if inside and (not visible or entry.name in _TESTS):
                    inside, visible = [entry.path], False
            hidden += inside
            shown |= visible
    return hidden, shown


def is_library(name: str) -> bool:
    """Whether the top-level module `name` is Python's own."""
    return name in sys.stdlib_module_names or name in sys.builtin_module_names


def spec_of(name: str) -> importlib.machinery.ModuleSpec | None:
    """Where the top-level module `name` is, without importing it."""
    try:
        return importlib.util.find_spec(name)
    except (ImportError, ValueError):  # such as one that is loaded and has no spec
        return None


def places_of(name: str) -> list[str]:
    """The folders or the file of the top-level module `name`; none for a built-in one."""
    spec = spec_of(name)
    if spec is None:
        return []
    if spec.submodule_search_locations is not None:
        return [os.path.realpath(place) for place in spec.submodule_search_locations if os.path.isdir(place)]
    return [os.path.realpath(spec.origin)] if spec.origin and os.path.isfile(spec.origin) else []


@cache
def package_folders() -> tuple[str, ...]:
    """The folders that packages are installed into, of this Python and on its path."""
    folders = [entry for entry in sys.path if entry.endswith(FOLDER_NAMES)]
    folders += [sysconfig.get_path("purelib"), sysconfig.get_path("platlib"), *site.getsitepackages()]
    return tuple(dict.fromkeys(os.path.realpath(one) for one in folders if os.path.isdir(one)))


def is_installed(place: str) -> bool:
    """Whether a file or folder lies where packages are installed, for this Python or for another, rather than
    among a user's own code."""
    above = Path(place).parents
    return any(place.startswith(folder + os.sep) for folder in package_folders()) or any(
        folder.name in FOLDER_NAMES for folder in above
    )


def is_open(name: str) -> bool:
    """Whether the module `name` is a package without `__init__.py`, which others may add parts to."""
    spec = spec_of(name)
    return spec is not None and spec.submodule_search_locations is not None and spec.origin is None


def in_place(places: Iterable[str]) -> list[metadata.Distribution]:
    """The distributions that were installed in place (PEP 610) from a folder that holds one of `places`."""
    real = [os.path.realpath(place) for place in places]
    return [held for held in metadata.distributions() if any(_below(place, _origin(held)) for place in real)]


def path_files() -> list[str]:
    """The `.pth` files that lead to folders of packages, and run no code: Python reads them as it starts."""
    files = [os.path.join(folder, name) for folder in package_folders() for name in os.listdir(folder)]
    return [file for file in files if file.endswith(".pth") and _leads_to_packages(file)]


def needed(
    names: Iterable[str], required_by: Iterable[metadata.Distribution] = ()
) -> dict[str, metadata.Distribution]:
    """The installed distributions of the top-level modules `names`, and all that those and others require, by
    name."""
    found: dict[str, metadata.Distribution] = {}
    seen: set[tuple[str, str]] = set()
    pending = [(one, "") for name in names for one in _providers(name)]
    pending += [one for held in required_by for one in _requirements(held, "")]
    while pending:
        name, extra = pending.pop()
        key = canonicalize_name(name)
        if (key, extra) in seen:
            continue
        seen.add((key, extra))
        held = found.get(key) or _installed(name)
        if held is not None:
            found[key] = held
            pending += _requirements(held, extra)
    return found


def contents(held: metadata.Distribution) -> Iterator[str]:
    """Paths of what a distribution has put into its folder: packages, modules, libraries, its own record."""
    base = str(held.locate_file(""))
    names = {line.split(",")[0].strip('"') for line in (held.read_text("RECORD") or "").splitlines()}
    tops = {name.partition("/")[0] for name in names} | set((held.read_text("top_level.txt") or "").split())
    for top in sorted(tops - {"", "..", "__pycache__"}):
        path = os.path.join(base, top)
        if os.path.isabs(top):
            continue
        if os.path.exists(path):
            yield path
        elif os.path.exists(path + ".py"):
            yield path + ".py"
    record = getattr(held, "_path", None)
    if record is not None and os.path.exists(record):
        yield str(record)


def _origin(held: metadata.Distribution) -> str:
    """The folder that it was installed in place from, "" for none."""
    try:
        said = json.loads(held.read_text("direct_url.json") or "{}")
        editable = said.get("dir_info", {}).get("editable")
        return os.path.realpath(url2pathname(urlsplit(said["url"]).path)) if editable else ""
    except (ValueError, KeyError, AttributeError, TypeError):
        return ""


def _below(place: str, folder: str) -> bool:
    return bool(folder) and (place == folder or place.startswith(folder.rstrip(os.sep) + os.sep))


def _leads_to_packages(file: str) -> bool:
    try:
        lines = Path(file).read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError):
        return False
    if any(line.startswith(("import ", "import\t")) for line in lines):
        return False
    places = {os.path.realpath(os.path.join(os.path.dirname(file), line.strip())) for line in lines}
    return bool(places & set(package_folders()) - {os.path.realpath(os.path.dirname(file))})


def _requirements(held: metadata.Distribution, extra: str) -> Iterator[tuple[str, str]]:
    for text in held.requires or ():
        wanted = _requirement(text)
        if wanted is not None and (wanted.marker is None or wanted.marker.evaluate({"extra": extra})):
            yield wanted.name, ""
            for further in wanted.extras:
                yield wanted.name, further


@cache
def _requirement(text: str) -> Requirement | None:
    """Read once: a distribution is asked again for each of its extras, and in each evaluation."""
    try:
        return Requirement(text)
    except InvalidRequirement:
        return None


def _providers(name: str) -> list[str]:
    """The distributions that bring the top-level module `name`: most have its name."""
    held = _installed(name)
    if held is not None and any(os.path.basename(path).partition(".")[0] == name for path in contents(held)):
        return [name]
    return _by_module().get(name, [])


@cache
def _by_module() -> dict[str, list[str]]:
    return {name: list(names) for name, names in metadata.packages_distributions().items()}


def _installed(name: str) -> metadata.Distribution | None:
    try:
        return metadata.distribution(name)
    except metadata.PackageNotFoundError:
        return None
