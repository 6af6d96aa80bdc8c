"""The whole of it on real parts: the embedded language model rewrites, real trainings score."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.patience import PATIENT

PLAIN = Path(__file__).resolve().parent.parent / "examples" / "plain_cnn.py"
SETTINGS = (
    "--generations",
    "2",
    "--population",
    "2",
    "--epochs",
    "1",
    "--train-limit",
    "512",
    "--rescore-seeds",
    "0",
    "--random-seed",
    "3",
)


def ge(*words: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "ge_engine.cli", *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=PATIENT)
    assert "Traceback" not in done.stderr
    return done


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A run with the default language model: its folder and what it printed."""
    folder = tmp_path_factory.mktemp("end") / "run"
    done = ge("evolve", PLAIN, "--run", folder, *SETTINGS)
    assert done.returncode == 0, done.stderr
    return folder, done.stdout


def records(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in ge("log", folder, "--json").stdout.splitlines()]


def test_a_language_model_whose_replies_make_no_children(run: tuple[Path, str]) -> None:
    folder, _ = run
    children = [one for one in records(folder) if one["id"] != "seed"]
    scored = [one for one in children if one["outcome"] == "scored"]
    assert len(children) == 4
    assert len(scored) >= 2
    assert len({one["digest"] for one in scored}) == len(scored)


def test_a_reply_that_no_model_wrote(run: tuple[Path, str]) -> None:
    folder, _ = run
    shown = ge("show", f"{folder}:g0s0").stdout
    assert "smollm2" in shown.lower()
    assert "reply g0s0/0" in shown


def test_a_summary_without_validation_and_test_figures(run: tuple[Path, str]) -> None:
    folder, printed = run
    front = [one for one in records(folder) if one["front"]]
    assert "accuracy, test" in printed
    for one in front:
        assert str(one["id"]) in printed


def test_an_exported_child_that_is_no_model(run: tuple[Path, str], tmp_path: Path) -> None:
    folder, _ = run
    child = next(one for one in records(folder) if one["outcome"] == "scored" and one["id"] != "seed")
    file = tmp_path / "better.py"
    assert ge("export", f"{folder}:{child['id']}", "-o", file).returncode == 0
    code = (
        f"import sys, torch; sys.path.insert(0, {str(tmp_path)!r}); import better; "
        "model = better.PlainCNN(num_classes=10); "
        "assert model(torch.zeros(2, 3, 32, 32)).shape == (2, 10); "
        "print(sum(p.numel() for p in model.parameters()))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    objectives = child["objectives"]
    assert isinstance(objectives, dict)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) == objectives["parameters"]


@pytest.mark.long
def test_a_replay_that_ends_elsewhere(run: tuple[Path, str], tmp_path: Path) -> None:
    folder, _ = run
    again = tmp_path / "again"
    done = ge("evolve", PLAIN, "--run", again, "--llm", f"replay:{folder}", *SETTINGS)
    assert done.returncode == 0, done.stderr
    assert [untimed(one) for one in records(again)] == [untimed(one) for one in records(folder)]


def untimed(record: dict[str, Any]) -> dict[str, Any]:
    """Without what tells when, by which model and how fast."""
    kept = {name: one for name, one in record.items() if name not in ("models", "llm_seconds", "asked_at")}
    for scores in (kept, kept.get("test", {})):
        scores.get("figures", {}).pop("train_seconds", None)
    return kept
