"""What a candidate may read: files that its seed model imports, the packages these need, and Python.

Landlock can only allow, so a folder of which something is to stay hidden is allowed by its entries.
bubblewrap shows folders and covers what is to stay hidden.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from pathlib import Path

from ge_engine.errors import ConfigError
from ge_engine.evaluation.data.module_loader import ModuleAddress
from ge_engine.evaluation.sandbox import packages, system_paths
from ge_engine.evaluation.sandbox.import_graph import follow_imports
from ge_engine.evaluation.sandbox.own_code import OwnCode

BASE = ("torch", "torchvision", "numpy", "accelerate", "safetensors")
"""What a training imports itself, or may be asked for by any candidate."""
ENGINE = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, slots=True)
class Readable:
    """`places` are files and folders without what is `hidden` in them; in those that are `listed` the names
    of all files are to be seen, as Python's import needs. `modules` are files by the dotted names under which
    a seed model imports them: where a folder is not to be listed, nobody finds them otherwise."""

    places: tuple[str, ...]
    hidden: tuple[str, ...]
    listed: tuple[str, ...]
    modules: Mapping[str, str]

    def paths(self) -> tuple[str, ...]:
        """The places, those of which something is hidden by their entries."""
        covered = set(self.hidden)
        parents = {str(parent) for path in covered for parent in Path(path).parents}
        return tuple(
            dict.fromkeys(path for place in self.places for path in _spread(place, covered, parents))
        )


def readable_files(
    source: bytes,
    address: ModuleAddress,
    private: Iterable[Path],
    gpu: bool,
    others: Iterable[tuple[bytes, str]] = (),
    opened: Iterable[str] = (),
) -> Readable:
    """What candidates of the seed model `source` may read; `others` are source and module of its other files,
    whoever imports them, `opened` paths of those that its code opens. Of `private` files and folders, such
    as the task's images and the run's own, they read nothing but the modules that the seed model imports, and
    what is `opened`. An installed package that the seed model is a module of is shown as those are that it
    needs.

    Raises:
        ConfigError: a private folder is itself one of those that candidates need.
    """
    own = OwnCode(address.root, address.name)
    found = follow_imports(source, address.name, own.file_of, others)
    modules = {**own.modules(), **found.files}
    installed = _installed_places(found.outside, packages.in_place(own.packaged))
    home = own.installed_package
    general = _existing([*system_paths.system_places(gpu), *system_paths.python_places(), *installed, *home])
    files = [path for path in (*found.files.values(), *opened) if os.path.isfile(path)]
    files = [path for path in files if not any(_inside(os.path.realpath(path), place) for place in home)]
    shown = [path for path in files if any(_inside(path, place) for place in own.places)]
    links = [path for path in files if os.path.islink(path) and path not in shown]
    targets = [os.path.realpath(path) for path in own.modules().values() if os.path.islink(path)]
    mine = [str(ENGINE), *own.places, *files, *targets]
    places = [*general, *_existing(system_paths.libraries_on_path()), *mine]
    hidden = [path for place in general for path in _hidden_in(place)]
    hidden += [path for place in own.places for path in _not_code(place)]
    hidden += _covered([path.resolve() for path in private], general, own.places, files)
    return Readable(
        places=tuple(dict.fromkeys([*map(os.path.realpath, places), *links])),
        hidden=tuple(dict.fromkeys(hidden)),
        listed=(*packages.package_folders(), *system_paths.library_folders(), *home),
        modules=modules,
    )


def _installed_places(names: Iterable[str], in_place: Sequence[metadata.Distribution] = ()) -> Iterator[str]:
    """What the modules `names` and the distributions installed `in_place` need, and what these put among
    packages: their records and what leads to their code."""
    for held in (*in_place, *packages.needed([*BASE, *sorted(names)], in_place).values()):
        yield from packages.contents(held)
    for name in BASE:
        yield from packages.places_of(name)
    for name in sorted(names):
        yield from filter(packages.is_installed, packages.places_of(name))
    yield from packages.path_files()
    for held in metadata.distributions(name="ge-engine"):  # its checkout may hold a record of its own
        if os.path.realpath(str(held.locate_file(""))) in packages.package_folders():
            yield from packages.contents(held)


def _existing(places: Iterable[str]) -> list[str]:
    """Those that are there, resolved, each once."""
    return list(dict.fromkeys(os.path.realpath(place) for place in places if os.path.exists(place)))


@cache
def _hidden_in(place: str) -> tuple[str, ...]:
    """Data in an installed package, and what does not belong to a folder of libraries."""
    if packages.is_installed(place):
        return tuple(packages.hidden_in(place, packages.is_data)) if os.path.isdir(place) else ()
    return tuple(system_paths.foreign_in(place)) if os.path.isdir(place) else ()


def _not_code(place: str) -> list[str]:
    return packages.hidden_in(place, packages.is_no_code) if os.path.isdir(place) else []


def _covered(
    private: Sequence[Path], general: Sequence[str], own: Sequence[str], files: Sequence[str]
) -> Iterator[str]:
    """The private paths that lie in a place. Of code of the user's own, only code is shown in any case: what
    holds a module that the seed model imports is shown with that."""
    for path in map(str, private):
        for place in general:
            if path == place:
                raise ConfigError(
                    f"{path} holds data of this run, and every candidate must be able to read it.",
                    "Give the task's data or the run a folder of its own, outside the system and Python.",
                )
            if _inside(path, place):
                yield path
        if any(_inside(path, place) for place in own) and not any(_inside(file, path) for file in files):
            yield path


def _inside(path: str, place: str) -> bool:
    return path.startswith(place.rstrip(os.sep) + os.sep)


def _spread(place: str, hidden: set[str], parents: set[str]) -> Iterator[str]:
    """`place`, or its entries where something in it is hidden. A link is left out: it would open what it
    leads to."""
    pending = [place]
    while pending:
        path = pending.pop()
        if path in hidden and path != place:
            continue
        if path not in parents or not os.path.isdir(path):
            yield path
            continue
        with os.scandir(path) as entries:
            pending += [entry.path for entry in entries if not entry.is_symlink()]
