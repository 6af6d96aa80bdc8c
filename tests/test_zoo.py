"""Installed model files that nobody here wrote, evolved by the real command (`make zoo` takes them all)."""

from __future__ import annotations

from pathlib import Path

import doubles
import pytest
from benchmarks_here import benchmark

from ge_engine.ledger import Ledger
from ge_engine.outcome import Outcome, Rejected, Scored
from ge_engine.population import Individual, Step

zoo = benchmark("zoo")

BLOCKS = """
import torch
from torch import nn

class Conv(nn.Module):
    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, 3, stride=2, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu(self.conv(x))
"""
NET = """
from torch import Tensor, nn

from .parts.blocks import Conv

class Net(nn.Module):
    def __init__(self, width: int = 4) -> None:
        super().__init__()
        self.stem = nn.Sequential(Conv(3, width), Conv(width, width))
        self.head = nn.Linear(width, 10)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.stem(x).mean((2, 3)))
"""
SCORED = Scored({"accuracy": 0.5}, {})
REJECTED = Rejected("shape", "it gives the wrong shape")


def child(outcome: Outcome, *addresses: str) -> Individual:
    """A child that was made by changing blocks."""
    steps = tuple(Step("purposeful", "none", "reduce", address, "block") for address in addresses)
    return Individual("g0s0", 0, 0, ("seed",), steps, doubles.seed().genome, outcome)


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


def test_the_zoo_has_ten_models_of_several_files() -> None:
    assert len(zoo.SEVERAL) >= 10
    names = [model.name for model in (*zoo.MODELS, *zoo.SEVERAL)]
    assert len(set(names)) == len(names)
    files = [zoo.installed(file) for model in zoo.SEVERAL for file in (model.file, *model.also)]
    assert all(file.is_file() for file in files)
    assert all(model.several for model in zoo.SEVERAL)
    assert not any(model.several for model in zoo.MODELS)


def test_a_piece_of_the_zoo_cannot_be_asked_for() -> None:
    assert zoo.chosen([]) == [*zoo.MODELS, *zoo.SEVERAL]
    assert zoo.chosen(["files"]) == list(zoo.SEVERAL)
    assert [model.name for model in zoo.chosen(["files:maxvit", "swin,"])] == [
        "swin, small",
        "files:maxvit",
    ]
    assert zoo.chosen(["no such"]) == []


@pytest.mark.parametrize(
    ("children", "said"),
    [
        ([child(REJECTED, "net.py::Net"), child(REJECTED, "blocks.py::Conv")], "error: no child was scored"),
        ([child(SCORED, "net.py::Net"), child(SCORED, "net.py::f")], "error: no children in two files"),
        ([child(SCORED, "net.py::Net"), child(REJECTED)], "error: no children in two files"),
        ([], "error: no child was scored"),
        ([child(SCORED, "net.py::Net"), child(REJECTED, "blocks.py::Conv")], ""),
        ([child(SCORED, "net.py::Net, blocks.py::Conv")], ""),
    ],
)
def test_a_model_of_which_one_file_alone_is_evolved_passes(children: list[Individual], said: str) -> None:
    assert zoo.lack(children) == said


def test_a_child_of_two_steps_in_a_file_counts_twice() -> None:
    children = [
        child(SCORED, "net.py::Net", "net.py::Net.forward, blocks.py::Conv"),
        child(REJECTED, "blocks.py::Conv"),
    ]
    told = "net.py 1 (1 scored), blocks.py 2 (1 scored), norms.py 0 (0 scored)"
    assert zoo.by_file(["net.py", "blocks.py", "norms.py"], children) == told


@pytest.mark.long
def test_a_package_of_several_files_is_not_evolved_by_the_zoo(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    package = tmp_path / "smallzoo"
    (package / "parts").mkdir(parents=True)
    (package / "__init__.py").write_text("from smallzoo.net import Net\n")
    (package / "parts" / "__init__.py").write_text("")
    (package / "parts" / "blocks.py").write_text(BLOCKS)
    (package / "net.py").write_text(NET)
    monkeypatch.syspath_prepend(tmp_path)
    model = zoo.Model(
        "files:small", "smallzoo/net.py", "Net(width=6)", also=("smallzoo/parts/blocks.py",), children=8
    )
    row = zoo.tried(model, tmp_path)
    assert (row.fault, row.entry, row.given) == ("", "Net(width=6)", True)
    assert sum(int(part.split()[0]) for part in row.outcomes.split(", ")) == 8
    assert "scored" in row.outcomes
    assert [part.split()[0] for part in row.files.split(", ")] == ["net.py", "parts/blocks.py"]
    assert " 0 (" not in row.files
    print(*zoo.lines(row, with_reasons=False), sep="\n")
    assert f"    {row.files}\n    Net(width=6)" in capsys.readouterr().out


def test_a_command_that_fails_before_its_run_begins_ends_the_zoo(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "brokenzoo").mkdir()
    (tmp_path / "brokenzoo" / "__init__.py").write_text("")
    (tmp_path / "brokenzoo" / "net.py").write_text("class Net(:\n")
    monkeypatch.syspath_prepend(tmp_path)
    model = zoo.Model("files:broken", "brokenzoo/net.py", "Net()", package=True)
    row = zoo.tried(model, tmp_path)
    assert row.fault
    assert (row.outcomes, row.files) == ("", "")
    assert row.fault in next(zoo.lines(row, with_reasons=True))
