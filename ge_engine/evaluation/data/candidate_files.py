"""The files of a candidate: whoever imports or opens one as its original is gets that."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType

from ge_engine.evaluation.data.given_files import ValueFile, give
from ge_engine.evaluation.data.module_loader import (
    FOLDER_NAMES,
    ModuleAddress,
    import_source,
    module_address,
    supply,
)
from ge_engine.evaluation.data.registries import withdraw
from ge_engine.source.yaml_tree import is_yaml


@dataclass(frozen=True, slots=True)
class CandidateFile:
    """One file of code: its name in addresses ("" for the only one), its source, and the modules that it is,
    of which the first is usual."""

    name: str
    source: bytes
    modules: tuple[ModuleAddress, ...]

    @property
    def address(self) -> ModuleAddress:
        return self.modules[0]


@dataclass(frozen=True, slots=True)
class Candidate:
    """The files of one genome: those of code, of which the first builds the model, and those of values, which
    the code opens."""

    code: tuple[CandidateFile, ...]
    values: tuple[ValueFile, ...] = ()

    @property
    def main(self) -> ModuleAddress:
        """The module that builds the model."""
        return self.code[0].address


def candidate_files(
    sources: Mapping[str, bytes], paths: Mapping[str, str], digest: str, modules: Mapping[str, str]
) -> Candidate:
    """The files by name, at the paths of their originals, the one that builds the model first. `modules` are
    files by the dotted names under which the seed model imports them."""
    (main, source), *others = sources.items()
    address = module_address(Path(paths[main]), digest, modules)
    first = CandidateFile(main, source, (address,))
    rest = (
        CandidateFile(name, text, _addresses(Path(paths[name]), digest, address))
        for name, text in others
        if not is_yaml(paths[name])
    )
    values = (ValueFile(name, text, paths[name]) for name, text in others if is_yaml(paths[name]))
    return Candidate((first, *rest), tuple(values))


def import_files(candidate: Candidate) -> ModuleType:
    """The module that builds the model, executed; whatever a file raises comes out unchanged. The files of
    values are given from now on, until another candidate's are."""
    give(candidate.values)
    files = candidate.code
    first, *others = files
    withdraw({address.name for one in files for address in one.modules}, first.address.modules)
    if others or candidate.values:
        _forget(files)
    for one in others:
        for address in one.modules:
            supply(one.source, address)
    return import_source(first.source, first.address)


def _addresses(path: Path, digest: str, main: ModuleAddress) -> tuple[ModuleAddress, ...]:
    """The modules that a file is: by the names under which it is imported; else by its place."""
    path = Path(os.path.abspath(path))
    names = [name for name, file in main.modules.items() if os.path.abspath(file) == str(path)]
    if not names and (place := module_at(path, main.root)):
        names = [place]
    alone = module_address(path, digest, main.modules)
    return tuple(replace(alone, root=main.root, name=name) for name in names) or (alone,)


def module_at(path: Path, root: str) -> str:
    """The dotted name of the module that the file at an absolute path is for one who imports from the folder
    `root`; "" for a file elsewhere."""
    if not path.is_relative_to(root):
        return ""
    parts = path.relative_to(root).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _forget(files: Sequence[CandidateFile]) -> None:
    """Drop what an earlier candidate of this process has left: its modules, and modules of the user's own
    that may hold something of them."""
    root = files[0].address.root
    names = {address.name for one in files for address in one.modules}
    if os.path.basename(root) not in FOLDER_NAMES:
        tops = {name.partition(".")[0] for name in names if "." in name}
        names |= {name for name in sys.modules if name.partition(".")[0] in tops}
        names |= set(files[0].address.modules)
    for name in names:
        old = sys.modules.pop(name, None)
        above, _, last = name.rpartition(".")
        package = sys.modules.get(above)
        if old is not None and getattr(package, last, None) is old:
            delattr(package, last)
