"""The user's own code that a model is built from, as files that are found below one folder."""

from __future__ import annotations

import importlib.machinery
import json
import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ge_engine.evaluation.data.candidate_files import CandidateFile, candidate_files
from ge_engine.evaluation.protocol import claims
from ge_engine.evaluation.protocol.messages import SessionSpec
from ge_engine.evaluation.sandbox import packages
from ge_engine.evaluation.sandbox.readable import BASE
from ge_engine.source.addresses import is_below

CODE = "code.json"
"""What a run keeps it as, beside the weights."""


@dataclass(frozen=True, slots=True)
class ModelCode:
    """`module` is the dotted name of the module that builds the model, "" where that is a single file which
    imports and opens nothing else of the user's own. `places` are the paths of each evolved file by its name
    in addresses, `neighbours` what the others hold, by their paths. Paths have "/" and lie below a folder;
    modules lie below `folder` in it, "" unless a file that they open lies above the modules."""

    module: str = ""
    places: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    neighbours: Mapping[str, bytes] = field(default_factory=dict)
    folder: str = ""

    def fits(self, names: Collection[str]) -> bool:
        """Whether it is around evolved files of these names."""
        return set(names) == (self.places.keys() if self.module else {""})

    def files(self, sources: Mapping[str, bytes]) -> dict[str, bytes]:
        """All files by their paths, with `sources`, by name, as the evolved ones."""
        evolved = {path: sources[name] for name, paths in self.places.items() for path in paths}
        return {**self.neighbours, **evolved}

    def as_json(self) -> bytes:
        """Equal for equal code."""
        held = {
            "module": self.module,
            "places": {name: list(paths) for name, paths in self.places.items()},
            "neighbours": {path: content.decode("latin-1") for path, content in self.neighbours.items()},
        }
        held |= {"folder": self.folder} if self.folder else {}
        return json.dumps(held, indent=1, sort_keys=True).encode()

    @classmethod
    def from_json(cls, data: bytes) -> ModelCode:
        """Raises ValueError or TypeError: it is none, or has a path that leads elsewhere."""
        held = claims.parsed(data)
        if held.keys() | {"folder"} != cls.__dataclass_fields__.keys():
            raise ValueError("other fields than those of a model's code")
        places = {name: tuple(map(_below, paths)) for name, paths in _named(held["places"], list)}
        neighbours = {_below(path): text.encode("latin-1") for path, text in _named(held["neighbours"], str)}
        module = claims.text(held["module"])
        if bool(module) != bool(places):
            raise ValueError("a module without files, or files without a module")
        return cls(module, places, neighbours, _below(held["folder"]) if "folder" in held else "")


ALONE = ModelCode()
"""Of a file that needs no other of the user's own."""


def model_code(session: SessionSpec) -> ModelCode:
    """The code that the session's networks are built from, with the neighbours as they are now. One that
    cannot be read is left out: its import fails with its own error."""
    evolved = candidate_files(dict.fromkeys(session.files, b""), session.files, "", session.modules)
    root = evolved.main.root
    top, folder = _above(root, [one.path for one in evolved.values])
    neighbours = dict(_neighbours(session, folder))
    module = evolved.main.name
    if len(session.files) == 1 and not neighbours and "." not in module:
        return ALONE
    places = {one.name: tuple(_places(one, session.files[one.name], folder)) for one in evolved.code}
    places |= {one.name: (Path(os.path.relpath(one.path, top)).as_posix(),) for one in evolved.values}
    return ModelCode(module, places, neighbours, folder)


def _above(root: str, files: Sequence[str]) -> tuple[str, str]:
    """The folder that holds the modules below `root` and the files, and the place of `root` in it."""
    top = os.path.commonpath([root, *map(os.path.dirname, files)])
    return top, "" if top == root else Path(os.path.relpath(root, top)).as_posix()


def _places(one: CandidateFile, file: str, folder: str) -> Iterator[str]:
    """The places of a file, without those of names that nobody can import."""
    return filter(is_below, (_place(address.name, file, folder) for address in one.modules))


def _neighbours(session: SessionSpec, folder: str) -> Iterator[tuple[str, bytes]]:
    """Path and content of each module of the user's own that is not evolved; a package without `__init__.py`
    gets an empty one, lest an installed package of its name comes before it. Modules lie below `folder`."""
    own = {os.path.abspath(path) for path in session.files.values()}
    for name, file in session.modules.items():
        open_package = os.path.isdir(file)
        place = _place(name, os.path.join(file, "__init__.py") if open_package else file, folder)
        if os.path.abspath(file) in own or _is_needed_anyway(name, file) or not is_below(place):
            continue
        content = b"" if open_package else _read(file)
        if content is not None:
            yield place, content


def _is_needed_anyway(name: str, file: str) -> bool:
    """Whether a module is of a package that has to be installed where the model is used: it is so here, or
    the script beside the model takes it."""
    places = packages.package_folders()
    real = os.path.realpath(file)
    return name.partition(".")[0] in BASE or any(real.startswith(place + os.sep) for place in places)


def _place(name: str, file: str, folder: str) -> str:
    """Where Python finds the module `name` that lies in `file`: "pkg.net" as "pkg/net.py", below `folder`."""
    base = os.path.basename(file)
    suffix = next((one for one in importlib.machinery.all_suffixes() if base.endswith(one)), ".py")
    package = base == f"__init__{suffix}" and not name.endswith("__init__")
    above = folder.split("/") if folder else []
    return "/".join([*above, *name.split("."), *(["__init__"] if package else [])]) + suffix


def _read(file: str) -> bytes | None:
    try:
        with open(file, "rb") as held:
            return held.read()
    except OSError:
        return None


def _below(path: Any) -> str:
    if not isinstance(path, str) or not is_below(path):
        raise ValueError("a path that leads elsewhere")
    return path


def _named(value: Any, kind: type) -> list[tuple[str, Any]]:
    """The pairs of an object whose values are all of `kind`."""
    pairs = list(claims.mapping(value).items())
    if not all(isinstance(one, kind) for _, one in pairs):
        raise TypeError(f"values of type {kind.__name__} expected")
    return pairs
