"""A patch that `ge export --patch` writes is one that git applies, to the last byte."""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path, PurePosixPath

import doubles
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from ge_engine import Run, loop
from ge_engine.cli.app import app
from ge_engine.errors import ConfigError
from ge_engine.runs.git_patch import git_patch
from ge_engine.runs.references import require_genome

PIECES = st.sampled_from(
    [
        b"a",
        b"x = 1",
        b"\n",
        b"\r\n",
        b"\r",
        b" ",
        b"\t",
        b"\xff",
        b"\x0c",
        b"\\",
        b"-",
        b"+",
        b"@@ ",
        b"\xc3\xa9",
    ]
)
TEXTS = st.lists(PIECES, max_size=25).map(b"".join)
NAMES = st.sampled_from(["m.py", "pkg/my model.py", 'dir x/mö"d\\e.py', "a\tb.py"])


def git(folder: Path, *words: str, given: bytes = b"") -> bytes:
    done = subprocess.run(["git", *words], cwd=folder, input=given, capture_output=True)
    assert done.returncode == 0, (words, done.stderr, given)
    return done.stdout


@given(TEXTS, TEXTS, NAMES, st.sampled_from(["", "Evolved by ge_engine\nparameters -88 %"]))
@settings(max_examples=60, deadline=None)
def test_a_patch_that_git_refuses_or_that_gives_another_file(
    before: bytes, after: bytes, name: str, remark: str
) -> None:
    patch = git_patch(before, after, PurePosixPath(name), remark)
    assert (patch == b"") == (before == after)
    if not patch:
        return
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, name)
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(before)
        git(Path(folder), "init", "-q")
        git(Path(folder), "apply", "--check", "--whitespace=nowarn", given=patch)
        git(Path(folder), "apply", "--whitespace=nowarn", given=patch)
        assert (file.read_bytes() if file.exists() else b"") == after


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository whose model, two folders down, was evolved from within the first of them."""
    root = tmp_path / "my project"
    (root / "src" / "nets").mkdir(parents=True)
    (root / "src" / "nets" / "model.py").write_bytes(doubles.seed().source)
    git(root, "init", "-q")
    monkeypatch.chdir(root / "src")
    seed = type(doubles.seed()).load("nets/model.py")
    config = doubles.config(llm="scripted:good", generations=1, population=4)
    loop.run(seed, config, doubles.registry(), root / "run", lambda *_: None)
    return root


def exported(*words: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["export", *words], env={"COLUMNS": "300"}, catch_exceptions=False)
    return result.exit_code, " ".join(result.output.split())


def test_an_exported_patch_that_does_not_go_home(repository: Path) -> None:
    run = Run(repository / "run")
    child = next(one.id for one in run.individuals if one.id != "seed" and one.scored)
    wanted = require_genome(run.individual(child)).source
    patch = repository / "better.patch"
    code, said = exported(f"{repository / 'run'}:{child}", "--patch", "-o", str(patch))
    assert code == 0, said
    assert f"git -C '{repository}' apply '{patch}'" in said
    assert "may not apply" not in said
    assert patch.read_bytes().startswith(b"Evolved by ge_engine")
    git(repository, "apply", str(patch))
    assert (repository / "src" / "nets" / "model.py").read_bytes() == wanted
    code, said = exported(f"{repository / 'run'}:{child}", "--patch", "-o", str(patch), "--force")
    assert "may not apply" in said, "the file is no longer the seed model"


def test_a_patch_of_nothing_or_over_a_file_or_with_weights(repository: Path) -> None:
    run, patch = repository / "run", repository / "better.patch"
    with pytest.raises(ConfigError, match="nothing to patch"):
        Run(run).export_patch("seed", patch)
    assert not patch.exists()
    patch.write_text("mine")
    with pytest.raises(ConfigError, match="exists"):
        exported(f"{run}:g0s0", "--patch", "-o", str(patch))
    assert patch.read_text() == "mine"
    with pytest.raises(ConfigError, match="different things"):
        exported(f"{run}:g0s0", "--patch", "--weights", "-o", str(patch))
