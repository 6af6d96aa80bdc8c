"""Files that are no seed model of several, and how that is said: a sentence, what to do, exit code 2."""

# ruff: noqa: E501

from __future__ import annotations

from pathlib import Path

import doubles
import pytest
from conftest import Ge
from several_files import package

from ge_engine.errors import GeError, SeedError
from ge_engine.genome import Seed
from ge_engine.ledger import History, Ledger
from ge_engine.seed_files import load_seed, names_below


@pytest.fixture
def there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder, which holds the package."""
    package(tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def refused(ge: Ge, *words: object) -> str:
    """What a command says that is given something wrong: one sentence and what to do, exit code 2."""
    code, _, told = ge("blocks", *words, "--static")
    told = " ".join(told.split())
    assert code == 2, told
    assert told.startswith("error: ")
    assert "Traceback" not in told
    assert " try: " in told
    return told


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("pkg/net.py", "--also", "pkg/gone.py"), "No Python or YAML file matches 'pkg/gone.py' (--also)."),
        (("pkg/net.py", "--also", "pkg/*.txt"), "No Python or YAML file matches 'pkg/*.txt' (--also)."),
        (("pkg/net.py", "--also", "pkg"), "No Python or YAML file matches 'pkg' (--also)."),
        (("pkg/gone.py", "--package"), "The seed model pkg/gone.py cannot be read: No such file or directory."),
        (("pkg",), "pkg is a folder, and nothing says which of its files builds the model."),
        (("pkg", "--entry", "Net(3)"), "pkg is a folder, and nothing says which of its files builds the model."),
        (("pkg", "--entry", "pkg.gone:Net"), "There is no module pkg.gone in pkg."),
        (("pkg", "--entry", "pkg.net.py:Net"), "There is no module pkg.net.py in pkg."),
        (("pkg", "--entry", "pkg:Network"), "The entry names the package pkg, and pkg/__init__.py defines no model."),
        (("pkg/net.py", "--entry", "other.net:Net"), "The entry names the module other.net, and the seed model is pkg/net.py."),
        (("pkg/net.py", "--entry", "blocks:Net"), "The entry names the module blocks, and the seed model is pkg/net.py."),
        (("pkg/net.py", "--also", "pkg/__init__.py"), "pkg/__init__.py can be evolved (--also)."),
        (("pkg/net.py", "--also", "odd/broken.py"), "odd/broken.py is not valid Python: line 1"),
        (("pkg/net.py", "--also", "odd/linked.py"), "odd/linked.py are the same file."),
        (("pkg/net.py", "--also", "odd/a:b.py"), "The file 'odd/a:b.py' cannot be one of several files of a seed model."),
        (("odd/net.py", "--also", "pkg/../odd/json.py"), "has the name of a module of Python's own library, json."),
        (("odd/net.py", "--also", "odd/heads.py", "--also", "odd/heads/__init__.py"), "would both be imported as heads."),
    ],
)  # fmt: skip
def test_files_of_which_nothing_clear_is_said(there: Path, ge: Ge, words: tuple[str, ...], told: str) -> None:
    odd = there / "odd"
    (odd / "heads").mkdir(parents=True)
    for name in ("net.py", "json.py", "a:b.py", "heads.py", "heads/__init__.py"):
        (odd / name).write_text("class A:\n    x = 1\n")
    (odd / "broken.py").write_text("class A\n")
    (odd / "linked.py").symlink_to(there / "pkg" / "net.py")
    assert told in refused(ge, *words)


def test_files_that_have_no_folder_in_common() -> None:
    with pytest.raises(SeedError, match="have no folder in common"):
        names_below([Path("/here/net.py"), Path("/there/blocks.py")])


def test_files_that_are_taken_though_their_names_are_odd(there: Path, ge: Ge) -> None:
    odd = there / "mein Modell"
    odd.mkdir()
    (odd / "net.py").write_text("class A:\n    x = 1\n")
    (odd / "bl\u00f6cke 2.py").write_text("class B:\n    x = 1\n")
    (odd / "linked.py").symlink_to(there / "pkg" / "heads" / "linear.py")
    code, out, err = ge("blocks", "mein Modell/net.py", "--also", "mein Modell/*.py", "--static")
    assert code == 0, err
    assert all(told in out for told in ("net.py::A", "bl\u00f6cke 2.py::B", "linked.py::Head.forward"))


def test_the_seed_models_file_named_twice(there: Path, ge: Ge) -> None:
    """A glob beside it names it as well: nothing is wrong with that."""
    _, alone, _ = ge("blocks", "pkg/net.py", "--static")
    assert ge("blocks", "pkg/net.py", "--also", "pkg/net.py", "--static") == (0, alone, "")
    _, both, _ = ge("blocks", "pkg/net.py", "--also", "pkg/blocks.py", "--static")
    assert ge(
        "blocks", "pkg/net.py", "--also", "pkg/../pkg/net.py", "--also", "pkg/blocks.py", "--static"
    ) == (0, both, "")
    _, globbed, _ = ge("blocks", "pkg/net.py", "--also", "pkg/*.py", "--static")
    assert globbed.count("net.py::Net.forward") == 1


def test_a_package_of_forty_files(tmp_path: Path) -> None:
    root = tmp_path / "many"
    root.mkdir()
    for number in range(40):
        (root / f"part{number}.py").write_text(f"class Part{number}:\n    x = {number}\n")
    lines = "".join(f"from .part{number} import Part{number}\n" for number in range(40))
    (root / "net.py").write_text(f"{lines}\n\nclass Net:\n    x = 1\n")
    seed = load_seed(root, entry="many.net:Net")
    assert len(seed.files) == 41
    assert next(iter(seed.files)) == "net.py"
    assert len(seed.genome.evolvable) == 41


def test_a_ledger_of_one_file_that_opens_as_several(tmp_path: Path) -> None:
    with Ledger.create(tmp_path / "run", doubles.seed(), doubles.config()):
        pass
    with History(tmp_path / "run") as history:
        assert list(history.seed.files) == [""]
        assert type(history.seed) is Seed


def test_a_seed_model_of_files_that_is_none() -> None:
    with pytest.raises(GeError):
        load_seed("nowhere/at/all.py", also=["nothing/*.py"])
