# ruff: noqa: E501
"""Several blocks as one change: all of it or nothing, each block by its address, and nothing else moves."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from reply_variants import VARIANTS
from transform_seed import SE_WIDE, TEXT, genome_of

from ge_engine.changes import blame, diff_genomes
from ge_engine.contracts import Reply, Target
from ge_engine.genome import Genome, Seed, differing
from ge_engine.outcome import Rejected
from ge_engine.patch import JointPatch, Patch, apply, parse_patch, transplant, undefined_names
from ge_engine.replies.blocks import parse_blocks, read_blocks
from ge_plugins.grammars import Blocks

GENOME = genome_of()
SE = "class SE(nn.Module):" + TEXT.split("class SE(nn.Module):")[1].split("\n\n\n")[0] + "\n"
NET = "class Net(nn.Module):" + TEXT.split("class Net(nn.Module):")[1].split("\n\n\n")[0] + "\n"
WIDER = NET.replace("SE(8)", "SE(8, ratio=2)")
BOTH = TEXT.replace(SE, SE_WIDE).replace(NET, WIDER)
EDITS = """<<<<<<< SEARCH
        gate = F.relu(self.down(x.mean((2, 3))))
=======
        gate = F.silu(self.down(x.mean((2, 3))))
>>>>>>> REPLACE
<<<<<<< SEARCH
        self.gate = SE(8)
=======
        self.gate = SE(8, ratio=2)
>>>>>>> REPLACE
"""
EDITED = TEXT.replace("F.relu(self.down", "F.silu(self.down").replace("SE(8)", "SE(8, ratio=2)")


def fenced(*codes: str) -> str:
    return "\n".join(f"Here:\n```python\n{code}```\n" for code in codes)


def read(text: str, genome: Genome = GENOME, addresses: tuple[str, ...] = ()) -> JointPatch | Patch:
    patch = read_blocks(text, "stop", genome, addresses or genome.evolvable)
    assert not isinstance(patch, Rejected), patch
    return patch


def child_of(text: str, genome: Genome = GENOME) -> Genome:
    child = apply(genome, read(text, genome))
    assert isinstance(child, Genome), child
    return child


def refused(text: str, addresses: tuple[str, ...] = GENOME.evolvable, finish: str = "stop") -> Rejected:
    rejected = read_blocks(text, finish, GENOME, addresses)
    assert isinstance(rejected, Rejected), rejected
    return rejected


# --- a joint patch -------------------------------------------------------------------------------

FORWARD = "def forward(self, x):\n    return self.head(self.gate(self.stem(x)).mean((2, 3)))\n"
PATCHES = (
    Patch("make_norm", "def make_norm(channels):\n    return nn.GroupNorm(1, channels, eps=EPS)"),
    Patch("SE", SE_WIDE),
    Patch("Net.forward", FORWARD),
    Patch(
        "Net.twice",
        "@staticmethod\ndef twice(x):\n    return half(x) * 4",
        ("def half(x):\n    return x / 2",),
    ),
    Patch(
        "get_optimizer",
        "def get_optimizer(model, lr=0.1, *, weight_decay=0.0):\n    return half(Adam(model.parameters()))",
        ("def half(x):\n    return x / 2",),
        ("from torch.optim import Adam",),
    ),
)


@given(st.permutations(PATCHES), st.integers(1, len(PATCHES)))
def test_a_joint_patch_that_depends_on_the_order_of_its_parts(parts: list[Patch], count: int) -> None:
    """Disjoint patches commute, and are the same together as one after the other."""
    chosen = parts[:count]
    together = apply(GENOME, JointPatch(tuple(chosen)))
    again = apply(GENOME, JointPatch(tuple(sorted(chosen, key=lambda part: part.address))))
    one_by_one: Genome | Rejected = GENOME
    for part in sorted(chosen, key=lambda part: list(GENOME.blocks).index(part.address)):
        assert isinstance(one_by_one, Genome)
        one_by_one = apply(one_by_one, part)
    assert isinstance(together, Genome)
    assert isinstance(again, Genome)
    assert isinstance(one_by_one, Genome)
    assert together.source == again.source == one_by_one.source
    assert set(differing(GENOME, together)) <= {"Net", *(part.address for part in chosen)}


def test_a_helper_that_is_dropped_before_another_block_takes_it_over() -> None:
    """The old SE alone used the helper; of the new ones, Net alone does."""
    helped = apply(GENOME, Patch("SE", SE_WIDE.replace("// 2", "// two()"), ("def two():\n    return 2",)))
    assert isinstance(helped, Genome)
    joint = JointPatch((Patch("SE", SE_WIDE), Patch("Net.forward", FORWARD.replace("(2, 3)", "(two(), 3)"))))
    for parts in (joint.patches, joint.patches[::-1]):
        child = apply(helped, JointPatch(parts))
        assert isinstance(child, Genome)
        assert "def two" in child.text


@pytest.mark.parametrize(
    ("part", "reason"),
    [
        (Patch("Net.forward", "def forward(self, x:\n"), "Net.forward: line 1"),
        (Patch("Nett", "class Nett: pass"), "there is no block 'Nett'"),
        (Patch("SE", SE_WIDE), "SE is patched twice: rewrite each part of the file once."),
        (Patch("SE.forward", FORWARD), "SE and SE.forward overlap: rewrite each part of the file once."),
    ],
)
def test_a_bad_part_of_which_the_others_are_applied(part: Patch, reason: str) -> None:
    for parts in ((Patch("SE", SE_WIDE), part), (part, Patch("SE", SE_WIDE))):
        rejected = apply(GENOME, JointPatch(parts))
        assert isinstance(rejected, Rejected)
        assert reason in rejected.reason


def test_a_joint_patch_that_does_not_read_like_a_patch() -> None:
    """Checks of third parties read `code`, `helpers` and `imports` of what they are shown."""
    joint = JointPatch(PATCHES)
    assert joint.address == "make_norm, SE, Net.forward, Net.twice, get_optimizer"
    assert all(part.code in joint.code for part in PATCHES)
    assert joint.helpers == ("def half(x):\n    return x / 2",)
    assert joint.imports == ("from torch.optim import Adam",)


def test_a_name_that_one_block_reads_and_another_is_called() -> None:
    """As code of one text, the method `forward` would define the name that `twice` reads."""
    twice = Patch("Net.twice", "@staticmethod\ndef twice(x):\n    return forward(x)")
    joint = JointPatch((Patch("Net.forward", FORWARD), twice))
    child = apply(GENOME, joint)
    assert isinstance(child, Genome)
    assert undefined_names(child, joint) == ("forward",)


# --- replies ---------------------------------------------------------------------------------------

FORMS = {
    "whole file": fenced(BOTH),
    "whole file, bare": BOTH,
    "whole file without what stays": fenced(f"import torch\n\n\n{SE_WIDE}\n\n{WIDER}"),
    "a fence each": fenced(SE_WIDE, WIDER),
    "a fence each, the later block first": fenced(WIDER, SE_WIDE),
    "prose between": f"First the gate.\n\n{SE_WIDE}\nThen the network, which builds it:\n\n{WIDER}\nThat is all.",
    "reasoning before": f"<think>\n{NET}\nmaybe\n</think>\n{fenced(SE_WIDE, WIDER)}",
    "the original quoted": f"Original:\n{fenced(NET)}\nNew:\n{fenced(SE_WIDE, WIDER)}",
    "the original quoted after": f"{fenced(SE_WIDE, WIDER)}\nIt was:\n{fenced(NET)}",
    "a draft before": fenced(WIDER.replace("ratio=2", "ratio=1"), SE_WIDE, WIDER),
    "JSON": json.dumps({"se.py": SE_WIDE, "net.py": WIDER}, indent=1),
    "a future import each": fenced(f"from __future__ import annotations\n{SE_WIDE}", f"from __future__ import annotations\n{WIDER}"),
    "typographic quotes": fenced(SE_WIDE, WIDER.replace("2 * x", "2 \u00d7 x")),
}  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
def test_a_reply_of_two_blocks_of_which_one_is_lost(form: str) -> None:
    child = child_of(FORMS[form])
    assert {change.address for change in diff_genomes(GENOME, child)} == {
        "SE.__init__",
        "SE.forward",
        "Net.__init__",
    }
    assert "ratio=2" in child.text
    assert "F.silu" in child.text


@pytest.mark.parametrize(
    "text", [EDITS, f"```\n{EDITS}```", fenced(*EDITS.split("<<<<<<< SEARCH\n")[:0]) + EDITS]
)
def test_an_edit_of_two_classes_of_which_one_is_lost(text: str) -> None:
    assert child_of(text).text == EDITED


def test_an_edit_that_fits_two_blocks_and_is_made_in_one() -> None:
    text = "<<<<<<< SEARCH\n        super().__init__()\n=======\n        super().__init__()\n        pass\n>>>>>>> REPLACE"
    assert refused(text).reason == "the old text of an edit occurs 2 times in the file."


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_bytes_outside_the_changed_blocks_that_move(newline: str) -> None:
    """The reply has other comments, blank lines and docstrings everywhere, and LF."""
    genome = genome_of(TEXT.replace("\n", newline))
    sloppy = BOTH.replace("# --- SE ---\n", "").replace("# --- Net ---", "# the net").replace("\n\n\n", "\n")
    sloppy = (
        sloppy.replace("  # stem", "")
        .replace('"""A small network."""', '"""Mine."""')
        .replace("# the end\n", "")
    )
    patch = read_blocks(fenced(sloppy), "stop", genome, ("SE", "Net.__init__"))
    assert not isinstance(patch, Rejected), patch
    child = apply(genome, patch)
    assert isinstance(child, Genome)
    wanted = TEXT.replace(SE, SE_WIDE).replace("SE(8)", "SE(8, ratio=2)").replace("  # stem", "")
    assert child.source == wanted.replace("\n", newline).encode()


def test_a_class_in_which_one_method_differs_that_is_rewritten_whole() -> None:
    assert read(fenced(SE_WIDE, WIDER)).addresses == ("SE.__init__", "SE.forward", "Net.__init__")
    assert read(fenced(SE_WIDE, WIDER), addresses=("SE", "Net")).addresses == ("SE", "Net")
    assert read(fenced(WIDER)) == parse_patch(GENOME, "Net.__init__", WIDER)


def test_a_reply_that_drops_a_class_and_what_used_it() -> None:
    """What is left out of a file stays: nobody said that it is to go. Nothing uses it."""
    without = (
        TEXT.replace(SE, "")
        .replace("self.gate(self.norm(", "(self.norm(")
        .replace("        self.gate = SE(8)\n", "")
    )
    child = child_of(fenced(without))
    assert {change.address for change in diff_genomes(GENOME, child)} == {"Net.__init__", "Net.forward"}
    assert child.text == TEXT.replace("self.gate(self.norm(", "(self.norm(").replace(
        "        self.gate = SE(8)\n", ""
    )


def test_a_new_class_that_two_blocks_use_and_that_comes_twice_or_not_at_all() -> None:
    small = "class Small(nn.Module):\n    def forward(self, x):\n        return x\n"
    se, net = SE_WIDE.replace("F.silu", "Small()"), WIDER.replace("SE(8, ratio=2)", "Small()")
    for text in (
        fenced(small + "\n\n" + se, net),
        fenced(small, se, net),
        fenced(f"{small}\n\n{se}\n\n{net}"),
    ):
        patch = read(text)
        assert patch.helpers == (small.rstrip(),)
        child = apply(GENOME, patch)
        assert isinstance(child, Genome)
        assert child.text.count("class Small") == 1
        assert child.text.index("class Small") < child.text.index("class SE")


REFUSED = {
    "cut off": (fenced(SE_WIDE, WIDER), "extract", "cut off"),
    "a broken block": (fenced(SE_WIDE, WIDER.replace("__init__(self", "__init__((self")), "compile", "Net: line 5"),
    "a block that lost a method": (fenced(SE_WIDE, WIDER.split("    # The way")[0]), "contract", "Net must keep its methods"),
    "a method with other parameters": (fenced(SE_WIDE, NET.replace("forward(self, x)", "forward(self, y)")), "contract", "Net.forward: forward must keep its parameters"),
    "a block left out by dots": (fenced(SE_WIDE, "class Net(nn.Module):\n    ...\n"), "contract", "Net"),
    "edits and definitions": (fenced(SE_WIDE) + f"```\n{EDITS}```", "extract", "mixes edits and whole definitions"),
    "nothing changed": (fenced(TEXT), "extract", "changes no block"),
    "no block": (fenced("class Other:\n    x = 1\n"), "extract", "must stay one of EPS, Net, SE, get_optimizer, make_norm"),
    "prose": ("I would widen it.", "extract", "no code in the reply defines a block of the file."),
    "empty": ("", "extract", "the reply is empty."),
    "a value that is none any more": (fenced(BOTH.replace("EPS = 1e-5", "EPS = float(1)")), "contract", "EPS: it must stay a number"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_a_reply_with_a_fault_of_which_the_rest_is_taken(case: str) -> None:
    text, stage, reason = REFUSED[case]
    rejected = refused(text, finish="length" if case == "cut off" else "stop")
    assert rejected.stage == stage
    assert reason in rejected.reason


def test_a_block_that_may_not_be_changed() -> None:
    assert (
        refused(fenced(SE_WIDE, WIDER), ("Net",)).reason
        == "SE: it is none of the blocks that may be changed: Net."
    )
    assert read(fenced(TEXT.replace(NET, WIDER)), addresses=("Net",)).addresses == ("Net",)
    twice = TEXT + "\n\ndef get_optimizer(model):\n    return model\n"
    rejected = read_blocks(
        fenced(twice.replace("return model\n", "return 1\n")), "stop", genome_of(twice), ("Net",)
    )
    assert isinstance(rejected, Rejected)
    assert "get_optimizer" in rejected.reason
    assert "cannot be evolved" in rejected.reason


def test_a_value_outside_the_blocks_that_keeps_its_old_value_in_silence() -> None:
    """Two names at once are no block."""
    genome = genome_of(TEXT.replace("EPS = 1e-5\n", "EPS = 1e-5\nLOW, HIGH = 0, 6\n"))

    def answered(line: str) -> JointPatch | Patch | Rejected:
        return read_blocks(fenced(f"{line}\n\n{SE_WIDE}"), "stop", genome, genome.evolvable)

    rejected = answered("LOW, HIGH = 0, 9")
    assert isinstance(rejected, Rejected)
    assert rejected.stage == "contract"
    assert rejected.reason == "HIGH stands outside the blocks and keeps its value: use another name."
    for line in ("LOW, HIGH = 0, 6", "FIRST, LAST = 0, 9"):
        patch = answered(line)
        assert not isinstance(patch, Rejected), patch
        assert {one.partition(".")[0] for one in patch.addresses} == {"SE"}


def test_an_answer_about_one_block_in_this_form() -> None:
    target, text = Target(GENOME, "Net.forward"), "```python\n" + FORWARD + "```"
    reply = Reply(text, "stop", 1, 1, 0.0, "test")
    assert Blocks().decode(reply, target) == Patch("Net.forward", FORWARD.rstrip())
    assert isinstance(Blocks().decode(reply, replace(target, address="", addresses=("Net",))), Rejected)


@pytest.mark.parametrize("name", VARIANTS)
def test_a_reply_of_one_block_that_reads_otherwise_where_several_may_change(name: str) -> None:
    """All ways in which models write one block: taken or refused as where that block alone was asked for."""
    one = VARIANTS[name]
    result = read_blocks(one.text, one.finish, GENOME, GENOME.evolvable)
    if isinstance(result, Rejected):
        assert one.block.startswith(("!", "extract"))
        return
    meant = parse_patch(GENOME, "SE", one.block)
    assert isinstance(meant, Patch)
    whole, child = apply(GENOME, meant), apply(GENOME, result)
    assert isinstance(whole, Genome)
    assert isinstance(child, Genome)
    assert child.digest == whole.digest


# --- what comes after ----------------------------------------------------------------------------


def test_a_line_that_is_blamed_on_nobody() -> None:
    child = child_of(fenced(BOTH))
    grandchild = child_of(fenced(child.text.replace("2 * x", "3 * x")), child)
    blamed = {line.text.strip(): line.index for line in blame([GENOME, child, grandchild])}
    assert blamed["gate = F.silu(self.down(x.mean((2, 3))))"] == 1
    assert blamed["self.gate = SE(8, ratio=2)"] == 1
    assert blamed["return 3 * x"] == 2


def test_a_block_of_a_joint_child_that_no_mating_takes() -> None:
    child = child_of(fenced(BOTH))
    assert differing(GENOME, child) == ("SE", "Net.__init__")
    for address in differing(GENOME, child):
        mated = apply(GENOME, transplant(child, address))
        assert isinstance(mated, Genome)
        assert differing(GENOME, mated) == (address,)


def test_a_joint_child_that_a_ledger_gives_back_changed() -> None:
    for genome in (GENOME, genome_of(TEXT.replace("\n", "\r\n"))):
        child = child_of(fenced(BOTH.replace("F.silu", "F.mish")), genome)
        again = Genome.from_delta(child.seed, json.loads(json.dumps(child.delta())))
        assert again.source == child.source


def test_dropping_the_last_stage_of_a_network() -> None:
    seed = Seed.load(Path(__file__).parent.parent / "examples" / "exquisitenet_v2.py")
    text = seed.genome.text.replace(
        "            ME(192, 384),\n            DFSEB(384),\n            DW(384),\n", "            DW(192),\n"
    )
    text = text.replace("nn.Linear(384", "nn.Linear(192").replace(
        "self.act = nn.Hardswish()\n\n", "self.act = nn.SiLU()\n\n"
    )
    patch = parse_blocks(seed.genome, seed.genome.evolvable, text)
    assert isinstance(patch, JointPatch)
    assert patch.addresses == ("DW.__init__", "ExquisiteNetV2.__init__")
    child = apply(seed.genome, patch)
    assert isinstance(child, Genome)
    assert child.text == text
