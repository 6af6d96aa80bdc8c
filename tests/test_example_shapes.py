"""The examples of each kind of network: they train a step, and their structure can be changed."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future
from functools import partial
from itertools import count
from pathlib import Path

import pytest
from evaluation import CLASSES, SIZE, probe_here

from ge_engine.contracts import Size
from ge_engine.evaluation.data.candidate_files import candidate_files
from ge_engine.evaluation.probe.findings import TaskShape
from ge_engine.evaluation.probe.sizes import sizes_of
from ge_engine.genome import Genome, Seed
from ge_engine.patch import Patch, apply, parse_patch
from ge_engine.search.survey import Surveys
from ge_engine.structure.moves import module_classes, moves_of
from tests.sampled import everyday

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"
NETWORKS = {
    "resnet": ("ResNet", f"ResNet(num_classes={CLASSES})"),
    "vit": ("ViT", f"ViT(num_classes={CLASSES}, image_size={SIZE})"),
    "mlp_mixer": ("MLPMixer", f"MLPMixer(num_classes={CLASSES}, image_size={SIZE})"),
}
ALL = pytest.mark.parametrize("name", NETWORKS)


def measured(name: str, genomes: Sequence[Genome], seconds: float = 1e9) -> Future[tuple[Size | None, ...]]:
    """Sizes of variants of an example, built here: it is no stranger's."""
    file = EXAMPLES / f"{name}.py"
    found = sizes_of(
        [candidate_files({"": genome.source}, {"": str(file)}, "sized", {}) for genome in genomes],
        lambda module: eval(NETWORKS[name][1], vars(module)),
        TaskShape(3, SIZE, CLASSES),
        2**31,
        seconds,
    )
    future: Future[tuple[Size | None, ...]] = Future()
    future.set_result(tuple(Size(*size) if size else None for size in found))
    return future


def share(name: str, address: str, text: str) -> float:
    """The parameters after the move that `text` names, as a share of the example's."""
    seed = Seed.load(EXAMPLES / f"{name}.py").genome
    move = next(
        m for m in moves_of(seed.blocks[address].code, module_classes(seed, address)) if m.text == text
    )
    patch = parse_patch(seed, address, move.code)
    assert isinstance(patch, Patch)
    child = apply(seed, patch)
    assert isinstance(child, Genome)
    before, after = measured(name, [seed, child]).result()
    assert before is not None
    assert after is not None
    return after.parameters / before.parameters


@ALL
def test_an_example_that_does_not_go_through_a_training_step(name: str) -> None:
    findings = probe_here((EXAMPLES / f"{name}.py").read_text(), NETWORKS[name][1])
    assert (findings.stage, findings.error) == ("", "")
    assert not findings.without_gradient
    assert findings.output_shape[1] == CLASSES
    assert findings.facts["parameters"] < 1e6


@pytest.mark.parametrize("name", everyday(NETWORKS, "vit"))
def test_an_example_whose_widths_depth_or_stages_cannot_change(name: str) -> None:
    seed = Seed.load(EXAMPLES / f"{name}.py").genome
    found = Surveys(partial(measured, name)).of(seed, NETWORKS[name][0])
    kinds = {kind for move in found for kind in move.kinds}
    assert {"width", "depth"} <= kinds
    assert kinds & {"drop", "repeat"}
    assert min(move.parameters for move in found) < 0.5
    assert max(move.parameters for move in found) > 1.5


def test_a_stage_of_a_list_of_tuples_that_cannot_be_dropped_or_repeated() -> None:
    assert share("resnet", "ResNet", "drop (128, 2, 2)") < 0.5
    assert share("resnet", "ResNet", "repeat (64, 2, 2) as (64, 2, 2)") > 1.1


def test_a_part_that_takes_what_it_gives_and_cannot_be_repeated() -> None:
    """`Attention(dim, heads)` is no part of two widths, though it has two arguments."""
    assert share("vit", "Block", "repeat self.attention as Attention(dim, heads)") > 1.2


def test_an_exponent_that_is_taken_for_a_size() -> None:
    code = "def f(side=8):\n    return nn.Linear(side ** 2, side % 3, padding=1)\n"
    texts = [move.text for move in moves_of(code)]
    assert any(text.startswith("width 8") for text in texts)
    assert not [text for text in texts if text.startswith("a number")]
    assert [move.kind for move in moves_of(code) if move.text.startswith("padding 1")] == ["number"] * 3


def test_moves_that_a_busy_machine_leaves_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """Other processes take an hour of the clock between any two variants: none is left out."""
    hours = count()
    monkeypatch.setattr("time.monotonic", lambda: 3600.0 * next(hours))
    seed = Seed.load(EXAMPLES / "resnet.py").genome
    assert all(measured("resnet", [seed] * 4, 60.0).result())
