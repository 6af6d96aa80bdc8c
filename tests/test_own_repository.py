"""The worked example of a repository of somebody's own, by the command line, to a patch for it."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.patience import PATIENT
from tests.sampled import everyday

EXAMPLE = Path(__file__).resolve().parent.parent / "examples" / "charlm"
TRAIN = "python train.py --config config.toml --seed 7"
FLAGS = (
    *("--objective", "val_loss:min", "--metric", r"val_loss=val_loss=(\S+)"),
    *("--objective", "parameters", "--metric", r"parameters=parameters: (\S+)"),
)


MODEL = """\
from dataclasses import dataclass


@dataclass
class GPTConfig:
    n_layer: int = 2
    n_embd: int = 32
    dropout: float = 0.0


def built(config):
    return config.n_layer * config.n_embd**2
"""
SCRIPT = """\
from model import GPTConfig, built

config = GPTConfig()
print(f"parameters: {built(config):,}")
print(f"step 1: val_loss=9\\nstep 2: val_loss={config.n_layer / (1 + config.n_embd):.4f}")
open("ckpt.pt", "w").write("weights")
"""


@pytest.fixture(params=everyday(["without torch", "the example"], "without torch"))
def repository(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """The example under version control, with a shorter training, or with one that takes no time."""
    folder = tmp_path / "charlm"
    shutil.copytree(EXAMPLE, folder, ignore=shutil.ignore_patterns("__pycache__", "out"))
    config = folder / "config.toml"
    config.write_text(re.sub(r"(steps|eval_every) = \d+", r"\1 = 5", config.read_text()))
    if request.param == "without torch":
        (folder / "model.py").write_text(MODEL)
        (folder / "train.py").write_text(SCRIPT)
    git(folder, "init", "-q")
    git(folder, "add", "-A")
    git(folder, "-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "first")
    return folder


def git(folder: Path, *words: str) -> str:
    ended = subprocess.run(["git", *words], cwd=folder, capture_output=True, text=True, check=True)
    return ended.stdout


def ge(folder: Path, *words: str) -> str:
    command = [sys.executable, "-m", "ge_engine.cli", *words]
    ended = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=PATIENT, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


def test_a_repository_that_cannot_be_evolved_as_it_is_or_whose_patch_trains_to_other_figures(
    repository: Path,
) -> None:
    search = ("--llm", "uniform", "--generations", "1", "--population", "1", "--rescore-seeds", "0")
    ge(
        *(repository, "evolve", "model.py", "--project", ".", "--command", TRAIN, *FLAGS, *search),
        *("--no-canary", "--blocks", "GPTConfig", "--timeout", "5m", "--run", "runs/first"),
    )
    assert git(repository, "status", "--porcelain") == "?? runs/\n"
    listed = [json.loads(line) for line in ge(repository, "log", "runs/first", "--json").splitlines()]
    child = next(one for one in listed if one["id"] != "seed" and one["outcome"] == "scored")
    ge(repository, "export", f"runs/first:{child['id']}", "--patch", "-o", "better.patch")
    git(repository, "apply", "--check", "better.patch")
    git(repository, "apply", "better.patch")
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    trained = subprocess.run(
        TRAIN.split(), cwd=repository, env=environment, capture_output=True, text=True, check=True
    ).stdout
    by_hand = {
        "val_loss": float(re.findall(r"val_loss=([\d.]+)", trained)[-1]),
        "parameters": float(re.findall(r"parameters: ([\d,]+)", trained)[-1].replace(",", "")),
    }
    assert child["objectives"] == by_hand
    assert child["objectives"] != listed[0]["objectives"]
