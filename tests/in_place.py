"""Packages installed in place (`pip install -e`, `.pth`), in a virtual environment of their own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
import venv
from collections.abc import Mapping
from pathlib import Path
from zipfile import ZipFile

ROOT = Path(__file__).parents[1]
_BUILD = """\
import sys, setuptools.build_meta as backend
print(backend.build_editable(sys.argv[1], {"editable_mode": sys.argv[2]} if sys.argv[2] else None))
"""


def environment(folder: Path, lines: tuple[str, ...] = ()) -> Path:
    """The Python of a new virtual environment in `folder`, which has what this one has by a `.pth` file, and
    what other `lines` of that add."""
    venv.create(folder, symlinks=True)
    python = folder / "bin" / "python"
    here = sysconfig.get_path("purelib")
    (packages_of(python) / "there.pth").write_text("\n".join([here, str(ROOT)]) + "\n")
    (packages_of(python) / "mine.pth").write_text("\n".join(lines) + "\n")
    for file in Path(here).glob("__editable__*ge_engine*"):  # no folder's name is that of our plugins
        (packages_of(python) / file.name).write_bytes(file.read_bytes())
    return python


def packages_of(python: Path) -> Path:
    [found] = python.parents[1].glob("lib/python*/site-packages")
    return found


def install_in_place(python: Path, project: Path, settings: str, mode: str = "") -> None:
    """`pip install -e`: the wheel that setuptools makes of `project`, with the `settings` of its
    `[tool.setuptools]`, unpacked."""
    name = project.name.replace("_", "-")
    (project / "pyproject.toml").write_text(
        '[build-system]\nrequires = ["setuptools"]\nbuild-backend = "setuptools.build_meta"\n'
        f'[project]\nname = "{name}"\nversion = "1.0"\n[tool.setuptools]\n{settings}'
    )
    wheels = project.parent / f"{project.name}-wheel"
    wheels.mkdir()
    subprocess.run(
        [sys.executable, "-c", _BUILD, str(wheels), mode], cwd=project, check=True, capture_output=True
    )
    [wheel] = wheels.glob("*.whl")
    with ZipFile(wheel) as opened:
        opened.extractall(packages_of(python))
    origin = {"url": project.as_uri(), "dir_info": {"editable": True}}
    record = packages_of(python) / f"{project.name}-1.0.dist-info"
    (record / "direct_url.json").write_text(json.dumps(origin))


def lay(folder: Path, files: Mapping[str, str]) -> Path:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


def run_in(python: Path, script: str, *words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return subprocess.run(
        [str(python), "-c", script, *words], env=kept, cwd=cwd, capture_output=True, text=True, check=False
    )
