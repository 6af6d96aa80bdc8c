# ruff: noqa: E501
"""A seed model of several files: what is patched, recorded and compared in one leaves the others alone."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from several_files import EVOLVED, FILES, patch_of, rewritten, seed_in

from ge_engine.changes import blame, diff_genomes
from ge_engine.errors import SeedError
from ge_engine.genome import Genome, Seed, differing
from ge_engine.joint_genome import JointGenome, joined
from ge_engine.outcome import Rejected
from ge_engine.patch import JointPatch, Patch, apply, parse_patch, transplant, undefined_names
from ge_engine.replies.blocks import read_blocks
from ge_engine.source.selection import select_addresses
from ge_engine.variant import as_genome, variant_of

SEED = joined({name: Seed.parsed(FILES[name], Path(name)) for name in EVOLVED})
GENOME = SEED.genome
FORWARD = "def forward(self, x):\n    return self.head(self.norm(self.body(x)).amax((2, 3)))"
CONV = """\
class Conv(nn.Module):
    def __init__(self, inputs, outputs):
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, 5, padding="same")

    def forward(self, x):
        return half(self.conv(x))
"""
HALF = "def half(x):\n    return x / 2"
HEAD = "def forward(self, x):\n    return self.out(gelu(self.hidden(x)))"
PATCHES = (
    Patch("net.py::Net.forward", FORWARD),
    Patch("net.py::get_optimizer", "def get_optimizer(model, lr, weight_decay):\n    return Adam(model)",
          imports=("from torch.optim import Adam",)),
    Patch("blocks.py::Conv", CONV, (HALF,)),
    Patch("blocks.py::Norm.forward", "def forward(self, x):\n    return half(self.norm(x))", (HALF,)),
    Patch("config.py::WIDTH", "WIDTH = 16"),
    Patch("config.py::HIDDEN", "HIDDEN = 9"),
    Patch("heads/linear.py::Head.forward", HEAD, imports=("from torch.nn.functional import gelu",)),
)  # fmt: skip
SOME = st.lists(st.sampled_from(PATCHES), min_size=1, max_size=len(PATCHES), unique=True)


def child_of(*patches: Patch, genome: Genome = GENOME) -> Genome:
    child = apply(genome, JointPatch(patches))
    assert isinstance(child, Genome), child
    return child


def sources(genome: Genome) -> dict[str, bytes]:
    return {name: one.source for name, one in genome.files.items()}


# --- bytes ----------------------------------------------------------------------------------------


def test_bytes_of_a_seed_model_that_change_when_it_is_read() -> None:
    assert sources(GENOME) == {name: FILES[name] for name in EVOLVED}
    assert list(GENOME.files) == list(EVOLVED), "the file that builds the model comes first"
    assert GENOME.source == FILES["net.py"]


@pytest.mark.parametrize(
    ("patch", "old", "new"),
    [
        (PATCHES[0], b".mean((2, 3))", b".amax((2, 3))"),
        (PATCHES[4], b"WIDTH = 8", b"WIDTH = 16"),
        (Patch("heads/linear.py::Head.forward", "def forward(self, x):\n    return self.out(self.hidden(x))"),
         b"self.hidden(x).relu()", b"self.hidden(x)"),
        (Patch("blocks.py::Norm.forward", "def forward(self, x):\n    if len(x):\n        x = x * 2\n"
               "    return self.norm(x)"),
         b"\tdef forward(self, x):\n\t\treturn self.norm(x)",
         b"\tdef forward(self, x):\n\t\tif len(x):\n\t\t\tx = x * 2\n\t\treturn self.norm(x)"),
        (Patch("net.py::Net.forward", "def forward(self, x):\n    x = self.body(x)\n    return x"),
         b"        return self.head(self.norm(self.body(x)).mean((2, 3)))",
         b"        x = self.body(x)\r\n        return x"),
    ],
    ids=["CRLF", "values", "latin-1", "tabs", "a new line of CRLF"],
)  # fmt: skip
def test_bytes_outside_a_patched_block_that_move(patch: Patch, old: bytes, new: bytes) -> None:
    file = patch.address.partition("::")[0]
    assert FILES[file].count(old) == 1
    expected = {name: FILES[name] for name in EVOLVED} | {file: FILES[file].replace(old, new)}
    parsed = parse_patch(GENOME, patch.address, patch.code)
    assert isinstance(parsed, Patch)
    assert sources(child_of(parsed)) == expected


def test_a_character_that_one_file_can_hold_and_another_cannot() -> None:
    """The other file's encoding says nothing about it."""
    text = 'def forward(self, x):\n    note = "\u03b1"\n    return x'
    assert "\u03b1" in child_of(Patch("net.py::Net.forward", text)).text
    rejected = apply(GENOME, Patch("heads/linear.py::Head.forward", text))
    assert isinstance(rejected, Rejected)
    assert rejected.reason == "heads/linear.py: the file's encoding has no character '\u03b1'."


# --- laws -----------------------------------------------------------------------------------------


@given(SOME, st.permutations(EVOLVED))
def test_patches_of_several_files_that_depend_on_their_order(parts: list[Patch], files: list[str]) -> None:
    """At once in whatever order, and one after the other with the files in whatever order: within a file from
    top to bottom, since a helper stands before the block that brought it first."""
    together, step = child_of(*parts), GENOME
    assert sources(child_of(*sorted(parts, key=lambda part: part.address))) == sources(together)
    for part in sorted(
        parts, key=lambda part: (files.index(part.address.partition("::")[0]), PATCHES.index(part))
    ):
        step = child_of(part, genome=step)
    assert sources(step) == sources(together)
    assert {change.address.partition("::")[0] for change in diff_genomes(GENOME, together)} == {
        part.address.partition("::")[0] for part in parts
    }


@given(SOME, st.sampled_from(EVOLVED), st.integers(0, 9))
def test_a_change_of_several_files_of_which_a_part_is_applied(parts: list[Patch], file: str, at: int) -> None:
    bad = {
        "net.py": Patch("net.py::Net.__init__", "def __init__(self, num_classes=4:\n"),
        "blocks.py": Patch("blocks.py::Gone", "class Gone: pass"),
        "config.py": Patch("config.py::KERNEL", "KERNEL = ("),
        "heads/linear.py": Patch("heads/linear.py::Head.__init__", "def __init__(:"),
    }[file]
    rejected = apply(GENOME, JointPatch((*parts[:at], bad, *parts[at:])))
    assert isinstance(rejected, Rejected)
    assert file in rejected.reason, rejected


@given(SOME)
def test_a_genome_that_is_another_when_it_is_read_again(parts: list[Patch]) -> None:
    child = child_of(*parts)
    back = Genome.from_delta(SEED, json.loads(json.dumps(child.delta())))
    assert isinstance(back, JointGenome)
    assert (sources(back), back.digest) == (sources(child), child.digest)
    pickled = pickle.loads(pickle.dumps(child))
    assert (sources(pickled), pickled.digest) == (sources(child), child.digest)
    assert pickled.seed.sources == SEED.sources
    cut = as_genome(SEED, joined({n: Seed.parsed(t, Path(n)) for n, t in sources(child).items()}))
    assert sources(cut) == sources(child)


@given(SOME, SOME)
def test_genomes_that_share_a_digest_and_mean_different_things(one: list[Patch], other: list[Patch]) -> None:
    a, b = child_of(*one), child_of(*other)
    assert (a.digest == b.digest) == (set(one) == set(other))


def test_a_change_that_counts_in_whichever_file_it_stands() -> None:
    """The same text in two files: a digest knows in which it was changed."""
    twins = joined(
        {"a.py": Seed.from_bytes(b"class A:\n    x = 1\n"), "b.py": Seed.from_bytes(b"class A:\n    x = 1\n")}
    )
    code = "class A:\n    x = 2"
    first, second = (apply(twins.genome, Patch(f"{name}::A", code)) for name in ("a.py", "b.py"))
    assert isinstance(first, Genome)
    assert isinstance(second, Genome)
    assert len({first.digest, second.digest, twins.genome.digest}) == 3
    commented = joined(
        {"a.py": twins.files["a.py"], "b.py": Seed.from_bytes(b"# mine\nclass A:\n    x = 1\n")}
    )
    assert commented.genome.digest == twins.genome.digest


@given(SOME)
def test_a_mating_that_does_not_give_the_donor_back(parts: list[Patch]) -> None:
    """What differs, taken over block by block, is all of the difference."""
    donor = child_of(*parts)
    addresses = differing(GENOME, donor)
    assert {address.partition(".py::")[0] for address in addresses} == {
        part.address.partition(".py::")[0] for part in parts
    }
    made: Genome | Rejected = GENOME
    for address in addresses:
        assert isinstance(made, Genome)
        patch = transplant(donor, address)
        assert patch.address == address
        made = apply(made, patch)
    assert isinstance(made, Genome)
    assert made.digest == donor.digest
    assert sources(made) == sources(donor)


def test_a_record_that_names_a_file_of_another_seed_model() -> None:
    delta = child_of(PATCHES[4]).delta()
    assert delta == {
        "files": {"config.py": {"replaced": {"WIDTH": "WIDTH = 16"}, "helpers": {}, "imports": []}}
    }
    for wrong in ({"files": {"other.py": {}}}, {"files": []}, {}, [], {"files": {"config.py": {}}}):
        with pytest.raises(SeedError, match="does not fit this seed model"):
            SEED.restored(wrong)  # type: ignore[arg-type]


# --- what is said of it -------------------------------------------------------------------------


def test_a_line_that_is_blamed_in_another_file() -> None:
    first = child_of(PATCHES[4])
    second = child_of(PATCHES[6], genome=first)
    told = [(one.file, one.line, one.text, one.index) for one in blame([GENOME, first, second])]
    assert told == [
        ("config.py", 2, "WIDTH = 16", 1),
        ("heads/linear.py", 6, "from torch.nn.functional import gelu", 2),
        ("heads/linear.py", 19, "        return self.out(gelu(self.hidden(x)))", 2),
    ]


def test_a_name_that_another_file_defines_and_this_one_does_not() -> None:
    """`cfg` is a name of net.py alone; in blocks.py a star import may define anything."""
    patch = Patch(
        "heads/linear.py::Head.forward", "def forward(self, x):\n    return self.out(x * cfg.WIDTH)"
    )
    assert undefined_names(child_of(patch), patch) == ("cfg",)
    patch = Patch("net.py::Net.forward", "def forward(self, x):\n    return self.head(x * cfg.WIDTH)")
    assert undefined_names(child_of(patch), patch) == ()


def test_values_that_only_other_files_read() -> None:
    assert [GENOME.blocks[f"config.py::{name}"].reason for name in ("WIDTH", "KERNEL", "HIDDEN")] == [
        "",
        "",
        "",
    ]
    assert GENOME.blocks["config.py::NOBODYS"].reason == "no code of the file reads it"


def test_patterns_that_choose_blocks_of_another_file() -> None:
    assert select_addresses(GENOME, ["blocks.py::Norm*"]) == (
        "blocks.py::Norm", "blocks.py::Norm.__init__", "blocks.py::Norm.forward",
    )  # fmt: skip
    assert select_addresses(GENOME, ["Head", "heads/*.py::*", "!*.forward"]) == (
        "heads/linear.py::Head", "heads/linear.py::Head.__init__",
    )  # fmt: skip
    with pytest.raises(SeedError, match=r"'net.py::Norm' matches nothing"):
        select_addresses(GENOME, ["net.py::Norm"])


# --- replies and copies -------------------------------------------------------------------------


def fenced(*codes: str) -> str:
    return "\n".join(f"```python\n{code}\n```\n" for code in codes)


def test_a_reply_of_blocks_of_three_files_of_which_one_is_lost() -> None:
    head = FILES["heads/linear.py"].decode("latin-1").partition("class Head")
    codes = (CONV.replace("half(self.conv(x))", "self.conv(x)"), "WIDTH = 16",
             "class Head" + head[2].replace(".relu()", ".sigmoid()"))  # fmt: skip
    patch = read_blocks(fenced(*codes), "stop", GENOME, GENOME.evolvable)
    assert isinstance(patch, JointPatch), patch
    assert patch.addresses == (
        "blocks.py::Conv.__init__", "blocks.py::Conv.forward", "config.py::WIDTH", "heads/linear.py::Head.forward",
    )  # fmt: skip
    assert b"sigmoid" in sources(child_of(*patch.patches))["heads/linear.py"]


def test_a_reply_whose_fault_is_told_without_its_file() -> None:
    broken = read_blocks(
        fenced(CONV.replace("(self, x):", "(self, y):"), "WIDTH = 16"), "stop", GENOME, GENOME.evolvable
    )
    assert isinstance(broken, Rejected)
    assert broken.reason.startswith("blocks.py: Conv.forward: forward must keep its parameters"), broken


def test_a_changed_copy_of_one_of_the_files_that_is_read_as_another(tmp_path: Path) -> None:
    seed = seed_in(tmp_path)
    copy = tmp_path / "mine" / "heads" / "linear.py"
    copy.parent.mkdir(parents=True)
    copy.write_bytes(FILES["heads/linear.py"].replace(b".relu()", b".tanh()"))
    for place in (copy, tmp_path / "mine"):
        made = variant_of(seed, place)
        assert [change.address for change in diff_genomes(seed.genome, made)] == [
            "heads/linear.py::Head.forward"
        ]
    other = tmp_path / "mine" / "other.py"
    other.write_bytes(FILES["net.py"])
    with pytest.raises(
        SeedError, match=r"is not told to be one of the seed model's files: net\.py, blocks\.py"
    ):
        variant_of(seed, other)


def test_a_block_of_a_file_that_is_rewritten_in_another_of_the_same_name(tmp_path: Path) -> None:
    genome = seed_in(tmp_path).genome
    child = rewritten(genome, **{"heads/linear.py::Head.forward": HEAD})
    assert {name for name in EVOLVED if sources(child)[name] != FILES[name]} == {"heads/linear.py"}
    assert patch_of(genome, "config.py::WIDTH", "WIDTH = 3").address == "config.py::WIDTH"
