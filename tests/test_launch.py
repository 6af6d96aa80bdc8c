"""One training over two processes (gloo): the same accuracy and learning rates as in one (P7)."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from ge_engine.config import load_config
from ge_engine.launch import train_file
from ge_plugins.tasks import Folder
from tests.evaluation import data, source
from tests.patience import PATIENT

PLAIN = source().replace("self.norm = nn.BatchNorm2d(channels)", "self.norm = nn.Identity()")


@pytest.fixture
def images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    held = data(train=161, test=97)
    for part, split in (("train", held.train), ("test", held.test)):
        for number, (image, label) in enumerate(zip(split.images, split.labels, strict=True)):
            folder = tmp_path / "images" / part / f"class{label}"
            folder.mkdir(parents=True, exist_ok=True)
            Image.fromarray(image.permute(1, 2, 0).numpy()).save(folder / f"{number}.png")
    return tmp_path / "images"


@pytest.mark.long
def test_two_processes_that_score_otherwise_than_one(images: Path, tmp_path: Path) -> None:
    file = tmp_path / "net.py"
    file.write_text(PLAIN)
    task = f"folder:{images}"
    config = load_config("demo", None, {"task": task, "training.epochs": 2, "training.batch_size": 16})
    launch = "-m torch.distributed.run --standalone --nproc-per-node 2 -m ge_engine.launch"
    command = [
        sys.executable,
        *launch.split(),
        str(file),
        "--task",
        task,
        "--epochs",
        "2",
        "--batch-size",
        "16",
    ]
    alone = train_file(file, config, Folder().load(str(images), config), "test")
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENT, check=False)
    assert done.returncode == 0, done.stderr
    together = json.loads(done.stdout.strip().splitlines()[-1])
    assert (together["processes"], together["images"], alone["images"]) == (2, 97, 97)
    assert alone["accuracy"] == together["accuracy"]
    assert [point["lr"] for point in alone["curve"]] == [point["lr"] for point in together["curve"]]
    for one, two in zip(alone["curve"], together["curve"], strict=True):
        assert one["loss"] == pytest.approx(two["loss"], abs=0.02)
