"""Which files a seed model has: the one that builds the model, those named with it, those of its package."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from ge_engine.entry_block import split_entry
from ge_engine.errors import SeedError
from ge_engine.evaluation.data.module_loader import module_address, namespace_of
from ge_engine.evaluation.sandbox.import_graph import module_file, named_imports
from ge_engine.evaluation.sandbox.own_code import OwnCode
from ge_engine.genome import Seed, read_seed_file
from ge_engine.joint_genome import is_file_name, joined


def load_seed(path: str | Path, entry: str = "", also: Sequence[str] = (), *, package: bool = False) -> Seed:
    """Read the files of a seed model. `path` is the file that builds it, or a folder in which `entry` names
    the module that does ("pkg.net:Net"). `also` are further files, as globs; `package` adds those of the same
    package that it imports, as a folder does. Files without anything to evolve are left out.

    Raises:
        SeedError: a file is not there, cannot be read, or is no Python; a pattern matches nothing.
    """
    folder = Path(path)
    if not folder.is_dir():
        main = Seed.load(_named_by(entry, folder))
        return _together(main, _also(main, also, package))
    file = _file_in(folder, entry)
    main = Seed.load(file)
    return _together(main, _also(main, also, package=True))


def companions(main: Seed) -> list[Path]:
    """The files of the same package that a file imports, and that these import; of one that is in no package,
    those below its folder."""
    assert main.path is not None
    path = Path(os.path.abspath(main.path))
    address = module_address(path, "0" * 16, namespace_of(path, main.source))
    own = OwnCode(address.root, address.name)
    package = address.name.rpartition(".")[0]
    home = path.parent if package else Path(address.root)

    def at_home(name: str) -> str | None:
        file = own.file_of(name)
        return file if file and Path(file).is_relative_to(home) else None

    found = named_imports(main.source, address.name, at_home)
    return sorted({Path(file) for file in found.values() if file.endswith(".py")} - {path})


def _also(main: Seed, patterns: Iterable[str], package: bool) -> list[Path]:
    """The further files."""
    named = [file for pattern in patterns for file in _matching(pattern)]
    return [*named, *(companions(main) if package else ())]


def _matching(pattern: str) -> list[Path]:
    if os.path.isfile(pattern):
        return [Path(pattern)]
    files = [Path(file) for file in sorted(glob.glob(pattern, recursive=True)) if file.endswith(".py")]
    if not files:
        hint = "Give a file, or a glob such as 'pkg/heads/*.py'."
        raise SeedError(f"No Python file matches {pattern!r} (--also).", hint)
    return files


def _together(main: Seed, others: Iterable[Path]) -> Seed:
    """One seed model, whose files are named by their paths below the folder that holds them all."""
    assert main.path is not None
    held = {Path(os.path.abspath(main.path)): main}
    for path in map(Path, map(os.path.abspath, others)):
        if path not in held:
            held[path] = Seed.parsed(read_seed_file(path), path)
    above = Path(os.path.commonpath([path.parent for path in held]))
    named = {path.relative_to(above).as_posix(): one for path, one in held.items()}
    if odd := next((name for name in named if len(named) > 1 and not is_file_name(name)), None):
        raise SeedError(f"The file {odd!r} cannot be part of a seed model of several files.", "Rename it.")
    return _worth(joined(named))


def _worth(seed: Seed) -> Seed:
    """The seed model less the files that have nothing to evolve."""
    first, *others = seed.files
    held = [first, *(name for name in others if seed.genome.files[name].evolvable)]
    return seed if len(held) == len(seed.files) else joined({name: seed.files[name] for name in held})


def _named_by(entry: str, file: Path) -> Path:
    """The file; refused where the entry names another module."""
    module, _ = split_entry(entry)
    if module and file.is_file() and module.rpartition(".")[2] != file.stem:
        raise SeedError(
            f"The entry names the module {module}, and the seed model is {file}.",
            "Give the file that builds the model, or the folder of its package.",
        )
    return file


def _file_in(folder: Path, entry: str) -> Path:
    """The file of the module that the entry names in a folder, whose own name the module's may begin with."""
    module, _ = split_entry(entry)
    if not module:
        raise SeedError(
            f"{folder} is a folder, and nothing says which of its files builds the model.",
            f"Name it in --entry, as {folder.name}.net:Net for the class Net of {folder / 'net.py'}; or give "
            "the file, and --package.",
        )
    parts = module.split(".")
    names = [parts, parts[1:]] if parts[0] == Path(os.path.abspath(folder)).name else [parts]
    files = [file for name in names if name and (file := module_file(str(folder), ".".join(name)))]
    found = next((Path(file) for file in files if file.endswith(".py")), None)
    if found is None:
        raise SeedError(f"There is no module {module} in {folder}.", "Name one of its modules in --entry.")
    return found
