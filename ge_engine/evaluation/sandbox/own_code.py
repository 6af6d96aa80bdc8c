"""Code of the user's own: modules that a seed model imports and that are no installed packages."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from ge_engine.evaluation.data.module_loader import FOLDER_NAMES
from ge_engine.evaluation.sandbox import packages
from ge_engine.evaluation.sandbox.import_graph import follow_imports, module_file


@dataclass(slots=True)
class OwnCode:
    """Code beside the seed model, below `root`, or installed in place (PYTHONPATH, `.pth`,
    `pip install -e`)."""

    root: str
    seed: str
    tops: dict[str, list[str]] = field(default_factory=dict)
    """The folders or files of what is installed in place, by module: a name without dots, or with some for a
    part of a package without `__init__.py`."""
    _folders: dict[str, str] = field(default_factory=dict, repr=False)

    def file_of(self, name: str) -> str | None:
        """The file of the module `name`, or the folder of a package without `__init__.py`; "" where the
        user's own code has none, None where it is not the user's own."""
        top = name.partition(".")[0]
        if top not in self._folders:
            self._folders[top] = self._find(top)
        if self._folders[top]:
            return module_file(self._folders[top], name)
        if top not in self.tops and not self._find_part(name):
            return None
        file = self._file_in_place(name)
        shared = any(map(packages.is_installed, packages.places_of(top)))
        return None if shared and (not file or name == top) else file

    @property
    def places(self) -> list[str]:
        """Packages and modules installed in place."""
        return [place for places in self.tops.values() for place in places]

    @property
    def packaged(self) -> list[str]:
        """What may have been installed in place: `places`, and the package that the seed model is a module
        of."""
        package, _, module = self.seed.partition(".")
        return [*self.places, os.path.join(self.root, package)] if module else self.places

    def modules(self) -> dict[str, str]:
        """All modules of the packages installed in place: some import by computed names."""
        return {name: file for top, places in self.tops.items() for name, file in _modules(top, places)}

    @property
    def installed_package(self) -> list[str]:
        """The folder of the installed package that the seed model is a module of; none where it is of no
        such."""
        package, _, module = self.seed.partition(".")
        return (
            [os.path.realpath(os.path.join(self.root, package))] if module and self._among_packages() else []
        )

    def _among_packages(self) -> bool:
        """Whether the seed model is a file of a package that is installed, for this Python or for another, so
        that what lies beside are other packages."""
        root = os.path.realpath(self.root)
        return root in packages.package_folders() or os.path.basename(root) in FOLDER_NAMES

    def _find(self, top: str) -> str:
        """The folder that holds `top`, "" for what is installed, in place or elsewhere."""
        beside = module_file(self.root, top)
        if top == self.seed.partition(".")[0] or (os.path.isfile(beside) and not self._among_packages()):
            return self.root
        if packages.is_library(top):
            return ""
        places = packages.places_of(top)
        if not places and packages.spec_of(top) is None:
            return self.root if beside else self._above(top)
        if mine := [place for place in places if not packages.is_installed(place)]:
            self.tops[top] = mine
        return ""

    def _find_part(self, name: str) -> bool:
        """Whether `name` lies in a package without `__init__.py` that has parts elsewhere, each installed in
        place; these are known from then on."""
        parts = name.split(".")
        for count in range(1, len(parts)):
            above, part = ".".join(parts[:count]), ".".join(parts[: count + 1])
            if part in self.tops:
                return True
            if not packages.is_open(above):  # to look into it would run its code
                return False
            if mine := [place for place in packages.places_of(part) if not packages.is_installed(place)]:
                self.tops[part] = mine
                return True
        return False

    def _file_in_place(self, name: str) -> str:
        for part, places in self.tops.items():
            if name == part or name.startswith(f"{part}."):
                within = name[len(part) + 1 :]
                files = [_module_in(place, within) for place in places]
                if file := next(filter(None, files), ""):
                    return file
        return ""

    def _above(self, top: str) -> str:
        """The working folder or the nearest above the seed model, up to its repository's root, in which a
        module `top` lies: packages there may have no `__init__.py`."""
        above = list(Path(self.root).parents)
        roots = [at for at, folder in enumerate(above) if (folder / ".git").exists()]
        near = above[: roots[0] + 1] if roots and not (Path(self.root) / ".git").exists() else []
        for folder in (os.getcwd(), *map(str, near)):
            if module_file(folder, top):
                return folder
        return ""


def own_modules(source: bytes, root: str, name: str) -> dict[str, str]:
    """The files of the user's own modules that the module `name` below `root` imports, and so on, by dotted
    name; of packages installed in place, all modules."""
    own = OwnCode(root, name)
    found = follow_imports(source, name, own.file_of).files
    return {**own.modules(), **found}


def _module_in(place: str, within: str) -> str:
    """The file of the module `within` the package at `place`; of the package itself for ""."""
    if os.path.isfile(place):
        return "" if within else place
    return module_file(place, within or "__init__") or ("" if within else place)


def _modules(top: str, places: list[str]) -> Iterator[tuple[str, str]]:
    for place in places:
        if os.path.isfile(place):
            yield top, place
            continue
        for file in sorted(Path(place).rglob("*.py")):
            parts = [top, *file.relative_to(place).with_suffix("").parts]
            yield ".".join(parts[:-1] if parts[-1] == "__init__" else parts), str(file)
