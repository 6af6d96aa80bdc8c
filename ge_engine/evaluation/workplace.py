"""Where a program finds a candidate's file: alone in a folder, or at its place in a tree of a project."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from ge_engine.config import RunConfig
from ge_engine.errors import ConfigError
from ge_engine.evaluation.data.module_loader import module_address
from ge_engine.evaluation.project_tree import lay_tree
from ge_engine.evaluation.sandbox.kept_folder import keeping
from ge_engine.evaluation.sandbox.removal import remove_tree

OWN_FOLDER = "{folder}"


class Workplace(ABC):
    """What a program is started with. `folder` is each time one job's own, which is deleted after it."""

    @abstractmethod
    def file(self, folder: Path) -> Path:
        """The candidate's file."""

    @abstractmethod
    def files(self, folder: Path) -> Mapping[str, Path]:
        """The candidate's files by name, the one that builds the model first."""

    @abstractmethod
    def lay(self, folder: Path, sources: Mapping[str, bytes]) -> None:
        """Put a candidate's files there, by name, and nothing of one before."""

    @abstractmethod
    def workdir(self, folder: Path) -> str:
        """The folder that the program runs in."""

    @abstractmethod
    def results(self, folder: Path) -> Path:
        """The folder below which the program leaves a file of figures."""

    @abstractmethod
    def places(self, folder: Path, inherited: Sequence[str]) -> list[str]:
        """Where Python looks for modules: PYTHONPATH, `inherited` from the user."""

    @abstractmethod
    def seed_file(self, folder: Path) -> str:
        """The file in whose place `ge_engine.load` puts the candidate."""

    @abstractmethod
    def guarded(self, command: Sequence[str], folder: Path) -> list[str]:
        """`command`, which may change no more of the user's than it has to."""

    @property
    def readable(self) -> Sequence[str]:
        """Folders that the program reads besides, in a sandbox that hides those around them."""
        return ()


@dataclass(frozen=True, slots=True)
class OwnFile(Workplace):
    """The candidate's file lies alone in the job's folder; the program runs in a folder of the user's."""

    seed: Path
    asked: str

    def file(self, folder: Path) -> Path:
        return folder / self.seed.name

    def files(self, folder: Path) -> Mapping[str, Path]:
        return {"": self.file(folder)}

    def lay(self, folder: Path, sources: Mapping[str, bytes]) -> None:
        (source,) = sources.values()
        self.file(folder).write_bytes(source)

    def workdir(self, folder: Path) -> str:
        return os.path.abspath(self.asked.replace(OWN_FOLDER, str(folder)))

    def results(self, folder: Path) -> Path:
        return folder

    def places(self, folder: Path, inherited: Sequence[str]) -> list[str]:  # noqa: ARG002
        return [os.path.dirname(os.path.abspath(self.seed)), os.getcwd(), *inherited]

    def seed_file(self, folder: Path) -> str:  # noqa: ARG002
        return os.path.abspath(self.seed)

    def guarded(self, command: Sequence[str], folder: Path) -> list[str]:  # noqa: ARG002
        return list(command)


@dataclass(frozen=True, slots=True)
class InProject(Workplace):
    """The program runs in a tree of `project` (a path without links), the candidate's files at `placed` of it
    by name, the one that builds the model first. `written` is where the program leaves its figures, `kept` a
    folder that no tree is to hold."""

    project: Path
    placed: Mapping[str, PurePosixPath]
    asked: str
    written: tuple[PurePosixPath, ...]
    kept: Path

    def _tree(self, folder: Path) -> Path:
        return folder / "project"

    def file(self, folder: Path) -> Path:
        return self._tree(folder) / self.place

    def files(self, folder: Path) -> Mapping[str, Path]:
        return {name: self._tree(folder) / place for name, place in self.placed.items()}

    @property
    def place(self) -> PurePosixPath:
        return next(iter(self.placed.values()))

    def lay(self, folder: Path, sources: Mapping[str, bytes]) -> None:
        remove_tree(self._tree(folder))
        evolved = {self.placed[name]: source for name, source in sources.items()}
        lay_tree(self.project, self._tree(folder), evolved, self.written, (self.kept,))

    def workdir(self, folder: Path) -> str:
        return os.path.normpath(self._tree(folder) / self.asked.replace(OWN_FOLDER, str(folder)))

    def results(self, folder: Path) -> Path:
        return self._tree(folder)

    def places(self, folder: Path, inherited: Sequence[str]) -> list[str]:
        """The tree, the folder in it from which the candidate's package is imported, and what is `inherited`,
        in the tree where that lies in the project."""
        tree = self._tree(folder)
        package = module_address(self.project / self.place, "").root
        return list(dict.fromkeys([str(tree), *(self._in_tree(tree, one) for one in (package, *inherited))]))

    def _in_tree(self, tree: Path, path: str) -> str:
        real = Path(os.path.realpath(path))
        return str(tree / real.relative_to(self.project)) if real.is_relative_to(self.project) else path

    def seed_file(self, folder: Path) -> str:
        return str(self.file(folder))

    def guarded(self, command: Sequence[str], folder: Path) -> list[str]:
        return keeping(str(self.project), str(folder), command)

    @property
    def readable(self) -> Sequence[str]:
        return (str(self.project),)


def workplace_of(
    config: RunConfig, seed: Mapping[str, Path | None], scratch: Path, written: PurePosixPath | None
) -> Workplace:
    """Where the programs of a run find its candidates. `seed` are the paths of the seed model's files by
    name, the one that builds the model first; `scratch` is where their folders are made, `written` the file
    that they leave their figures in.

    Raises:
        ConfigError: there is no folder `workdir`, or no project in which the seed model has a place; several
            files without a project.
    """
    if not config.project and len(seed) > 1:
        raise ConfigError(
            "A seed model of several files is scored by a program in a tree of their project.",
            "Give the folder that holds them, from which the program imports them: --project DIR.",
        )
    if not config.project:
        if OWN_FOLDER not in config.workdir and not os.path.isdir(config.workdir):
            raise ConfigError(
                f"There is no folder {config.workdir!r} to run the program in.", "See --workdir."
            )
        return OwnFile(next(iter(seed.values())) or Path("seed.py"), config.workdir)
    project = Path(os.path.realpath(os.path.expanduser(config.project)))
    if not project.is_dir():
        raise ConfigError(
            f"There is no folder {config.project!r} to take as the project.",
            "Give the folder of the program's repository: --project DIR.",
        )
    placed = {name: _place_in(project, path, config.project) for name, path in seed.items()}
    _require_workdir(config, project)
    return InProject(project, placed, config.workdir, (written,) if written else (), scratch)


def _place_in(project: Path, seed: Path | None, named: str) -> PurePosixPath:
    if seed is None:
        raise ConfigError(
            f"The seed model's file is not as the run began with it, and has no place in {named!r}.",
            "Put it back at the path that it had.",
        )
    folder = os.path.realpath(seed.absolute().parent)  # the file itself may be a link out of the project
    if not Path(folder).is_relative_to(project):
        raise ConfigError(
            f"The seed model {seed} does not lie in the project {named!r}.",
            "Give a folder above it: --project DIR.",
        )
    return PurePosixPath(Path(folder).relative_to(project) / seed.name)


def _require_workdir(config: RunConfig, project: Path) -> None:
    asked = PurePosixPath(config.workdir)
    if OWN_FOLDER in config.workdir:
        return
    if asked.is_absolute() or ".." in asked.parts or not (project / asked).is_dir():
        raise ConfigError(
            f"There is no folder {config.workdir!r} in the project {config.project!r} to run the program in.",
            "Give --workdir as a path from the project's folder, or leave it out to run there.",
        )
