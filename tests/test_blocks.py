# ruff: noqa: E501
"""Seeds: every byte kept, every definition listed, and a reason for each that cannot be evolved."""

from __future__ import annotations

import ast
import json
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st
from transform_seed import FORWARD, SE_WIDE, TEXT, genome_of, patch_of, rewrite

from ge_engine.errors import SeedError
from ge_engine.genome import Genome, Seed, differing
from ge_engine.patch import Patch, apply, parse_patch, transplant
from ge_engine.source.selection import select_addresses
from ge_engine.source.syntax import SyntaxFault, newline_of, parse, split_lines

FORMS = {
    "crlf": TEXT.replace("\n", "\r\n").encode(),
    "cr": TEXT.replace("\n", "\r").encode(),
    "tabs": TEXT.replace("    ", "\t").encode(),
    "two spaces": TEXT.replace("    ", "  ").encode(),
    "byte order mark": b"\xef\xbb\xbf" + TEXT.encode(),
    "no final newline": TEXT.rstrip("\n").encode(),
    "many final newlines": (TEXT + "\n\n\n").encode(),
    "mixed line ends": TEXT.replace("\n", "\r\n", 20).encode(),
    "latin-1": ("# -*- coding: latin-1 -*-\n# caf\u00e9\n" + TEXT).encode("latin-1"),
    "form feed first": ("\x0c" + TEXT[TEXT.index("class SE") :]).encode(),
    "form feed between": TEXT.replace("# --- Net", "\x0c\n# --- Net").encode(),
    "form feed within": TEXT.replace("    # The way", "\x0c\n    # The way").encode(),
    "line separator in a string": TEXT.replace('"""Gate."""', '"""Ga\u2028te \x1c."""').encode(),
    "trailing spaces": TEXT.replace("super().__init__()\n", "super().__init__()   \n   \n").encode(),
}


@pytest.mark.parametrize("form", FORMS)
def test_no_byte_is_lost_and_every_identity_rewrite_gives_the_same_bytes(form: str) -> None:
    """S3, S12, S15: ten identity rewrites in a row of every block."""
    genome = genome_of(FORMS[form])
    assert genome.source == FORMS[form]
    assert len(genome.evolvable) >= 6
    child = genome
    for _ in range(10):
        for address in genome.evolvable:
            child = rewrite(child, address, child.blocks[address].code)
    assert child.source == FORMS[form]
    assert child.digest == genome.digest
    assert child.delta() == {"replaced": {}, "helpers": {}, "imports": []}


@pytest.mark.parametrize("form", FORMS)
def test_a_new_block_follows_its_file_and_touches_nothing_else(form: str) -> None:
    """S12: line ends, indent and a missing final newline are kept by a real change; where line ends are mixed
    within the block, a line that stays keeps its own."""
    genome = genome_of(FORMS[form])
    newline = newline_of(genome.segment("SE").text, "")
    child = rewrite(genome, "SE", SE_WIDE)
    before, after = genome.text.split("class SE"), child.text.split("class SE")
    assert before[0] == after[0]
    cut = "return x * torch.sigmoid(self.up(gate))[:, :, None, None]"
    assert before[1].split(cut)[1] == after[1].split(cut)[1]
    new = after[1].split(cut)[0]
    old = set(split_lines(before[1]))
    assert all(line in old or line.endswith(newline) for line in split_lines(new)[:-1])
    assert f"{newline}{newline}" in new
    indent = genome.seed.indent
    assert f"{newline}{indent}{indent}self.down = nn.Linear(channels, channels // 2){newline}" in new


def test_the_file_of_one_indent_and_a_class_of_another_keep_both() -> None:
    """S12: two-space file with one four-space class; a rewrite follows the class it replaces."""
    two = TEXT.replace("    ", "  ")
    start, end = two.index("class SE"), two.index("# --- Net")
    text = two[:start] + two[start:end].replace("  ", "    ") + two[end:]
    genome = genome_of(text)
    child = rewrite(genome, "SE", SE_WIDE.replace("    ", "  "))
    assert "\n        self.down = nn.Linear(channels, channels // 2)" in child.text
    child = rewrite(child, "Net.forward", FORWARD)
    assert "\n  def forward(self, x):\n    x = F.relu(self.norm(self.stem(x)))\n\n    return" in child.text


def test_blocks_lists_every_definition_with_lines_kind_and_code() -> None:
    genome = genome_of()
    kinds = {address: block.kind for address, block in genome.blocks.items()}
    assert kinds == {
        "EPS": "values",
        "make_norm": "function",
        "SE": "class",
        "SE.__init__": "method",
        "SE.forward": "method",
        "Net": "class",
        "Net.__init__": "method",
        "Net.forward": "method",
        "Net.twice": "method",
        "get_optimizer": "function",
    }
    lines = TEXT.split("\n")
    for block in genome.blocks.values():
        first, last = block.lines
        assert lines[first - 1].strip() == block.code.split("\n")[0].strip()
        assert lines[last - 1].strip() == block.code.split("\n")[-1].strip()
    assert genome.blocks["Net.twice"].code == "@staticmethod\ndef twice(x):\n    return 2 * x"
    assert genome.blocks["Net"].code.startswith("@torch.no_grad\nclass Net")


def test_a_block_of_a_changed_genome_reports_its_new_lines() -> None:
    child = rewrite(
        genome_of(), "SE", "import math\ndef helper(x):\n    return math.exp(x)\n" + with_helper()
    )
    lines = child.text.split("\n")
    for block in child.blocks.values():
        assert lines[block.lines[0] - 1].strip() == block.code.split("\n")[0].strip(), block
    assert "helper" in child.evolvable


def with_helper() -> str:
    return SE_WIDE.replace("gate = F.silu(", "gate = helper(")


REFUSED = {
    "property and setter": (
        "class A:\n    @property\n    def count(self):\n        return 1\n    @count.setter\n    def count(self, v):\n"
        "        self.v = v\n    def forward(self, x):\n        return x\n",
        "A.count",
        "occurs 2 times",
        ["A", "A.forward"],
    ),
    "overloads": (
        "from typing import overload\nclass A:\n    @overload\n    def forward(self, x: int): ...\n    @overload\n"
        "    def forward(self, x: str): ...\n    def forward(self, x):\n        return x\n    def other(self):\n"
        "        return 1\n",
        "A.forward",
        "occurs 3 times",
        ["A", "A.other"],
    ),
    "five of one name": (
        "".join(f"@register\ndef _(x):\n    return {i}\n" for i in range(5)).replace("@register\n", "")
        + "def f(x):\n    return x\n",
        "_",
        "defined 5 times",
        ["f"],
    ),
    "conditional": (
        "import sys\nif sys.version_info > (3,):\n    class A:\n        pass\nelse:\n    class A:\n        x = 1\n"
        "def f(x):\n    return x\n",
        "A",
        "defined 2 times",
        ["f"],
    ),
    "one branch": (
        "try:\n    import fast\nexcept ImportError:\n    def fast(x):\n        return x\ndef f(x):\n    return x\n",
        "fast",
        "defined conditionally (`try` in line 1)",
        ["f"],
    ),
    "again later": (
        "def f(x):\n    return x\ndef g(x):\n    return x\ndef f(x):\n    return 2\n",
        "f",
        "defined 2 times (lines 1, 5)",
        ["g"],
    ),
    "assigned later": (
        "def f(x):\n    return x\ndef g(x):\n    return x\nf = g\n",
        "f",
        "assigned again in line 5",
        ["g"],
    ),
    "main guard": (
        "def f(x):\n    return x\nif __name__ == '__main__':\n    def main():\n        f(1)\n    main()\n",
        "main",
        "main guard",
        ["f"],
    ),
    "setattr of one": (
        "class A:\n    def run(self): ...\n    def stay(self):\n        return 1\ndef _run(self):\n    return 1\n"
        "setattr(A, 'run', _run)\n",
        "A.run",
        "replaced by setattr in line 7",
        ["A", "A.stay", "_run"],
    ),
    "setattr in a loop": (
        "class A:\n    def run(self): ...\n    def stay(self):\n        return 1\n"
        "for name in ['run']:\n    setattr(A, name, lambda self: 1)\n",
        "A.run",
        "replaced by setattr in line 6",
        ["A", "A.stay"],
    ),
    "method assigned": (
        "class A:\n    def run(self): ...\n    def stay(self):\n        return 1\nA.run = lambda self: 2\n",
        "A.run",
        "replaced by assignment in line 5",
        ["A", "A.stay"],
    ),
    "conditional method": (
        "class A:\n    if True:\n        def run(self):\n            return 2\n    def stay(self):\n        return 1\n",
        "A.run",
        "defined conditionally (line 3 of its class)",
        ["A", "A.stay"],
    ),
    "indentation that libcst cannot read": (
        "def foo(x):\n\t with x:\n\t\t pass\ndef f(x):\n    return x\n",
        "foo",
        "not supported by libcst (line 3 of the block)",
        ["f"],
    ),
    "too deep": (
        "def deep(x):\n    return " + "x.a()" + ".b()" * 300 + "\ndef f(x):\n    return x\n",
        "deep",
        "nests deeper than 100 levels",
        ["f"],
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_evolved_is_listed_with_its_reason_and_its_neighbours_can(case: str) -> None:
    """S2, S4, S13, S14."""
    text, address, reason, evolvable = REFUSED[case]
    genome = genome_of(text)
    assert reason in genome.blocks[address].reason
    assert list(genome.evolvable) == evolvable
    assert genome.source == text.encode()
    rejected = parse_patch(genome, address, "def f(): pass")
    assert not isinstance(rejected, Patch)
    assert reason in rejected.reason


BAD_SEEDS = {
    "syntax": (b"class A:\n    def f(self:\n        pass\n", "line 2"),
    "nothing": (b"x = 1\n", "no class and no function"),
    "empty": (b"", "no class and no function"),
    "null byte": (b"def f(x):\n    return '\x00'\n", "null bytes"),
    "not utf-8": (b"def f(x):\n    return x\n# \xff\xfe\n", "line 3"),
    "unknown encoding": (b"# coding: klingon\ndef f(x):\n    return x\n", "encoding"),
    "parentheses": (b"x = " + b"(" * 3000 + b"1" + b")" * 3000, "line 1"),
    "only an unsupported indent": (b"def foo(x):\n\t with x:\n\t\t pass\n", "indentation is not supported"),
    "return outside": (b"class A:\n    return 1\n", "line 2"),
}


@pytest.mark.parametrize("case", BAD_SEEDS)
def test_a_bad_seed_is_refused_in_one_sentence(case: str) -> None:
    data, expected = BAD_SEEDS[case]
    with pytest.raises(SeedError) as error:
        Seed.from_bytes(data)
    assert expected in error.value.message
    assert "\n" not in error.value.message


def test_a_missing_file_is_refused(tmp_path) -> None:
    with pytest.raises(SeedError, match="cannot be read"):
        Seed.load(tmp_path / "none.py")
    with pytest.raises(SeedError, match="cannot be read"):
        Seed.load(tmp_path)


def test_digest_ignores_comments_docstrings_and_layout_only() -> None:
    genome = genome_of()
    layout = TEXT.replace("# stem", "# other").replace('"""Gate."""', '"""Door."""').replace("a, b", "a,  b")
    layout = layout.replace("(x.mean((2, 3)))\n\n", "(x.mean((2,3)))\n").replace('"""A small network."""', "")
    assert genome_of(layout).digest == genome.digest
    assert genome_of(TEXT.replace("3, 8, 3", "3, 8, 5")).digest != genome.digest
    assert genome_of(TEXT.replace("EPS = 1e-5", "EPS = 1e-4")).digest != genome.digest
    assert genome_of(TEXT.replace("return 2 * x", "return 2.0 * x")).digest != genome.digest


def test_a_delta_survives_json_and_refuses_another_seed() -> None:
    genome = genome_of(FORMS["crlf"])
    child = rewrite(genome, "SE", "import math\ndef helper(x):\n    return math.exp(x)\n" + with_helper())
    child = rewrite(child, "Net.forward", FORWARD)
    back = Genome.from_delta(genome.seed, json.loads(json.dumps(child.delta())))
    assert (back.source, back.digest, back.evolvable) == (child.source, child.digest, child.evolvable)
    thawed = pickle.loads(pickle.dumps(child))
    assert (thawed.source, thawed.digest, thawed.seed.source) == (child.source, child.digest, genome.source)
    other = genome_of("def f(x):\n    return x\n").seed
    with pytest.raises(SeedError):
        Genome.from_delta(other, child.delta())
    with pytest.raises(SeedError):
        Genome.from_delta(genome.seed, {"replaced": []})


def test_differing_names_the_method_when_one_differs_and_the_class_when_several_do() -> None:
    genome = genome_of()
    one = rewrite(genome, "Net.forward", FORWARD)
    assert differing(genome, one) == ("Net.forward",)
    several = rewrite(one, "Net.__init__", genome.blocks["Net.__init__"].code.replace("8, 3)", "8, 5)"))
    assert differing(genome, several) == ("Net",)
    assert differing(several, several) == ()
    assert differing(genome, rewrite(several, "SE", SE_WIDE)) == ("SE", "Net")


def test_mating_changes_exactly_the_exchanged_block() -> None:
    """Over all pairs: the child differs from its first parent in that block and nowhere else."""
    genome = genome_of()
    donor = rewrite(rewrite(genome, "SE", SE_WIDE), "Net.forward", FORWARD)
    donor = rewrite(donor, "get_optimizer", genome.blocks["get_optimizer"].code.replace("lr=lr", "lr=lr / 2"))
    for first, second in ((genome, donor), (donor, genome)):
        for address in differing(first, second):
            child = apply(first, transplant(second, address))
            assert isinstance(child, Genome)
            assert differing(first, child) == (address,)
            assert child.blocks[address].code == second.blocks[address].code


def test_select_addresses_takes_globs_and_exclusions() -> None:
    genome = genome_of()
    assert select_addresses(genome, ()) == genome.evolvable
    assert select_addresses(genome, ("SE", "Net.*")) == ("SE", "Net.__init__", "Net.forward", "Net.twice")
    assert select_addresses(genome, ("!*.*",)) == ("EPS", "make_norm", "SE", "Net", "get_optimizer")
    assert select_addresses(genome, ("Net*", "!Net.twice", "!*__init__")) == ("Net", "Net.forward")
    for patterns, message in (
        (("Nett",), "'Nett' matches nothing"),
        (("!nope.*",), "'nope.*' matches nothing"),
        (("SE", "!SE"), "leave no block"),
    ):
        with pytest.raises(SeedError, match=message):
            select_addresses(genome, patterns)
    blocked = genome_of(REFUSED["five of one name"][0])
    with pytest.raises(SeedError, match="defined 5 times"):
        select_addresses(blocked, ("_",))


def test_what_a_genome_shares_with_its_seed_is_not_read_again() -> None:
    genome = genome_of()
    assert genome.digest
    child = rewrite(genome, "SE", SE_WIDE)
    shared = [s for s in child.segments if any(s is t for t in genome.segments)]
    assert len(shared) == len(genome.segments) - 1
    assert patch_of(child, "SE", SE_WIDE).code == SE_WIDE.rstrip("\n")


@given(
    st.lists(
        st.sampled_from(["\n", "\r\n", "\r", "\x0c", " ", "\t", "#c", "x=1", "\\\n", ";", "'\u2028'"]),
        max_size=30,
    )
)
def test_any_layout_between_blocks_comes_back(parts: list[str]) -> None:
    text = "def f(x):\n    return x\n" + "".join(parts) + "\ndef g(x):\n    return x"
    try:
        genome = genome_of(text)
    except SeedError:
        return
    assert genome.source == text.encode()
    child = rewrite(genome, "g", "def g(x):\n    return 2")
    assert child.text == text[: -len("x")] + "2"


def test_a_tree_in_which_others_leave_marks_that_lead_out_of_it() -> None:
    """IPython's tracebacks set a parent on each node of a file, also on the `Load` that all trees share."""
    other = ast.parse("\n".join(f"f{i}(g{i}(h{i}))" for i in range(1000)))
    shared = ast.parse("x").body[0].value.ctx  # type: ignore[attr-defined]
    for parent in ast.walk(other):
        for child in ast.iter_child_nodes(parent):
            child.parent = parent  # type: ignore[attr-defined]
    try:
        assert hasattr(shared, "parent") or ast.Load() is not shared
        assert not isinstance(parse("def marked(x):\n    return x + 1\n"), SyntaxFault)
    finally:
        for node in ast.walk(other):
            vars(node).pop("parent", None)
