"""Sites of the forms `edits` and `block`: numbers that are stated, and none where a rewrite cannot work."""

from __future__ import annotations

import ast
import random

import pytest

from ge_engine.genome import Genome, Seed
from ge_engine.grammar import crossover_material
from ge_engine.grammar.channel_inference import assigned_layers, tensor_statements
from ge_engine.grammar.rewrite_sites import Site, find_sites
from ge_engine.grammar.scope import scope_of
from ge_engine.source.source_text import Source
from ge_engine.source.syntax import method_of

HEAD = "import torch\nimport torch.nn as nn\nimport torch.nn.functional as F\n\n\n"
STATED = """@dataclass
class Config:
    width: int = 64
    depths: tuple = (2, 6)
    rates = [0.1, 0.5]
    num_classes: int = 10


class Net(nn.Module):
    kinds = {"stem": {"kernel_size": 3}}

    def __init__(self, hidden=48, *, dim=1, scale=2.5):
        super().__init__()
        self.heads = 4
        self.parts = nn.ModuleList([Config(width=3), hidden])

    def forward(self, x, axis=1):
        axes = (2, 3)
        return x.mean(axes)
"""
CLOSED = """class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 8, kernel_size=3)
        self.act = nn.ReLU()
        self.head = nn.Linear(8, 4)

    def forward(self, x, y):
        n, c = x.shape[:2]
        side = x.size(2) // 2
        both = c + side * 2
        grown = self.act(self.conv(x)) + self.conv.bias[:, None, None]
        logits = self.head(grown.mean((2, 3)))
        loss = F.cross_entropy(F.relu(logits), y, label_smoothing=0.1)
        return loss
"""


def genome_of(code: str) -> Genome:
    return Seed.from_bytes((HEAD + code).encode()).genome


def sites(code: str, address: str) -> list[Site]:
    genome = genome_of(code)
    own = genome.blocks[address].code
    return find_sites(Source(own), scope_of(genome, address), random.Random(0), 5)


def texts(code: str, address: str) -> set[str]:
    own = genome_of(code).blocks[address].code
    return {own[site.start : site.end] for site in sites(code, address)}


def test_a_number_of_a_field_list_or_default_that_no_form_can_change() -> None:
    assert texts(STATED, "Config") == {"64", "2", "6", "0.1", "0.5"}
    numbers = {own for own in texts(STATED, "Net") if own.replace(".", "").isdecimal()}
    assert numbers == {"3", "48", "2.5", "4"}


def test_a_layer_whose_attributes_are_read_that_is_offered_as_another() -> None:
    offered = texts(CLOSED, "Net")
    assert "nn.ReLU()" in offered
    assert not any(own.startswith("nn.Conv2d") for own in offered)
    assert any(
        own.startswith("nn.Conv2d") for own in texts(CLOSED.replace("self.conv.bias", "self.bias"), "Net")
    )


@pytest.mark.parametrize(
    "closed", ["x.size(2) // 2", "c + side * 2", "F.relu(logits)", "0.1", "F.cross_entropy"]
)
def test_a_size_or_a_part_of_a_loss_that_is_offered_as_features(closed: str) -> None:
    assert closed in CLOSED
    assert not any(own.startswith(closed) for own in texts(CLOSED, "Net"))


TOKENS = """class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.words = nn.Embedding(32, 8)
        self.places = nn.Parameter(torch.zeros(8))
        self.shift = torch.ones(8)
        self.act = nn.ReLU()

    def forward(self, x):
        tokens = ((x.tanh() + 1) * 15.5).long()
        tokens = tokens + 1
        where = torch.arange(8)
        kinds = x.to(torch.int64)
        words = self.words(tokens)
        return self.act(words + self.places[where])
"""


def test_whole_numbers_that_are_taken_for_features() -> None:
    owner = ast.parse(TOKENS).body[0]
    assert isinstance(owner, ast.ClassDef)
    forward = method_of(owner, "forward")
    assert forward is not None
    scope = scope_of(genome_of(TOKENS), "Net")
    assert [one.variable for one in tensor_statements(forward, scope)] == ["words", ""]
    closed = ("((x.tanh() + 1) * 15.5).long()", "tokens + 1", "torch.arange(8)", "x.to(torch.int64)")
    assert not texts(TOKENS, "Net") & set(closed)
    floating = TOKENS.replace(".long()", ".float()")
    assert "((x.tanh() + 1) * 15.5).float()" in texts(floating, "Net")


def test_a_parameter_that_is_called_like_a_layer() -> None:
    assert set(assigned_layers(scope_of(genome_of(TOKENS), "Net"))) == {"words", "act"}


def test_a_statement_about_sizes_that_is_taken_for_a_tensor() -> None:
    owner = ast.parse(CLOSED).body[0]
    assert isinstance(owner, ast.ClassDef)
    forward = method_of(owner, "forward")
    assert forward is not None
    found = tensor_statements(forward, scope_of(genome_of(CLOSED), "Net"))
    assert [one.variable for one in found] == ["grown", "logits"]


FIRST = """class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Linear(8, 32)
        self.again = nn.Linear(32, 32)
        self.act = nn.ReLU()
        self.head = nn.Linear(32, 4)

    def forward(self, x):
        x = self.again(self.body(x))
        return self.head(self.act(x))
"""


@pytest.mark.parametrize(
    ("old", "new", "taken"),
    [
        ("nn.ReLU()", "nn.GELU()", True),
        ("self.act(x)", "x", True),
        ("self.again(self.body(x))", "self.body(x)", False),  # a layer with weights would idle
        ("32", "48", False),  # one line of several that have to agree
        ("nn.Linear(8, 32)", "nn.Sequential(nn.Linear(8, 64), nn.Linear(64, 32))", True),
    ],
)
def test_a_statement_of_the_other_parent_that_breaks_the_child(old: str, new: str, taken: bool) -> None:
    genome = genome_of(FIRST)
    found = crossover_material.sites(Source(FIRST), FIRST.replace(old, new), genome, scope_of(genome, "Net"))
    assert bool(found) == taken
