"""Modules that register what they define, imported again by one process, which finds variants' sizes."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ge_engine.evaluation.data.candidate_files import candidate_files, import_files
from ge_engine.genome import Seed
from tests.evaluation import genome, shop
from tests.patience import PATIENT

REGISTRY = """
class Registry:
    def __init__(self):
        self.entries = {}

    def __call__(self, one):
        if one.__name__ in self.entries:
            raise ValueError("registered twice: " + one.__name__)
        self.entries[one.__name__] = one
        return one

MODELS, ORDER, KINDS, CALLS = {}, [], set(), Registry()

def register(name):
    def decorate(one):
        if name in MODELS or any(o.__name__ == one.__name__ for _, o in ORDER):
            raise ValueError("registered twice: " + name)
        if any(k.__name__ == one.__name__ for k in KINDS):
            raise ValueError("registered twice: " + name)
        MODELS[name] = one
        ORDER.append((name, one))
        KINDS.add(one)
        return one
    return decorate

@register("other")
def other():
    pass
"""
NET = """
from {place} import CALLS, register

@register("net")
@CALLS
def net():
    return 1
"""
PART = """
from .registry import register

@register("part")
def part():
    return 1
"""
ODD = """
class Odd:
    __module__ = property(lambda self: 1 / 0)

    def __getattr__(self, name):
        raise RuntimeError(name)

ODD = Odd()
ALL = [ODD]
"""


@pytest.fixture(autouse=True)
def _as_before(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    modules, finders = dict(sys.modules), list(sys.meta_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield
    sys.modules.clear()
    sys.modules.update(modules)
    sys.meta_path[:] = finders


def lay(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


@pytest.mark.parametrize("home", ["site-packages", "repository"])
@pytest.mark.parametrize("others", [(), ("kit/parts.py",)])
def test_a_registry_refuses_the_second_variant_of_a_model(
    home: str, others: tuple[str, ...], tmp_path: Path
) -> None:
    folder = tmp_path / home
    source = NET.format(place=".registry")
    lay(
        folder,
        {
            "kit/__init__.py": "from .net import net\n",
            "kit/registry.py": REGISTRY,
            "kit/net.py": source,
            "kit/parts.py": PART,
        },
    )
    names = ("kit/net.py", *others)
    for width in (1, 2, 3):
        texts = {
            name: (folder / name).read_bytes().replace(b"return 1", b"return %d" % width) for name in names
        }
        paths = {name: str(folder / name) for name in names}
        assert import_files(candidate_files(texts, paths, str(width) * 16, {})).net() == width
        registry = importlib.import_module("kit.registry")
        assert registry.MODELS["net"]() == width
        assert registry.CALLS.entries["net"]() == width
        assert [name for name, _ in registry.ORDER] == ["other", "net"]
        assert {one.__name__ for one in registry.KINDS} == {"other", "net"}


def test_a_registry_beside_a_file_without_a_package_refuses_the_second_variant(tmp_path: Path) -> None:
    source = NET.format(place="registry_of_nets")
    lay(tmp_path, {"net_beside.py": source, "registry_of_nets.py": REGISTRY})
    modules = {"registry_of_nets": str(tmp_path / "registry_of_nets.py")}
    paths = {"net_beside.py": str(tmp_path / "net_beside.py")}
    variants = [
        candidate_files(
            {"net_beside.py": source.replace("return 1", f"return {width}").encode()},
            paths,
            str(width) * 16,
            modules,
        )
        for width in (1, 2, 3)
    ]
    assert [import_files(files).net() for files in variants] == [1, 2, 3]


def test_a_module_that_chooses_among_blocks_loses_them(tmp_path: Path) -> None:
    lay(
        tmp_path / "site-packages",
        {
            "choice/__init__.py": "",
            "choice/blocks.py": "class Conv:\n    pass\n",
            "choice/chosen.py": "from .blocks import Conv\nKINDS = {'conv': Conv}\n",
            "choice/net.py": "from .chosen import KINDS\n\ndef net():\n    return KINDS['conv']()\n",
        },
    )
    home = tmp_path / "site-packages" / "choice"
    texts = {name: (home / name).read_bytes() for name in ("net.py", "blocks.py")}
    paths = {name: str(home / name) for name in texts}
    for digest in ("1" * 16, "2" * 16):
        built = import_files(candidate_files(texts, paths, digest, {})).net()
        assert type(built).__name__ == "Conv"


def test_an_object_that_answers_for_its_attributes_ends_the_import(tmp_path: Path) -> None:
    lay(
        tmp_path / "site-packages",
        {
            "oddity/__init__.py": "",
            "oddity/odd.py": ODD,
            "oddity/net.py": "from . import odd\n\ndef net():\n    return len(odd.ALL)\n",
        },
    )
    file = tmp_path / "site-packages" / "oddity" / "net.py"
    for digest in ("1" * 16, "2" * 16):
        files = candidate_files({"net.py": file.read_bytes()}, {"net.py": str(file)}, digest, {})
        assert import_files(files).net() == 1


@pytest.mark.long
def test_sizes_of_a_registered_model_are_known_of_the_first_variant_alone(tmp_path: Path) -> None:
    lay(tmp_path, {"nets/__init__.py": "from .net import Net\n", "nets/registry.py": REGISTRY})
    text = b"from .registry import register\n" + genome().source.replace(
        b"class Net", b"@register('n')\nclass Net"
    )
    (tmp_path / "nets" / "net.py").write_bytes(text)
    path = tmp_path / "nets" / "net.py"
    wide = text.replace(b"Body(8)", b"Body(16)").replace(b"nn.Linear(8,", b"nn.Linear(16,")
    variants = [Seed.from_bytes(one, path).genome for one in (text, wide, text)]
    with shop(tmp_path / "scratch", variants[0]) as evaluation:
        first, second, third = evaluation.sizes(variants).result(PATIENT)
    assert first is not None
    assert second is not None
    assert third == first
    assert second.parameters > first.parameters
