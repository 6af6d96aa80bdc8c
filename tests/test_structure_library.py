"""Blocks that moves bring along: they build, learn, come once, and take no name that the file has."""

from __future__ import annotations

from pathlib import Path

import pytest
from evaluation import CLASSES, probe_here

from ge_engine.genome import Genome, Seed
from ge_engine.patch import Patch, apply, parse_patch
from ge_engine.structure.moves import Move, module_classes, moves_of, together

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"
PLAIN = Seed.load(EXAMPLES / "plain_cnn.py").genome
BROUGHT = {"InvertedResidual", "SeparablePair", "SqueezeExcite", "ScaledSkip"}


def moves(genome: Genome, address: str) -> dict[str, Move]:
    return {
        move.text: move for move in moves_of(genome.blocks[address].code, module_classes(genome, address))
    }


def rewritten(genome: Genome, address: str, code: str | None) -> Genome:
    assert code is not None
    patch = parse_patch(genome, address, code)
    assert isinstance(patch, Patch)
    child = apply(genome, patch)
    assert isinstance(child, Genome)
    return child


WORKING = [
    ("PlainCNN", "replace ConvBlock(16, 32) by InvertedResidual(16, 32)"),
    ("PlainCNN", "replace ConvBlock(32, 64) by SeparablePair(32, 64)"),
    ("PlainCNN", "insert SqueezeExcite(32) behind ConvBlock(16, 32)"),
    ("ConvBlock", "insert SqueezeExcite(out_channels) behind nn.BatchNorm2d(out_channels)"),
]


@pytest.mark.parametrize(("address", "text"), WORKING)
def test_a_known_block_that_does_not_build_or_learn_where_it_fits(address: str, text: str) -> None:
    child = rewritten(PLAIN, address, moves(PLAIN, address)[text].code)
    findings = probe_here(child.text, f"PlainCNN(num_classes={CLASSES})")
    assert (findings.stage, findings.error) == ("", "")
    assert not findings.without_gradient
    assert len(BROUGHT & set(child.blocks)) == 1


def test_a_shortcut_around_what_keeps_its_shape_that_is_not_offered() -> None:
    code = PLAIN.blocks["PlainCNN"].code
    code = code.replace("ConvBlock(16, 32)", "nn.Sequential(Keep(16), ConvBlock(16, 32))")
    keep = """
class Keep(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x):
        return self.conv(x)


"""
    genome = rewritten(PLAIN, "PlainCNN", keep + code)
    child = rewritten(genome, "PlainCNN", moves(genome, "PlainCNN")["insert a shortcut around Keep(16)"].code)
    entry = f"PlainCNN(num_classes={CLASSES})"
    before, after = probe_here(genome.text, entry), probe_here(child.text, entry)
    assert after.stage == ""
    assert after.facts["parameters"] == before.facts["parameters"] + 1


def test_a_helper_that_two_moves_bring_twice() -> None:
    wanted = [m for t, m in moves(PLAIN, "PlainCNN").items() if "by InvertedResidual" in t][:2]
    both = together(PLAIN.blocks["PlainCNN"].code, wanted)
    assert len(wanted) == 2
    assert both is not None
    assert both.count("class InvertedResidual") == 1
    child = rewritten(PLAIN, "PlainCNN", both)
    assert probe_here(child.text, f"PlainCNN(num_classes={CLASSES})").stage == ""


@pytest.mark.parametrize("name", sorted(BROUGHT))
def test_a_name_that_the_file_or_the_block_has_already(name: str) -> None:
    code, classes = PLAIN.blocks["PlainCNN"].code, module_classes(PLAIN, "PlainCNN")
    assert any(f"class {name}" in move.code for move in moves_of(code, classes))
    taken = moves_of(code, (*classes, name))
    assert not any(f"class {name}" in move.code for move in taken)
    read = code.replace("in_channels=3)", f"in_channels=3, {name}=None)", 1)
    read = read.replace("super().__init__()", f"super().__init__()\n        self.kept = {name}")
    assert not any(f"class {name}" in move.code for move in moves_of(read, classes))
