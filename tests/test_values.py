# ruff: noqa: E501
"""Values of a module (`WIDTH = 64`) as blocks: which are, and what a rewrite of one leaves alone."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ge_engine.changes import blame, diff_genomes
from ge_engine.context.file import BEGIN, file
from ge_engine.contracts import Prompt, Reply, Target
from ge_engine.errors import SeedError
from ge_engine.genome import Genome, Seed, differing
from ge_engine.grammar import edits
from ge_engine.ledger import History
from ge_engine.outcome import Rejected
from ge_engine.patch import Patch, apply, parse_patch, transplant
from ge_engine.replies.blocks import read_blocks
from ge_engine.replies.extraction import extract
from ge_engine.source.values_read import values_read
from ge_engine.structure.moves import moves_of
from ge_engine.variant import as_genome
from ge_plugins.grammars import Moves
from ge_plugins.redesign import structured

LEDGERS = Path(__file__).resolve().parent / "ledgers"
TEXT = '''"""Sizes stand above the network."""

import torch.nn as nn

__all__ = ["Net"]
NUM_CLASSES = 10
EPOCHS = 3
# Channels of each stage.
CFG = [16, "M", 32, "M"]  # M: half the size
WIDTH: int = 2 * 32
SIZES = {
    "stem": (8, 3),  # width and kernel
    "heads": {"count": 4, "dropout": 0.1},
}
A = B = 4
C = 5; D = 6
TWICE = 7
TWICE = 8
ACT = nn.ReLU()
NOBODY = 12
COUNTER = 0


def head(width=WIDTH, classes=NUM_CLASSES):
    global COUNTER
    COUNTER += A + B + C + D + TWICE
    return nn.Linear(width, classes)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, SIZES["stem"][0], CFG[0])
        self.head = head()

    def forward(self, x):
        return self.head(self.stem(x).mean(dim=(2, 3)))
'''


def genome_of(text: str = TEXT) -> Genome:
    return Seed.from_bytes(text.encode()).genome


def rewritten(genome: Genome, address: str, code: str) -> Genome:
    patch = parse_patch(genome, address, code)
    assert isinstance(patch, Patch), patch
    child = apply(genome, patch)
    assert isinstance(child, Genome), child
    return child


def test_a_value_that_is_no_block_or_a_block_that_is_none() -> None:
    genome = genome_of()
    values = {address: block for address, block in genome.blocks.items() if block.kind == "values"}
    assert list(values) == ["CFG", "WIDTH", "SIZES", "NOBODY"]
    assert [values[name].lines for name in ("CFG", "WIDTH", "SIZES")] == [(9, 9), (10, 10), (11, 14)]
    assert values["CFG"].code == 'CFG = [16, "M", 32, "M"]'
    assert "TABLE" not in genome_of(f"TABLE = {[8] * 600}\n{TEXT}").blocks
    assert values["NOBODY"].reason == "no code of the file reads it"
    assert {"CFG", "WIDTH", "SIZES"} < set(genome.evolvable)
    with pytest.raises(SeedError, match="no class and no function"):
        genome_of("WIDTH = 64\nDEPTH = WIDTH\n")


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_a_byte_outside_a_value_that_its_rewrite_changes(end: str) -> None:
    text = TEXT.replace("\n", end)
    genome = genome_of(text)
    assert genome.source == text.encode()
    child = rewritten(genome, "CFG", 'CFG = [24, "M"]')
    child = rewritten(child, "SIZES", 'SIZES = {\n    "stem": (4, 5),\n    "heads": {"count": 2}\n}')
    start, stop = text.index("SIZES = {"), text.index("A = B")
    wanted = (
        text[:start]
        + 'SIZES = {\n    "stem": (4, 5),\n    "heads": {"count": 2}\n}\n'.replace("\n", end)
        + text[stop:]
    )
    assert child.source == wanted.replace('[16, "M", 32, "M"]', '[24, "M"]').encode()
    assert rewritten(child, "CFG", genome.blocks["CFG"].code).blocks["CFG"].code == genome.blocks["CFG"].code


@pytest.mark.parametrize(
    ("address", "code", "reason"),
    [
        ("CFG", "CFG = (16, 32)", "must stay a list"),
        ("CFG", "CFG = [16, *range(3)]", "must stay a list"),
        ("CFG", "CFG = list((1, 2))", "must stay a list"),
        ("CFG", 'CFG = [16, ..., "M"]', "must stay a list"),
        ("CFG", 'CFG = [16, "M"  # ... rest unchanged\n]', "write the whole value"),
        ("CFG", "CFGS = [16]", "the name must stay CFG"),
        ("CFG", "def CFG():\n    return [16]", "the name must stay CFG"),
        ("CFG", f"CFG = {[8] * 600}", "and short"),
        ("WIDTH", "WIDTH = '64'", "must stay a number"),
        ("WIDTH", "WIDTH = True", "must stay a number"),
        ("WIDTH", "WIDTH += 3", "the reply holds no definition"),
        ("SIZES", "SIZES = {**BASE, 'a': 1}", "must stay a dict"),
        ("Net", "Net = 3", "the name must stay Net"),
    ],
)
def test_a_value_that_becomes_something_else(address: str, code: str, reason: str) -> None:
    found = parse_patch(genome_of(), address, code)
    assert isinstance(found, Rejected)
    assert reason in found.reason


@pytest.mark.parametrize(
    "reply",
    [
        "WIDTH = 96",
        "```python\nWIDTH: int = 96\n```",
        "I would make it wider:\n\nWIDTH = 96\n\nThat is the usual size.",
        "import torch.nn as nn\n\nCFG = [1]\nWIDTH = 96\n\n\nclass Net(nn.Module):\n    pass\n",
        "```\n<<<<<<< SEARCH\nWIDTH: int = 2 * 32\n=======\nWIDTH: int = 96\n>>>>>>> REPLACE\n```",
    ],
)
def test_a_free_reply_for_a_value_that_is_not_read(reply: str) -> None:
    genome = genome_of()
    found = extract(reply, "stop", genome, "WIDTH")
    assert not isinstance(found, Rejected), found
    child = rewritten(genome, "WIDTH", found.code)
    assert "= 96\n" in child.text
    assert [change.address for change in diff_genomes(genome, child)] == ["WIDTH"]


def test_a_value_that_is_not_mated_diffed_blamed_or_recorded() -> None:
    genome = genome_of()
    one, other = rewritten(genome, "WIDTH", "WIDTH: int = 48"), rewritten(genome, "CFG", "CFG = [8]")
    assert differing(one, other) == ("CFG", "WIDTH")
    child = apply(one, transplant(other, "CFG"))
    assert isinstance(child, Genome)
    assert child.text == one.text.replace('[16, "M", 32, "M"]', "[8]")
    assert [(c.kind, c.address) for c in diff_genomes(genome, child)] == [
        ("changed", "CFG"),
        ("changed", "WIDTH"),
    ]
    assert [line.index for line in blame([genome, one, child])] == [2, 1]
    back = Genome.from_delta(genome.seed, json.loads(json.dumps(child.delta())))
    assert (back.source, back.digest) == (child.source, child.digest)
    assert set(child.delta()["replaced"]) == {"CFG", "WIDTH"}


def test_a_ledger_that_counts_definitions_and_is_read_by_the_new_cut() -> None:
    """In schema 4 a rewritten block was recorded by its number in a cut that had no values."""
    with History(LEDGERS / "schema_4_values") as history:
        genomes = {one.id: one.genome for one in history.individuals() if one.genome}
        seed = genomes["seed"]
        assert {"CFG", "HIDDEN"} < set(seed.evolvable)
        assert seed.seed.cut.former[3] == "Gate"
        assert seed.seed.cut.index["Gate"] != 3
        assert differing(seed, genomes["g0s4"]) == ("Gate.forward",)
        assert "InvertedResidual" in genomes["g0s5"].blocks
    with closing(sqlite3.connect(LEDGERS / "schema_4_values" / "ledger.sqlite")) as database:
        stored = dict(database.execute("SELECT id, digest FROM individuals WHERE digest IS NOT NULL"))
    assert {name: genome.digest for name, genome in genomes.items()} == stored


def test_a_value_that_is_read_and_counts_as_dead() -> None:
    assert values_read({"": TEXT.encode()}, {"Net", "head"}) == {"CFG", "WIDTH", "SIZES"}
    assert values_read({"": TEXT.encode()}, {"head"}) == {"WIDTH"}
    guarded = TEXT + '\n\nif __name__ == "__main__":\n    print(NOBODY)\n'
    assert values_read({"": guarded.encode()}, set()) == set()


def test_a_value_without_moves_or_lines_to_rewrite() -> None:
    genome = genome_of()
    assert {"CFG", "WIDTH", "SIZES"} < set(structured(genome, genome.evolvable))
    found = {move.text: move.code for move in moves_of(genome.blocks["SIZES"].code)}
    assert '"stem": (4, 3),  # width' in found["width 8 becomes 4"]
    assert '"count": 3,' in found['count 4 becomes 3 in "heads": {"count": 4, "dropout": 0.1},']
    for address, lines in (("CFG", {1}), ("WIDTH", {1}), ("SIZES", {2, 3})):
        plans = [edits.plan(Target(genome, address, seed=seed)) for seed in range(12)]
        assert not any(isinstance(plan, Rejected) for plan in plans)
        shown = {int(line.partition(":")[0]) for plan in plans for line in plan.shown}  # type: ignore[union-attr]
        assert shown == lines
    reply = Reply('drop "M"', "stop", 1, 1, 1.0, "m")
    patch = Moves().decode(reply, Target(genome, "CFG"))
    assert isinstance(patch, Patch)
    assert patch.code == 'CFG = [16, 32, "M"]'


def test_a_value_and_a_class_that_one_reply_cannot_change_together() -> None:
    genome = genome_of()
    whole = TEXT.replace('[16, "M", 32, "M"]', '[16, "M"]').replace("CFG[0])", "CFG[0] // 4)")
    net = "class Net(nn.Module):" + whole.partition("class Net(nn.Module):")[2]
    edit = (
        '<<<<<<< SEARCH\nCFG = [16, "M", 32, "M"]  # M: half the size\n=======\nCFG = [16, "M"]  # M: half the size\n'
        '>>>>>>> REPLACE\n<<<<<<< SEARCH\nSIZES["stem"][0], CFG[0])\n=======\nSIZES["stem"][0], CFG[0] // 4)\n>>>>>>> REPLACE'
    )
    for reply in (
        f"```python\n{whole}```",
        f'Shorter:\n```python\nCFG = [16, "M"]  # M: half the size\n```\nand\n```python\n{net}```',
        edit.replace(
            'SIZES["stem"][0], CFG[0])', '        self.stem = nn.Conv2d(3, SIZES["stem"][0], CFG[0])'
        ).replace(
            'SIZES["stem"][0], CFG[0] // 4)',
            '        self.stem = nn.Conv2d(3, SIZES["stem"][0], CFG[0] // 4)',
        ),
    ):
        patch = read_blocks(reply, "stop", genome, genome.evolvable)
        assert not isinstance(patch, Rejected), patch
        child = apply(genome, patch)
        assert isinstance(child, Genome), child
        assert child.text == whole
        assert set(patch.addresses) >= {"CFG"}
        assert differing(genome, child) == ("CFG", "Net.__init__")


def test_a_comment_beside_a_value_that_doubles_or_goes() -> None:
    genome = genome_of()
    for number in range(10):
        genome = rewritten(genome, "CFG", f'CFG = [{number}, "M"]  # M: half the size')
        genome = rewritten(genome, "WIDTH", f"WIDTH = {number}  # wide")
    assert genome.text.count("# M: half the size") == 1
    assert 'CFG = [9, "M"]  # M: half the size\n' in genome.text
    assert "WIDTH = 9  # wide\n" in genome.text
    patch = parse_patch(genome, "CFG", "# mine\nCFG = [1]  # other")
    assert isinstance(patch, Patch)
    assert patch.notes == (
        "the comment above CFG was left out: '# mine'",
        "the comment beside CFG was left out: '# other'",
    )


def test_a_value_that_stays_though_a_reply_changes_what_it_may_not_be() -> None:
    genome = genome_of()
    for old, new in (("CFG = [16", "CFG = 1 or [16"), ("NUM_CLASSES = 10", "NUM_CLASSES = 11")):
        reply = f"```python\n{TEXT.replace(old, new)}```"
        patch = read_blocks(reply, "stop", genome, genome.evolvable)
        assert isinstance(patch, Rejected), patch
        assert old.partition(" ")[0] in patch.reason


def test_a_value_that_a_copy_by_hand_may_not_change() -> None:
    seed = genome_of().seed
    text = TEXT.replace('"count": 4', '"count": 8').replace("WIDTH: int = 2 * 32", "WIDTH: int = 48")
    made = as_genome(seed, Seed.from_bytes(text.encode(), Path("mine.py")))
    assert made.text == text
    assert differing(seed.genome, made) == ("WIDTH", "SIZES")
    for old, new in (("CFG = [16", "CFG = 1 or [16"), ("NUM_CLASSES = 10", "NUM_CLASSES = 11")):
        with pytest.raises(SeedError, match=old.partition(" ")[0]):
            as_genome(seed, Seed.from_bytes(TEXT.replace(old, new).encode(), Path("mine.py")))


def test_a_prompt_that_cannot_show_what_reads_a_value() -> None:
    context: Any = SimpleNamespace(genome=genome_of())
    near, *_, whole = file(context, Prompt("", "", "Net.forward"))
    assert "def __init__(self):" in near
    near, *_, whole = file(context, Prompt("", "", "head"))
    assert "WIDTH: int = 2 * 32" in near
    near, *_, whole = file(context, Prompt("", "", "CFG"))
    assert "class Net(nn.Module):" in near
    assert BEGIN + "\nCFG = " in whole
