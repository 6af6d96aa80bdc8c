"""A trained model of several modules answers alone: its folder holds all code of the user's own."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from conftest import Ge
from hypothesis import given
from hypothesis import strategies as st
from test_full_training import images, share_right

from ge_engine.api import evolve, open_run
from ge_engine.config import config_from_dict
from ge_engine.errors import ConfigError, LedgerError
from ge_engine.evaluation.model_code import ALONE, CODE, ModelCode, model_code
from ge_engine.evaluation.sandbox import packages
from ge_engine.evaluation.sandbox.import_graph import follow_imports
from ge_engine.evaluation.setup import set_up
from ge_engine.evaluation.weights import kept_code
from ge_engine.outcome import Scored
from ge_engine.runs import predict
from ge_engine.runs.bundle import write_tree
from ge_engine.runs.training_folder import require_same_code
from ge_engine.seed_files import load_seed
from ge_engine.source.addresses import is_below
from tests.evaluation import data
from tests.patience import PATIENT

__all__ = ["images"]

PACKAGE = {
    "zoo/__init__.py": "from .net import *\n",
    "zoo/net.py": """
from torch import nn
from . import parts
from .heads import Head

class Net(nn.Module):
    def __init__(self, num_classes=10):
        super().__init__()
        self.body = nn.Sequential(parts.Conv(3, 8), parts.Conv(8, 16))
        self.head = Head(16, num_classes)

    def forward(self, x):
        return self.head(self.body(x).mean((2, 3)))
""",
    "zoo/parts.py": """
import torch
from torch import nn
from zoo.sizes import *

class Conv(nn.Module):
    def __init__(self, inputs, outputs):
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, KERNEL, padding=1, stride=2)
        self.norm = nn.BatchNorm2d(outputs)

    def forward(self, x):
        return torch.relu(self.norm(self.conv(x)))
""",
    "zoo/sizes.py": "KERNEL = 3\n",
    "zoo/heads/__init__.py": "from .linear import Linear as Head\n",
    "zoo/heads/linear.py": "from torch import nn\n\n\nclass Linear(nn.Linear):\n    pass\n",
    "zoo/unused.py": "raise ImportError('nobody imports this')\n",
}
FLAT = {
    "model.py": "from blocks import Block\nfrom torch import nn\n\n\nclass Net(nn.Module):\n"
    "    def __init__(self):\n        super().__init__()\n        self.block = Block()\n\n"
    "    def forward(self, x):\n        return self.block(x.flatten(1))\n",
    "blocks.py": "from torch import nn\n\n\ndef Block():\n    return nn.LazyLinear(10)\n",
}
BRIEF: Mapping[str, Any] = {"epochs": 1, "train_limit": 256}


def lay(folder: Path, files: Mapping[str, str]) -> Path:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


@contextmanager
def gone(folder: Path) -> Iterator[None]:
    """A folder that is not there."""
    away = folder.rename(folder.with_name("away"))
    try:
        yield
    finally:
        away.rename(folder)


def answers(script: Path, files: list[Path], cwd: Path) -> list[str]:
    """The classes that a folder's script gives in a new process."""
    words = [sys.executable, script, *files, "--json"]
    ended = subprocess.run(list(map(str, words)), capture_output=True, text=True, cwd=cwd, timeout=PATIENT)
    assert ended.returncode == 0, ended.stderr
    return [json.loads(line)["class"] for line in ended.stdout.splitlines()]


def written(folder: Path) -> set[str]:
    """The files below a folder, without what Python has compiled."""
    files = (one for one in folder.rglob("*") if one.is_file() and one.suffix != ".pyc")
    return {one.relative_to(folder).as_posix() for one in files}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that evolves two files of a package, of which it imports more; the originals lie in "mine"."""
    folder = tmp_path_factory.mktemp("several")
    lay(folder / "mine", PACKAGE)
    evolve(
        folder / "mine" / "zoo" / "net.py",
        run=folder / "run",
        also=[str(folder / "mine" / "zoo" / "parts.py")],
        blocks=["parts.py::*"],
        llm="uniform",
        generations=1,
        population=2,
        rescore_seeds=0,
        keep_weights="all",
        recipe=BRIEF,
    )
    return folder / "run"


MODULES = {"__init__.py", "net.py", "parts.py", "sizes.py", "heads/__init__.py", "heads/linear.py"}


@pytest.mark.long
def test_a_package_that_does_not_answer_without_its_files(
    run: Path, tmp_path: Path, images: tuple[list[Path], list[str]], ge: Ge
) -> None:
    child = next(one for one in open_run(run).individuals if one.scored and one.id != "seed")
    code, out, err = ge("train", f"{run}:{child.id}", "-o", tmp_path / "new", "--json")
    assert code == 0, err
    (tmp_path / "new").rename(tmp_path / "moved")
    with gone(run.parent / "mine"):
        files, labels = images
        right = share_right(answers(tmp_path / "moved" / "predict.py", files, tmp_path), labels)
    assert right == pytest.approx(json.loads(out)["test"]["objectives"]["accuracy"], abs=1e-9)
    assert written(tmp_path / "moved" / "src" / "zoo") == MODULES
    assert not (tmp_path / "moved" / "model.py").exists()
    src = tmp_path / "moved" / "src"
    assert (src / "zoo" / "sizes.py").read_text() == PACKAGE["zoo/sizes.py"]
    assert child.genome is not None
    assert (src / "zoo" / "parts.py").read_bytes().endswith(child.genome.files["parts.py"].source)


@pytest.mark.long
def test_kept_weights_of_a_package_that_need_its_files(
    run: Path, tmp_path: Path, images: tuple[list[Path], list[str]], ge: Ge
) -> None:
    opened = open_run(run)
    identity, tested = next((name, one) for name, one in opened.tests.items() if isinstance(one, Scored))
    with gone(run.parent / "mine"):
        code, _, err = ge("export", f"{run}:{identity}", "--weights", "-o", tmp_path / "new")
        assert code == 0, err
        files, labels = images
        right = share_right(answers(tmp_path / "new" / "predict.py", files, tmp_path), labels)
    assert right == pytest.approx(tested.objectives["accuracy"], abs=1e-9)
    assert written(tmp_path / "new" / "src" / "zoo") == MODULES


def test_files_that_are_gone_and_a_training_that_blames_the_model(run: Path, tmp_path: Path, ge: Ge) -> None:
    with gone(run.parent / "mine"):
        code, _, err = ge("train", f"{run}:seed", "-o", tmp_path / "new")
    assert code == 2
    assert "net.py is not there as the run read it" in " ".join(err.split())
    assert not (tmp_path / "new").exists()


@pytest.mark.long
def test_a_file_beside_its_neighbours_that_does_not_answer_without_them(
    tmp_path: Path, images: tuple[list[Path], list[str]], ge: Ge
) -> None:
    lay(tmp_path / "mine", FLAT)
    run = tmp_path / "run"
    evolve(tmp_path / "mine" / "model.py", run=run, llm="uniform", generations=0, recipe=BRIEF)
    code, out, err = ge("train", f"{run}:seed", "-o", tmp_path / "new", "--json")
    assert code == 0, err
    with gone(tmp_path / "mine"):
        files, labels = images
        right = share_right(answers(tmp_path / "new" / "predict.py", files, tmp_path), labels)
    assert right == pytest.approx(json.loads(out)["test"]["objectives"]["accuracy"], abs=1e-9)
    assert written(tmp_path / "new" / "src") == {"model.py", "blocks.py"}


def test_modules_of_a_run_that_are_damaged_or_of_another_seed_model(
    run: Path, tmp_path: Path, ge: Ge
) -> None:
    copied = shutil.copytree(run, tmp_path / "copied")
    file = copied / "scratch" / "weights" / CODE
    held = json.loads(file.read_text())
    for other, said in (
        ("junk", "cannot be read"),
        (json.dumps({**held, "neighbours": {"../../escaped.py": ""}}), "leads elsewhere"),
        (json.dumps({**held, "places": {"net.py": ["zoo/net.py"]}}), "of another seed model"),
        (ALONE.as_json().decode(), "of another seed model"),
    ):
        file.write_text(other)
        code, _, err = ge("export", f"{copied}:seed", "--weights", "-o", tmp_path / "new")
        assert code == 2, err
        assert said in err
        assert "ge train" in err
        assert not (tmp_path / "new").exists()
    assert not list(tmp_path.rglob("escaped.py"))


# --- which files, and where ----------------------------------------------------------------------------

BUILDS = "class Net:\n    def __init__(self):\n        self.told = %s\n"
LAYOUTS: Mapping[str, tuple[Mapping[str, str], str, tuple[str, ...], set[str]]] = {
    "beside": (
        {"net.py": "import blocks\n" + BUILDS % "blocks.told", "blocks.py": "told = 7\n"},
        "net.py",
        (),
        {"net.py", "blocks.py"},
    ),
    "a name of Python's own": (
        {"net.py": "import this\n" + BUILDS % "this.told", "this.py": "told = 7\n"},
        "net.py",
        (),
        {"net.py", "this.py"},
    ),
    "a name that no module can have": (
        {"my-net.py": "import blocks\n" + BUILDS % "blocks.told", "blocks.py": "told = 7\n"},
        "my-net.py",
        (),
        {"ge_candidate_my_net.py", "blocks.py"},
    ),
    "a package without an init that has an installed one's name": (
        {"rich/net.py": "from .blocks import *\n" + BUILDS % "told", "rich/blocks.py": "told = 7\n"},
        "rich/net.py",
        (),
        {"rich/__init__.py", "rich/net.py", "rich/blocks.py"},
    ),
    "re-exported by the package": (
        {
            "pkg/__init__.py": "from .blocks import told\n",
            "pkg/nets/net.py": "from pkg import told\n" + BUILDS % "told",
            "pkg/nets/__init__.py": "",
            "pkg/blocks.py": "from .deep.er import told\n",
            "pkg/deep/er.py": "told = 7\n",
        },
        "pkg/nets/net.py",
        (),
        {
            *("pkg/__init__.py", "pkg/nets/__init__.py", "pkg/nets/net.py", "pkg/blocks.py"),
            *("pkg/deep/__init__.py", "pkg/deep/er.py"),
        },
    ),
    "evolved with a neighbour above it": (
        {
            "pkg/__init__.py": "",
            "pkg/net.py": "from .blocks import told\nimport late\n" + BUILDS % "told() + late.told",
            "pkg/blocks.py": "def told():\n    return 3\n",
            "late.py": "from pkg import blocks\ntold = blocks.told() + 1\n",
        },
        "pkg/net.py",
        ("pkg/blocks.py",),
        {"pkg/__init__.py", "pkg/net.py", "pkg/blocks.py", "late.py"},
    ),
    "the package's own file": (
        {"pkg/__init__.py": "from .blocks import told\n" + BUILDS % "told", "pkg/blocks.py": "told = 7\n"},
        "pkg/__init__.py",
        (),
        {"pkg/__init__.py", "pkg/blocks.py"},
    ),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_module_that_python_does_not_find_in_the_folder(layout: str, tmp_path: Path) -> None:
    files, main, also, wanted = LAYOUTS[layout]
    lay(tmp_path / "mine", files)
    code, sources = code_of(tmp_path, main, also)
    write_tree(tmp_path / "src", code.files(sources))
    assert written(tmp_path / "src") == wanted
    (tmp_path / "how").mkdir()
    asked = (
        f"import sys; sys.path.insert(0, {str(tmp_path / 'src')!r}); import importlib; "
        f"print(importlib.import_module({code.module!r}).Net().told)"
    )
    with gone(tmp_path / "mine"):
        ended = subprocess.run(
            [sys.executable, "-c", asked], capture_output=True, text=True, cwd=tmp_path / "how", check=False
        )
    assert (ended.stdout, ended.stderr) == ("7\n", "")


@pytest.fixture(autouse=True)
def modules_of_other_tests(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file whose module's name is taken in this process is a module of another name."""
    for name in ("net", "this", "blocks", "other"):
        monkeypatch.delitem(sys.modules, name, raising=False)


def code_of(folder: Path, main: str, also: tuple[str, ...] = ()) -> tuple[ModelCode, dict[str, bytes]]:
    """The code of a seed model in "mine", and its evolved files."""
    seed = load_seed(folder / "mine" / main, also=[str(folder / "mine" / one) for one in also])
    config = config_from_dict({"entry": "Net()"})
    session, _ = set_up(seed.genome, config, data(8, 8, 8), folder / "scratch")
    return model_code(session), {name: one.source for name, one in seed.genome.files.items()}


def test_a_file_alone_that_gets_a_folder_of_modules(tmp_path: Path) -> None:
    lay(tmp_path / "mine", {"net.py": "import torch\nimport json\n" + BUILDS % "7", "other.py": "x = 1\n"})
    code, _ = code_of(tmp_path, "net.py")
    assert code == ALONE


def test_an_installed_package_that_is_copied_or_that_answers_in_place_of_its_evolved_module(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    files = {
        "aviary/__init__.py": "from .net import Net\n",
        "aviary/net.py": "from .blocks import told\n" + BUILDS % "told",
        "aviary/blocks.py": "told = 7\n",
    }
    installed = lay(tmp_path / "mine" / "site-packages", files)
    monkeypatch.syspath_prepend(str(installed))
    request.addfinalizer(packages.package_folders.cache_clear)
    packages.package_folders.cache_clear()
    code, _ = code_of(tmp_path, "site-packages/aviary/net.py")
    assert code == ModelCode("aviary.net", {"": ("aviary/net.py",)}, {})
    lay(tmp_path / "src", {"aviary/net.py": files["aviary/net.py"] + "        self.told = -told\n"})
    asked = (
        f"import sys, pathlib; sys.path.append({str(installed)!r}); from ge_engine.runs import predict; "
        f"print(predict._imported(pathlib.Path('src'), 'aviary.net').Net().told); "
        "print(sys.modules['aviary'].Net().told)"
    )
    ended = subprocess.run(
        [sys.executable, "-c", asked], capture_output=True, text=True, cwd=tmp_path, check=False
    )
    assert (ended.stdout, ended.stderr) == ("-7\n-7\n", "")


def test_a_package_installed_in_place_that_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lay(tmp_path / "mine", {"net.py": "import aviary.a\n" + BUILDS % "7"})
    lay(tmp_path / "place", {"aviary/__init__.py": "", "aviary/a.py": "", "aviary/computed.py": ""})
    monkeypatch.syspath_prepend(str(tmp_path / "place"))
    code, _ = code_of(tmp_path, "net.py")
    assert set(code.neighbours) == {"aviary/__init__.py", "aviary/a.py", "aviary/computed.py"}


def test_a_neighbour_that_is_gone_and_ends_a_run(tmp_path: Path) -> None:
    lay(tmp_path / "mine", {"net.py": "import blocks\nimport odd\n" + BUILDS % "7", "blocks.py": ""})
    (tmp_path / "mine" / "odd.py").symlink_to(tmp_path / "nothing")
    code, _ = code_of(tmp_path, "net.py")
    assert code.neighbours == {"blocks.py": b""}


# --- what leads elsewhere ------------------------------------------------------------------------------


def test_a_module_whose_name_is_a_path() -> None:
    asked: list[str] = []
    source = b"import importlib\nimportlib.import_module('/etc/secret')\nimportlib.import_module('a')\n"
    follow_imports(source, "net", lambda name: str(asked.append(name) or ""))
    assert "a" in asked
    assert not any("/" in name for name in asked)


@pytest.mark.parametrize(
    "name", ["../x.py", "/x.py", "a/../../x.py", "a//x.py", "", "a\0.py", "C:/x.py", "a\\b.py"]
)
def test_a_path_that_leads_out_of_the_folder(name: str, tmp_path: Path) -> None:
    assert not is_below(name)
    (tmp_path / "in").mkdir()
    with pytest.raises(ConfigError, match="folder of its own"):
        write_tree(tmp_path / "in" / "src", {"a/b.py": b"", name: b"x"})
    assert written(tmp_path) == set()
    held = {"module": "a", "places": {"": ["a.py"]}, "neighbours": {name: ""}}
    with pytest.raises(ValueError, match="elsewhere"):
        ModelCode.from_json(json.dumps(held).encode())
    with pytest.raises(ValueError, match="elsewhere"):
        ModelCode.from_json(json.dumps({**held, "places": {"": [name]}, "neighbours": {}}).encode())


def test_a_link_in_the_folder_that_is_written_through(tmp_path: Path) -> None:
    lay(tmp_path / "theirs", {"a.py": "theirs"})
    for name in ("src", ".src"):
        (tmp_path / name).symlink_to(tmp_path / "theirs")
    write_tree(tmp_path / "src", {"a.py": b"mine"})
    assert (tmp_path / "theirs" / "a.py").read_text() == "theirs"
    assert (tmp_path / "src" / "a.py").read_text() == "mine"
    assert not (tmp_path / ".src").is_symlink()


def test_a_module_that_is_a_folder_as_well_and_ends_in_a_traceback(tmp_path: Path) -> None:
    lay(tmp_path / "src", {"a.py": "before"})
    with pytest.raises(ConfigError, match="cannot be written"):
        write_tree(tmp_path / "src", {"a": b"", "a/b.py": b""})
    assert written(tmp_path) == {"src/a.py"}


texts = st.text(st.characters(codec="utf-8", categories=("L", "N")), min_size=1, max_size=4)
paths = st.lists(texts, min_size=1, max_size=3).map("/".join)
codes = st.builds(
    ModelCode,
    module=texts,
    places=st.dictionaries(texts, st.lists(paths, max_size=2).map(tuple), min_size=1, max_size=3),
    neighbours=st.dictionaries(paths, st.binary(max_size=9), max_size=3),
)


@given(st.one_of(codes, st.just(ALONE)))
def test_code_that_comes_back_changed(code: ModelCode) -> None:
    assert ModelCode.from_json(code.as_json()) == code


@given(
    st.recursive(
        st.none() | st.text() | st.integers(), lambda one: st.lists(one) | st.dictionaries(texts, one)
    )
)
def test_anything_that_is_taken_for_code_or_ends_in_a_traceback(value: object) -> None:
    for held in (
        value,
        {"module": "a", "places": value, "neighbours": {}},
        {"module": value, "places": {}, "neighbours": value},
    ):
        try:
            found = ModelCode.from_json(json.dumps(held).encode())
        except (ValueError, TypeError):
            continue
        assert all(
            map(is_below, [*found.neighbours, *(path for one in found.places.values() for path in one)])
        )


def test_code_that_an_earlier_version_did_not_keep_or_a_link(tmp_path: Path) -> None:
    assert kept_code(tmp_path) == ALONE
    (tmp_path / "weights").mkdir()
    (tmp_path / "elsewhere").write_bytes(ALONE.as_json())
    (tmp_path / "weights" / CODE).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(LedgerError, match="cannot be read"):
        kept_code(tmp_path)


def test_a_training_that_goes_on_with_other_modules_than_it_was_begun_with(tmp_path: Path) -> None:
    code = ModelCode("net", {"": ("net.py",)}, {"blocks.py": b"old"})
    other = ModelCode("net", {"": ("net.py",)}, {"blocks.py": b"new"})
    require_same_code(tmp_path, other)
    require_same_code(tmp_path, code)
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / "one").touch()
    require_same_code(tmp_path, code)
    with pytest.raises(ConfigError, match="have changed since this training was begun"):
        require_same_code(tmp_path, other)


def test_a_module_from_elsewhere_that_answers_in_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "path", [*sys.path])
    lay(tmp_path / "src", {"json/net.py": ""})
    for name in ("json", "sys"):
        with pytest.raises(ImportError, match="is not that in"):
            predict._imported(tmp_path / "src", name)


@pytest.mark.long
def test_a_model_of_several_files_that_launch_does_not_train(tmp_path: Path) -> None:
    lay(tmp_path / "mine", PACKAGE)
    (tmp_path / "brief.toml").write_text("[training]\nepochs = 1\ntrain_limit = 64\n")
    for words in (["mine/zoo/net.py", "--package"], ["mine/zoo", "--entry", "zoo.net:Net(num_classes=10)"]):
        command = [sys.executable, "-m", "ge_engine.launch", *words, "--config", "brief.toml"]
        ended = subprocess.run(
            command, capture_output=True, text=True, cwd=tmp_path, timeout=PATIENT, check=False
        )
        assert ended.returncode == 0, ended.stderr
        assert json.loads(ended.stdout.splitlines()[-1])["images"] == 359
