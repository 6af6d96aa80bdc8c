"""What bubblewrap is told of a large library: fewer paths, by which the same is to be seen."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ge_engine.errors import ConfigError
from ge_engine.evaluation.data.module_loader import module_address
from ge_engine.evaluation.sandbox import bubblewrap, folding
from ge_engine.evaluation.sandbox.readable import readable_files
from ge_engine.genome import Seed
from ge_engine.outcome import Scored
from tests.evaluation import outcome_of, shop, source

FILES = st.sets(
    st.lists(st.sampled_from(["a", "b", "c"]), min_size=1, max_size=3).map(
        lambda parts: "/".join([*(f"{part}_" for part in parts[:-1]), f"{parts[-1]}.py"])
    ),
    min_size=1,
    max_size=12,
)


def seen(path: Path, places: Iterable[str], hidden: Iterable[str]) -> bool:
    """Whether bubblewrap shows the file at `path`: the deepest place or cover above it decides."""
    above = map(str, (path, *path.parents))
    return next((one in {*places} for one in above if one in {*places, *hidden}), False)


@given(files=FILES, packages=st.booleans(), data=st.data())
def test_a_file_that_folding_shows_or_hides(files: set[str], packages: bool, data: st.DataObject) -> None:
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(folding, "MANY", 0)
        root = Path(os.path.realpath(folder))
        starts = {str(Path(name).parent / "__init__.py") for name in files} if packages else set()
        paths = [root / name for name in sorted(files | starts)]
        for path in paths:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
        folders = sorted({path.parent for path in paths})
        shown = data.draw(st.lists(st.sampled_from(paths), unique=True))
        shown += data.draw(st.lists(st.sampled_from(folders), max_size=1))
        covers = [str(path) for path in data.draw(st.lists(st.sampled_from(folders), max_size=1))]
        wanted = {path for path in paths if seen(path, [*map(str, shown)], covers)}
        places, hidden = folding.folded([str(path) for path in shown], covers)
        assert {path for path in paths if seen(path, places, hidden)} == wanted
        assert len(places) + len(hidden) <= len(shown) + len(covers)


def library(root: Path, modules: int) -> Path:
    """A seed in a package of `modules` that it imports, with code and data beside that it does not."""
    folder = root / "library"
    (folder / "parts" / "unused").mkdir(parents=True)
    for name in ("__init__.py", "secret.py", "parts/__init__.py", "parts/labels.csv", "parts/unused/x.py"):
        (folder / name).write_text("x = 1\n")
    names = [f"part{number}" for number in range(modules)]
    for name in names:
        (folder / "parts" / f"{name}.py").write_text("x = 1\n")
    (folder / "net.py").write_text(source(top=f"from .parts import {', '.join(names)}"))
    return folder


def test_a_library_of_more_files_than_bubblewrap_takes_arguments(tmp_path: Path) -> None:
    folder = library(tmp_path, 3100)
    address = module_address(folder / "net.py", "0" * 64)
    found = readable_files((folder / "net.py").read_bytes(), address, [], gpu=False)
    places, hidden = folding.folded(found.places, found.hidden)
    names = ["parts/part7.py", "__init__.py", "secret.py", "parts/labels.csv", "parts/unused/x.py"]
    tried = [str(folder / name) for name in names]
    assert [seen(Path(path), places, hidden) for path in tried] == [True, True, False, False, False]
    if bubblewrap.why_not():
        return
    script = 'for file; do test -s "$file" && echo shown || echo hidden; done'
    words = bubblewrap.around(places, [], "/", ["sh", "-c", script, "sh", *tried], hidden)
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.stdout.split() == ["shown", "shown", "hidden", "hidden", "hidden"], done.stderr


@pytest.mark.parametrize("mode", ["bwrap"] * (not bubblewrap.why_not()))
@pytest.mark.long
def test_a_seed_of_a_large_library_that_does_not_start(mode: str, tmp_path: Path) -> None:
    seed = Seed.load(library(tmp_path, 3100) / "net.py").genome
    with shop(tmp_path / "scratch", seed, sandbox=mode, workers=1, timeout=120.0) as evaluation:
        outcome = outcome_of(evaluation, seed)
    assert isinstance(outcome, Scored), outcome


def test_more_places_than_bubblewrap_has_room_for() -> None:
    places = [f"/no/such/{number}" for number in range(3001)]
    with pytest.raises(ConfigError, match=r"takes 9,000 arguments; .* needs 9,0\d\d") as refused:
        bubblewrap.around(places, [], "/", ["true"])
    assert "--sandbox landlock" in refused.value.hint
