"""Diff and blame: every change is named by block and kind, and nothing else is."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from transform_seed import FORWARD, SE_WIDE, TEXT, genome_of, rewrite

from ge_engine.changes import MODULE, Change, blame, diff_genomes, stat, to_json, unified, words

OPTIMIZER = TEXT[TEXT.index("def get_optimizer") :]
NORM = TEXT[TEXT.index("def make_norm") : TEXT.index("\n# --- SE")]


def kinds(old: str, new: str) -> list[tuple[str, str]]:
    return [(c.kind, c.address) for c in diff_genomes(genome_of(old), genome_of(new))]


CASES = {
    "nothing": (TEXT, []),
    "a function": (TEXT.replace("eps=EPS", "eps=2 * EPS"), [("changed", "make_norm")]),
    "a method": (TEXT.replace("return 2 * x", "return 3 * x"), [("changed", "Net.twice")]),
    "two methods": (
        TEXT.replace("return 2 * x", "return 3 * x").replace("8, 3)", "8, 5)"),
        [("changed", "Net.__init__"), ("changed", "Net.twice")],
    ),
    "a class attribute": (TEXT.replace("expansion = 2", "expansion = 3"), [("changed", "Net")]),
    "a base class": (TEXT.replace("class SE(nn.Module)", "class SE(nn.Sequential)"), [("changed", "SE")]),
    "a method added": (
        TEXT.replace("    @staticmethod\n", "    def extra(self):\n        return 1\n\n    @staticmethod\n"),
        [("added", "Net.extra")],
    ),
    "a method removed": (
        TEXT.replace("    @staticmethod\n    def twice(x):\n        return 2 * x\n", ""),
        [("removed", "Net.twice")],
    ),
    "a method renamed": (TEXT.replace("def twice(x)", "def double(x)"), [("renamed", "Net.double")]),
    "a function added": (TEXT + "\n\ndef more(x):\n    return x\n", [("added", "more")]),
    "a function removed": (TEXT.replace(OPTIMIZER, ""), [("removed", "get_optimizer")]),
    "a function renamed": (TEXT.replace("get_optimizer", "make_optimizer"), [("renamed", "make_optimizer")]),
    "renamed and changed a little": (
        TEXT.replace("class SE(", "class Gate(").replace("self.gate = SE(8)", "self.gate = Gate(8)").replace(
            "F.relu(self.down", "F.silu(self.down"
        ),
        [("renamed", "Gate"), ("changed", "Net.__init__")],
    ),
    "another in its place": (
        TEXT.replace(NORM, "def scale(x):\n    y = x * x\n    return y + 1\n\n"),
        [("added", "scale"), ("removed", "make_norm")],
    ),
    "moved": (TEXT.replace(NORM, "") + "\n\n" + NORM, [("moved", "make_norm")]),
    "moved and changed": (
        TEXT.replace(NORM, "") + "\n\n" + NORM.replace("EPS", "2 * EPS"),
        [("changed", "make_norm"), ("moved", "make_norm")],
    ),
    "layout": (TEXT.replace("  # stem", "  # the stem"), [("layout", "Net")]),
    "docstring": (TEXT.replace('"""Gate."""', '"""Door."""'), [("layout", "SE")]),
    "a value": (TEXT.replace("EPS = 1e-5", "EPS = 1e-4"), [("changed", "EPS")]),
    "a value made a call": (
        TEXT.replace("= 1e-5", "= float(1)"), [("removed", "EPS"), ("changed", MODULE)]
    ),
    "an import": (TEXT.replace("import torch\n", "import math\nimport torch\n"), [("changed", MODULE)]),
    "a comment between blocks": (TEXT.replace("# the end", "# fin"), [("layout", MODULE)]),
    "blank lines between blocks": (TEXT.replace("\n\n\n", "\n\n"), []),
    "line ends": (TEXT.replace("\n", "\r\n"), []),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_each_kind_of_change_is_named_and_its_reverse_is_its_mirror(case: str) -> None:
    new, expected = CASES[case]
    assert sorted(kinds(TEXT, new)) == sorted(expected)
    mirror = {"added": "removed", "removed": "added"}
    back = sorted(kind for kind, _ in kinds(new, TEXT))
    assert back == sorted(mirror.get(kind, kind) for kind, _ in expected)


def test_a_helper_and_an_import_that_a_patch_brings_show_as_such() -> None:
    genome = genome_of()
    code = "import math\nK = 3\ndef scale(x):\n    return x * math.sqrt(K)\n" + SE_WIDE.replace(
        "F.silu(", "scale("
    )
    child = rewrite(genome, "SE", code)
    changes = {c.address: c.kind for c in diff_genomes(genome, child)}
    assert changes == {
        "K": "added",
        "scale": "added",
        "SE.__init__": "changed",
        "SE.forward": "changed",
        MODULE: "changed",
    }
    module = next(c for c in diff_genomes(genome, child) if c.address == MODULE)
    assert [line for line in unified(module, 0)[2:] if line[0] in "+-"] == ["+import math"]


def test_lines_are_those_of_each_file() -> None:
    genome = genome_of()
    child = rewrite(genome, "SE", "def helper(x):\n    return x\n" + SE_WIDE.replace("F.silu(", "helper("))
    child = rewrite(child, "Net.forward", FORWARD)
    change = next(c for c in diff_genomes(genome, child) if c.address == "Net.forward")
    assert child.text.split("\n")[change.lines[0] - 1] == "    def forward(self, x):"
    assert genome.text.split("\n")[change.old_lines[0] - 1] == "    def forward(self, x):"
    assert change.lines != change.old_lines


def test_unified_words_stat_and_json_tell_the_same_change() -> None:
    change = Change(
        "changed", "f", "f", "def f(x):\n    return x + 10", "def f(x):\n    return x + 12\n    # end"
    )
    assert unified(change, 0) == [
        "--- f",
        "+++ f",
        "@@ -2 +2,2 @@",
        "-    return x + 10",
        "+    return x + 12",
        "+    # end",
    ]
    assert stat(change) == (2, 1)
    assert ("delete", "10") in words(change)
    assert "".join(text for kind, text in words(change) if kind != "delete") == change.after + "\n"
    assert "".join(text for kind, text in words(change) if kind != "insert") == change.before + "\n"
    row = json.loads(json.dumps(to_json([change])))[0]
    assert (row["kind"], row["address"], row["added_lines"], row["removed_lines"]) == ("changed", "f", 2, 1)
    added = Change("added", "g", "", "", "def g():\n    return 1")
    assert unified(added)[:2] == ["--- /dev/null", "+++ g"]


def test_blame_names_the_genome_that_brought_each_line_in() -> None:
    genome = genome_of()
    first = rewrite(genome, "SE", SE_WIDE)
    second = rewrite(first, "Net.forward", FORWARD)
    third = rewrite(second, "SE", SE_WIDE.replace("F.silu", "F.gelu"))
    found = {(b.text.strip(), b.index) for b in blame([genome, first, second, third])}
    assert found == {
        ("self.down = nn.Linear(channels, channels // 2)", 1),
        ("self.up = nn.Linear(channels // 2, channels)", 1),
        ("gate = F.gelu(self.down(x.mean((2, 3))))", 3),
        ("x = F.relu(self.norm(self.stem(x)))", 2),
        ("return self.head(self.gate(x).mean((2, 3)))", 2),
    }
    lines = third.text.split("\n")
    assert all(lines[b.line - 1] == b.text for b in blame([genome, first, second, third]))
    assert blame([genome, first, genome]) == []
    assert blame([genome]) == []


def test_blame_traces_what_a_mating_took_from_its_second_parent() -> None:
    genome = genome_of()
    wide = rewrite(genome, "SE", SE_WIDE)
    forward = rewrite(genome, "Net.forward", FORWARD)
    mated = rewrite(wide, "Net.forward", FORWARD.replace("mean((2, 3))", "amax((2, 3))"))
    found = {b.text.strip(): b.index for b in blame([genome, wide, forward, mated], [(), (0,), (0,), (1, 2)])}
    assert found["self.down = nn.Linear(channels, channels // 2)"] == 1
    assert found["x = F.relu(self.norm(self.stem(x)))"] == 2
    assert found["return self.head(self.gate(x).amax((2, 3)))"] == 3


LINES = st.lists(st.sampled_from(["a = 1", "b = 2", "return x", "", "# c"]), max_size=8)


@given(LINES, LINES, LINES)
@settings(deadline=None, max_examples=60)
def test_blame_and_words_hold_for_any_lines(one: list[str], two: list[str], three: list[str]) -> None:
    """What blame does not name is a line that the seed model has; what it names is there under its number."""
    bodies = [[f"    {line}" if line else "" for line in lines] for lines in (one, two, three)]
    chain = [genome_of("def f(x):\n" + "\n".join([*body, "    return 0", ""])) for body in bodies]
    named = blame(chain)
    last = chain[-1].text.split("\n")
    rest = [line for at, line in enumerate(last, 1) if at not in {b.line for b in named}]
    assert set(rest) <= set(chain[0].text.split("\n"))
    assert all(last[b.line - 1] == b.text and b.index in (1, 2) for b in named)
    for change in diff_genomes(chain[0], chain[1]):
        assert "".join(t for k, t in words(change) if k != "delete").rstrip("\n") == change.after.rstrip("\n")
