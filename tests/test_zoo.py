"""Installed model files that nobody here wrote, evolved by the real command (`make zoo` takes them all)."""

from __future__ import annotations

from pathlib import Path

import doubles
import pytest
from benchmarks_here import benchmark

from ge_engine.ledger import Ledger

ROOT = Path(__file__).resolve().parent.parent


zoo = benchmark("zoo")


def test_the_zoo_has_twenty_models_of_torchvision_and_five_of_transformers() -> None:
    packages = [model.file.partition("/")[0] for model in zoo.MODELS]
    assert packages.count("torchvision") >= 20
    assert packages.count("transformers") >= 5
    assert len({model.name for model in zoo.MODELS}) == len(zoo.MODELS)
    assert all(model.path.is_file() for model in zoo.MODELS)


@pytest.mark.long
@pytest.mark.parametrize(
    ("name", "entry", "refused"),
    [
        ("squeezenet1_1", "SqueezeNet(num_classes=10)", ""),
        ("vit, small", "VisionTransformer(image_size=32, patch_size=8, ", "6 builders could give the model"),
    ],
)
def test_an_installed_model_file_that_does_not_evolve(
    name: str, entry: str, refused: str, tmp_path: Path
) -> None:
    (model,) = (one for one in zoo.MODELS if one.name == name)
    row = zoo.tried(model, tmp_path)
    assert row.fault == ""
    assert row.refused.startswith(refused)
    assert bool(row.refused) == bool(refused)
    assert row.entry.startswith(entry)
    assert sum(int(part.split()[0]) for part in row.outcomes.split(", ")) == 2


def test_a_generation_that_was_cut_short_counts_as_whole(tmp_path: Path) -> None:
    with Ledger.create(tmp_path, doubles.seed(), doubles.config()) as ledger:
        ledger.start_generation(0, 2)
    assert zoo.children_in(tmp_path) == ([], False)
    assert zoo.reason_in("starting\nerror: It does not run.\n  try: Fix it.") == "It does not run."
