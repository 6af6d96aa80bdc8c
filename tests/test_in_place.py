"""Packages of the user's own, installed in place in every way there is, in every sandbox."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.hostile.modes import MODES
from tests.in_place import environment, install_in_place, lay, packages_of, run_in

SRC = 'package-dir = {"" = "src"}\n'
NAMES = "by_path by_line versioned renamed single strict open_.mine open_.installed apart.part"
IMPORTS = "".join(f"import {name}\n" for name in NAMES.split())
KEEPS = {
    "plain/by_path/__init__.py": "from .deep import x\n",
    "plain/by_path/deep.py": "x = 1\n",
    "line/by_line.py": "x = 1\n",
    "versioned/src/versioned/__init__.py": (
        "from importlib.metadata import version\n"
        "from importlib.resources import files\n"
        "assert version('versioned') == '1.0'\n"
        "assert files(__name__).joinpath('settings.yaml').read_text()\n"
    ),
    "versioned/src/versioned/settings.yaml": "a: 1\n",
    "renamed/lib/__init__.py": (
        "import importlib, scipy\nfor part in ['core']:\n    importlib.import_module(f'{__name__}.{part}')\n"
    ),
    "renamed/lib/core.py": "import single\n",
    "single/single.py": "x = 1\n",
    "strict/src/strict/__init__.py": "import importlib\nimportlib.import_module('strict.' + 'late')\n",
    "strict/src/strict/late.py": "x = 1\n",
    "open/src/open_/mine/__init__.py": "x = 1\n",
    "apart/code/part/__init__.py": "x = 1\n",
}
HIDDEN = {
    **{
        f"{project}/secret.txt": "x"
        for project in ("plain", "line", "versioned", "renamed", "single", "open")
    },
    "plain/other.py": "x = 1\n",
    "single/other.py": "x = 1\n",
    "apart/code/other.py": "x = 1\n",
    "versioned/src/versioned/labels.csv": "1\n",
    "strict/secret.txt": "x",
    "apart/secret.txt": "x",
}
READABLE = """\
import json, sys
from pathlib import Path
from ge_engine.evaluation.data.module_loader import module_address
from ge_engine.evaluation.sandbox import packages
from ge_engine.evaluation.sandbox.readable import readable_files
seed = Path(sys.argv[1])
found = readable_files(seed.read_bytes(), module_address(seed, "0" * 64), [], gpu=False)
allowed = set(found.paths())
wanted = [*map(Path, sys.argv[2:]), Path(packages.places_of("scipy")[0], "__init__.py")]
print(json.dumps([bool(allowed & {*map(str, file.parents), str(file)}) for file in wanted]))
"""
IMPORTING = """\
import importlib, json, sys
from ge_engine.evaluation.data import module_loader
from ge_engine.evaluation.sandbox import landlock
modules, names, readable, listed = json.loads(sys.argv[1])
if listed is not None:
    module_loader.see_only(readable)
    landlock.restrict_files(readable, [], listed)
sys.meta_path.insert(module_loader._after_own_modules(), module_loader._file_finder(modules))
for path in sys.argv[2:]:
    try:
        open(path).close()
    except OSError:
        continue
    raise SystemExit(f"{path} can be read")
for name in names:
    importlib.import_module(name)
print("imported")
"""
CONFINED = """\
import json, subprocess, sys
from pathlib import Path
from ge_engine.evaluation.data.module_loader import module_address
from ge_engine.evaluation.sandbox.bubblewrap import around
from ge_engine.evaluation.sandbox.readable import readable_files
mode, seed, names, script, *secrets = sys.argv[1:]
source = Path(seed).read_bytes()
found = readable_files(source, module_address(Path(seed), "0" * 64), [], gpu=False)
listed = found.listed if mode == "landlock" else None
words = json.dumps([dict(found.modules), names.split(), found.paths(), listed])
command = [sys.executable, "-P", "-c", script, words, *secrets]
if mode == "bwrap":
    command = around(found.places, [], "/", command, found.hidden)
raise SystemExit(subprocess.run(command).returncode)
"""


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of an environment with all these packages; their projects lie beside it."""
    home = lay(tmp_path_factory.mktemp("in place"), {**KEEPS, **HIDDEN})
    line = f"import sys; sys.path.append({str(home / 'line')!r})"
    python = environment(home / "env", (str(home / "plain"), line))
    for name in ("versioned", "open"):
        install_in_place(python, home / name, SRC)
    install_in_place(python, home / "strict", SRC, "strict")
    install_in_place(python, home / "single", 'py-modules = ["single"]\n')
    install_in_place(python, home / "renamed", 'packages = ["renamed"]\npackage-dir = {renamed = "lib"}\n')
    install_in_place(
        python, home / "apart", 'packages = ["apart.part"]\npackage-dir = {"apart.part" = "code/part"}\n'
    )
    lay(packages_of(python), {"open_/installed/__init__.py": "x = 1\n"})
    return python


def test_more_or_less_than_the_packages_own_code_that_is_shown(python: Path, tmp_path: Path) -> None:
    home = python.parents[2]
    seed = lay(tmp_path, {"seed.py": IMPORTS}) / "seed.py"
    files = [str(home / name) for name in (*KEEPS, *HIDDEN)]
    done = run_in(python, READABLE, str(seed), *files, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    shown = dict(zip([*KEEPS, *HIDDEN, "scipy"], json.loads(done.stdout)))
    assert {name for name, seen in shown.items() if seen} == {*KEEPS, "scipy"}


@pytest.mark.parametrize("mode", [mode for mode in MODES if mode in ("bwrap", "landlock")])
def test_packages_in_place_that_cannot_be_imported(mode: str, python: Path, tmp_path: Path) -> None:
    """The kernel shows them, and nothing beside them. Python starts anew in bubblewrap, so its `.pth` files
    are read there."""
    seed = lay(tmp_path, {"seed.py": IMPORTS}) / "seed.py"
    secrets = [str(python.parents[2] / name) for name in HIDDEN]
    done = run_in(python, CONFINED, mode, str(seed), NAMES, IMPORTING, *secrets, cwd=tmp_path)
    assert done.stdout == "imported\n", done.stdout + done.stderr
