"""Which files `--package` takes: those that are imported, not all that the `__init__` of a package does."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from ge_engine.genome import Seed
from ge_engine.seed_files import companions

BLOCK = "class Conv:\n    pass\n"
EVERYTHING = "from pack.net import *\nfrom .blocks import Conv\nfrom . import other, third\n"


def packed(folder: Path, files: Mapping[str, str]) -> list[str]:
    """The companions of `pack/net.py` by their places in a package whose `__init__` imports everything."""
    all_of_it = {
        "__init__.py": EVERYTHING,
        "blocks.py": BLOCK,
        "other.py": BLOCK,
        "third.py": "from . import blocks\n" + BLOCK,
        **files,
    }
    for name, text in all_of_it.items():
        path = folder / "pack" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    home = folder / "pack"
    return [path.relative_to(home).as_posix() for path in companions(Seed.load(home / "net.py"))]


@pytest.mark.parametrize(
    "imports",
    [
        "from .blocks import Conv",
        "from . import blocks",
        "from pack import blocks",
        "import pack.blocks",
        "from pack.blocks import *",
    ],
)
def test_an_init_that_imports_everything_makes_all_of_it_part_of_the_seed_model(
    imports: str, tmp_path: Path
) -> None:
    assert packed(tmp_path, {"net.py": f"{imports}\n{BLOCK}"}) == ["blocks.py"]


def test_files_that_imported_files_import_are_forgotten(tmp_path: Path) -> None:
    assert packed(tmp_path, {"net.py": f"from .third import Conv\n{BLOCK}"}) == ["blocks.py", "third.py"]


@pytest.mark.parametrize(
    "imports", ["from . import Conv, blocks", "from . import Conv", "import pack", "from pack import *"]
)
def test_a_block_that_is_taken_from_an_init_is_not_found(imports: str, tmp_path: Path) -> None:
    found = packed(tmp_path, {"net.py": f"{imports}\n{BLOCK}"})
    assert found == ["__init__.py", "blocks.py", "other.py", "third.py"]


def test_a_folder_below_is_read_by_its_own_imports_alone(tmp_path: Path) -> None:
    heads = {
        "heads/__init__.py": "from . import big, small\n",
        "heads/big.py": BLOCK,
        "heads/small.py": BLOCK,
    }
    net = f"from .heads.small import Conv\n{BLOCK}"
    assert packed(tmp_path, {"net.py": net, **heads}) == ["heads/small.py"]
