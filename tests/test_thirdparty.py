"""A package of a third party, installed by pip, takes part in a run without touching us."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
PLAIN = HERE.parent / "examples" / "plain_cnn.py"


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The package installed into a folder of its own, so that this environment stays as it is."""
    target = tmp_path_factory.mktemp("site")
    source = tmp_path_factory.mktemp("source")
    for file in (HERE / "thirdparty").glob("*.*"):
        (source / file.name).write_bytes(file.read_bytes())
    pip = [sys.executable, "-m", "pip", "install", "--disable-pip-version-check", "--quiet", "--no-deps"]
    done = subprocess.run(
        [*pip, "--no-build-isolation", "--target", str(target), str(source)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return {**os.environ, "PYTHONPATH": str(target)}


def ge(environment: dict[str, str], *words: object) -> str:
    command = [sys.executable, "-m", "ge_engine.cli", *map(str, words)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_third_party_that_is_not_listed(environment: dict[str, str]) -> None:
    listed = next(line for line in ge(environment, "plugins").splitlines() if line.startswith("sample"))
    for part in ("1.2.3", "ge-sample-operator", "ge_operators"):
        assert part in listed


@pytest.mark.long
def test_a_third_partys_operator_that_takes_no_part(environment: dict[str, str], tmp_path: Path) -> None:
    run = tmp_path / "run"
    words = ["--operators", "swap-activation", "--llm", "uniform", "--generations", 1, "--population", 3]
    ge(environment, "evolve", PLAIN, "--run", run, "--epochs", 1, "--train-limit", 256, *words)
    records = [json.loads(line) for line in ge(environment, "log", run, "--json").splitlines()]
    children = [one for one in records if one["id"] != "seed"]
    assert {step["operator"] for one in children for step in one["steps"]} == {"swap-activation"}
    assert any(one["outcome"] == "scored" for one in children)
    assert "0 input, 0 output" in ge(environment, "log", run)
