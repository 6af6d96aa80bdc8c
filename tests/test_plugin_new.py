"""`ge plugin new`: the package installs, passes its own tests and takes part in a run, as its README says."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from ge_engine.errors import ConfigError
from ge_engine.registry import load_registry
from ge_engine.scaffold import module_of, write_plugin
from tests.patience import PATIENT

ROOT = Path(__file__).resolve().parent.parent
REGISTRY = load_registry()


def shell(*command: str | Path, cwd: Path, path: Path | None = None) -> str:
    """Run a command of this environment; `path` is searched for packages first. Fails with its output."""
    env = {**os.environ, "COLUMNS": "200"} | ({"PYTHONPATH": str(path)} if path else {})
    ended = subprocess.run(
        [sys.executable, "-m", *map(str, command)],
        cwd=cwd,
        env=env,
        capture_output=True,
        text=True,
        timeout=PATIENT,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout + ended.stderr


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the package `demo`, installed into `site` beside it, away from this environment."""
    folder = tmp_path_factory.mktemp("plugin")
    shell("ge_engine.cli", "plugin", "new", "demo", cwd=folder)
    shell(
        "pip",
        "install",
        "--quiet",
        "--no-deps",
        "--no-build-isolation",
        "--target",
        "site",
        "./demo",
        cwd=folder,
    )
    return folder


@pytest.mark.long
def test_a_new_plugin_whose_own_tests_fail(made: Path) -> None:
    ended = shell("pytest", "demo", "-q", "-p", "no:cacheprovider", cwd=made, path=made / "site")
    assert " passed" in ended
    assert "failed" not in ended
    assert "skipped" not in ended


@pytest.mark.long
def test_a_new_plugin_that_takes_no_part_in_a_run(made: Path) -> None:
    cheap = shlex.split(
        "--llm uniform --generations 1 --population 2 --epochs 1 --train-limit 128 --rescore-seeds 0"
        " --random-seed 3"
    )
    chosen = shlex.split(
        "--operators demo --objectives demo --objectives parameters --checks built-in,demo --run run"
    )
    seed = ROOT / "examples" / "plain_cnn.py"
    shell("ge_engine.cli", "evolve", seed, *cheap, *chosen, cwd=made, path=made / "site")
    logged = shell("ge_engine.cli", "log", "run", cwd=made, path=made / "site")
    assert "demo:leaner" in logged


def test_a_new_plugin_that_its_own_project_would_not_lint(made: Path) -> None:
    shell("ruff", "check", "demo", cwd=made)
    shell("ruff", "format", "--check", "demo", cwd=made)


THE_PLUGIN_ALONE = """
[[tool.mypy.overrides]]
module = ["torch.*", "transformers.*"]
ignore_missing_imports = true
follow_imports = "skip"

[[tool.mypy.overrides]]
module = ["ge_engine.*"]
follow_imports = "silent"
"""
"""Of the engine its types, without faults of its own, and not the libraries that the template does not use:
they take mypy half a minute where it has no cache."""


@pytest.mark.long
def test_a_new_plugin_that_mypy_refuses(made: Path) -> None:
    settings = made / "pyproject.toml"
    settings.write_text((ROOT / "pyproject.toml").read_text("utf-8") + THE_PLUGIN_ALONE)
    cache = ("--config-file", settings, "--cache-dir", made / "cache")
    shell("mypy", *cache, *sorted((made / "demo" / "src" / "ge_demo").glob("*.py")), cwd=ROOT)


@pytest.mark.long
def test_a_new_plugin_that_mypy_refuses_with_all_that_the_engine_imports(made: Path) -> None:
    """In the engine's folder and with its configuration, so that the cache of `make types` serves."""
    shell("mypy", *sorted((made / "demo" / "src" / "ge_demo").glob("*.py")), cwd=ROOT)


def test_a_word_of_the_template_that_was_left(made: Path) -> None:
    for file in (made / "demo").rglob("*"):
        assert "plugin_" not in file.name
        if file.suffix in (".py", ".md", ".toml"):
            text = file.read_text("utf-8")
            assert not [
                w for w in ("plugin_", "Plugin", "engine_version") if w in text.replace("--no-plugin", "")
            ]


@pytest.mark.parametrize(
    "name", ["", "Demo", "1st", "a--b", "-a", "a-", "a_b", "../x", "a b", "é", "a" * 41, "mutation", "checks"]
)
def test_a_name_that_makes_a_broken_package(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigError) as caught:
        write_plugin(name, tmp_path, REGISTRY)
    assert caught.value.hint
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_overwritten(tmp_path: Path) -> None:
    (tmp_path / "demo").mkdir()
    (tmp_path / "demo" / "mine.txt").write_text("kept")
    with pytest.raises(ConfigError, match="exists"):
        write_plugin("demo", tmp_path, REGISTRY)
    assert (tmp_path / "demo" / "mine.txt").read_text() == "kept"


def test_a_hyphen_that_ends_up_in_an_import_name(tmp_path: Path) -> None:
    made = write_plugin("tiny-heads", tmp_path / "new" / "folder", REGISTRY)
    module = module_of("tiny-heads")
    assert (made / "src" / module / "operator.py").is_file()
    assert f'tiny-heads = "{module}.plugin"' in (made / "pyproject.toml").read_text()
    assert "class TinyHeadsOperator" in (made / "src" / module / "operator.py").read_text()
