"""Which files a seed model has: the one that builds the model, those named with it, those of its package."""

from __future__ import annotations

import glob
import os
import sys
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path

from ge_engine.entry_block import split_entry
from ge_engine.errors import SeedError
from ge_engine.evaluation.data.candidate_files import module_at
from ge_engine.evaluation.data.module_loader import module_address, namespace_of
from ge_engine.evaluation.sandbox.import_graph import module_file, named_imports
from ge_engine.evaluation.sandbox.own_code import OwnCode
from ge_engine.genome import Genome, Seed
from ge_engine.joint_genome import is_file_name, joined
from ge_engine.source.language import PYTHON, SUFFIXES, language_of
from ge_engine.source.seed_file import read_seed_file


def load_seed(path: str | Path, entry: str = "", also: Sequence[str] = (), *, package: bool = False) -> Seed:
    """Read the files of a seed model. `path` is the file that builds it, or a folder in which `entry` names
    the module that does ("pkg.net:Net"). `also` are further files, as globs; `package` adds those of the same
    package that it imports, as a folder does. Of these, files without anything to evolve are left out.

    Raises:
        SeedError: a file is not there, cannot be read, or is no Python; a pattern matches nothing; a file
            that was named has nothing to evolve; two are one file or one module.
    """
    folder = Path(path)
    inside = folder.is_dir()
    main = Seed.load(_file_in(folder, entry) if inside else _named_by(entry, folder))
    found = {pattern: _matching(pattern) for pattern in also}
    others = [file for files in found.values() for file in files]
    others += companions(main) if package or inside else ()
    named = {_absolute(Path(pattern)) for pattern, files in found.items() if files == [Path(pattern)]}
    return _together(main, others, named)


def load_folder(folder: Path) -> Seed:
    """All Python files of a folder as a seed model to look at, by their places in it, and the YAML files that
    are mappings.

    Raises:
        SeedError: there is none, or one that cannot be read or is no Python.
    """
    files = sorted(folder.rglob("*.py"))
    if not files:
        raise SeedError(f"There is no Python file in the folder {folder}.", "Give a file, or RUN:ID.")
    files += sorted(file for end in SUFFIXES if end != ".py" for file in folder.rglob(f"*{end}"))
    names = names_in(folder, files)
    read = {names[file]: _seen(file) for file in files}
    return joined({name: one for name, one in read.items() if one is not None})


def _seen(file: Path) -> Seed | None:
    """A file to look at; None for one of values that cannot be cut."""
    try:
        return Seed.parsed(read_seed_file(file), file)
    except SeedError:
        if language_of(file) is PYTHON:
            raise
        return None


def companions(main: Seed) -> list[Path]:
    """The files of the same package that a file imports, and that these import; of one that is in no package,
    those below its folder."""
    assert main.path is not None
    path = _absolute(main.path)
    address = module_address(path, "0" * 16, namespace_of(path, main.source))
    own = OwnCode(address.root, address.name)
    package = address.name.rpartition(".")[0]
    home = path.parent if package else Path(address.root)

    def at_home(name: str) -> str | None:
        file = own.file_of(name)
        return file if file and Path(file).is_relative_to(home) else None

    found = named_imports(main.source, address.name, at_home)
    files = {Path(file) for file in found.values() if file.endswith(".py")}
    return sorted(_as_given(file, main.path) for file in files - {path})


def _matching(pattern: str) -> list[Path]:
    if os.path.isfile(pattern):
        return [Path(pattern)]
    found = sorted(glob.glob(pattern, recursive=True))
    files = [Path(file) for file in found if file.endswith(tuple(SUFFIXES))]
    if not files:
        hint = "Give a file, or a glob such as 'pkg/heads/*.py'."
        raise SeedError(f"No Python or YAML file matches {pattern!r} (--also).", hint)
    return files


def _together(main: Seed, others: Iterable[Path], named: Collection[Path]) -> Seed:
    """One seed model, whose files are named by their paths below the folder that holds them all. Those that
    have nothing to evolve are left out, unless they were `named`."""
    assert main.path is not None
    held = {_absolute(main.path): main}
    for path in others:
        if (there := _absolute(path)) not in held:
            held[there] = Seed.parsed(read_seed_file(path), path)
    if len(held) == 1:
        return main
    _refuse_twins({there: one.path or there for there, one in held.items()})
    names = names_below(list(held))
    genomes = joined({names[path]: one for path, one in held.items()}).genome.files
    idle = [path for path in list(held)[1:] if not genomes[names[path]].evolvable]
    if useless := next((path for path in idle if path in named), None):
        reason = _first_reason(genomes[names[useless]])
        raise SeedError(
            f"Nothing in {held[useless].path} can be evolved (--also){reason}.",
            "Leave it out: it is used as it is also where it is not one of the seed model's files.",
        )
    return joined({names[path]: one for path, one in held.items() if path not in idle})


def _first_reason(one: Genome) -> str:
    found = ((block.address, block.reason) for block in one.blocks.values() if block.reason)
    return next((f": {address}, because {reason}" for address, reason in found), "")


def names_below(paths: Sequence[Path]) -> dict[Path, str]:
    """The names of files in addresses: their places below the folder that holds them all.

    Raises:
        SeedError: there is no such folder, or a name could not stand in an address.
    """
    above = Path(os.path.commonpath([path.parent for path in paths]))
    if above == above.parent:
        message = f"{paths[0]} and {paths[-1]} have no folder in common."
        raise SeedError(message, "Put the files of the seed model below one folder.")
    return names_in(above, paths)


def names_in(folder: Path, paths: Sequence[Path]) -> dict[Path, str]:
    """As `names_below`, of files below a folder that is known."""
    names = {path: path.relative_to(folder).as_posix() for path in paths}
    if odd := next((name for name in names.values() if not is_file_name(name)), None):
        raise SeedError(
            f"The file {odd!r} cannot be one of several files of a seed model.",
            f"Rename it: its name ends in {' or '.join(SUFFIXES)}, without colon, backslash and line end.",
        )
    return names


def _refuse_twins(paths: Mapping[Path, Path]) -> None:
    """Refuse files of which one would be loaded in another's place. `paths` are absolute ones, each with what
    it is called, the file that builds the model first."""
    main, *_ = paths
    root = module_address(main, "0" * 16).root
    modules: dict[str, Path] = {}
    real: dict[str, Path] = {}
    for path, name in paths.items():
        if (other := real.setdefault(os.path.realpath(path), name)) != name:
            raise SeedError(f"{other} and {name} are the same file.", "Name it once.")
        if language_of(path) is not PYTHON:
            continue
        module = module_at(path, root) or module_address(path, "0" * 16).name
        if (other := modules.setdefault(module, name)) != name:
            raise SeedError(
                f"{other} and {name} would both be imported as {module}.",
                "Rename one, or put them into packages (folders with an __init__.py).",
            )
        if path != main and module in sys.stdlib_module_names:
            raise SeedError(
                f"{name} has the name of a module of Python's own library, {module}.",
                "Rename it, or put it into a package (a folder with an __init__.py).",
            )


def _as_given(path: Path, main: Path) -> Path:
    """An absolute path as the path of the file that builds the model is told: from the working folder where
    that is."""
    return path if main.is_absolute() else Path(os.path.relpath(path))


def _absolute(path: Path) -> Path:
    return Path(os.path.abspath(path))


def _named_by(entry: str, file: Path) -> Path:
    """The file; refused where the entry names another module."""
    module, _ = split_entry(entry)
    place = _absolute(file).with_suffix("").parts
    place = place[:-1] if place[-1] == "__init__" else place
    if module and file.is_file() and tuple(module.split(".")) != place[-len(module.split(".")) :]:
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
    own = parts[0] == _absolute(folder).name
    if own and len(parts) == 1 and (folder / "__init__.py").is_file():
        return _defining(folder / "__init__.py", module)
    names = [parts, parts[1:]] if own else [parts]
    files = [file for name in names if name and (file := module_file(str(folder), ".".join(name)))]
    found = next((Path(file) for file in files if file.endswith(".py")), None)
    if found is None:
        raise SeedError(f"There is no module {module} in {folder}.", "Name one of its modules in --entry.")
    return found


def _defining(file: Path, package: str) -> Path:
    """The file of a package; refused where it defines nothing."""
    if not Seed.parsed(read_seed_file(file), file).genome.evolvable:
        raise SeedError(
            f"The entry names the package {package}, and {file} defines no model.",
            f"Name the module that defines it, as {package}.net:Net.",
        )
    return file
