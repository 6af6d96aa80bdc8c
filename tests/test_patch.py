# ruff: noqa: E501
"""Patches: what comes along, what is kept, what is refused, and that nothing else moves."""

from __future__ import annotations

import ast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from transform_seed import FORWARD, SE_WIDE, TEXT, changed_lines, genome_of, patch_of, refusal, rewrite

from ge_engine.genome import Genome
from ge_engine.outcome import Rejected
from ge_engine.patch import Patch, apply, parse_patch, transplant


def body(statement: str) -> str:
    """`Net.forward` with one statement in front."""
    return FORWARD.replace("    x = F", f"    {statement}\n    x = F", 1)


# --- S1, S2, S5, S6: what Python or libcst cannot take ------------------------------------------

UNUSABLE = {
    "3,000 parentheses": (
        body("x = " + "(" * 3000 + "1" + ")" * 3000),
        "compile",
        "too many nested parentheses",
    ),
    "300 chained calls": (body("x = x" + ".a()" * 300), "compile", "deeper than 100"),
    "1,000 terms": (body("x = " + "+".join("1" * 1000)), "compile", "deeper than 100"),
    "1,000 elif": (
        body(
            "if x == 0:\n        pass\n" + "".join(f"    elif x == {i}:\n        pass\n" for i in range(1000))
        ),
        "compile",
        "deep",
    ),
    "90 minus signs and a million": (body("x = " + "-" * 100_000 + "1"), "compile", "deep"),
    "99 nested lists": (body("x = " + "[" * 99 + "]" * 99), "compile", "more than 50 brackets"),
    "199 parentheses": (body("x = " + "(" * 199 + "1" + ")" * 199), "compile", "more than 50 brackets"),
    "return in a class": ("class SE:\n    return 1\n", "compile", "line 2"),
    "parameter twice": ("def forward(self, x, x):\n    return x\n", "compile", "line 1"),
    "break outside": (body("break"), "compile", "line 2"),
    "keyword twice": (body("f(a=1, a=2)"), "compile", "line 2"),
    "unclosed": (body("f(a="), "compile", "line 2"),
    "mixed indent": ("def forward(self, x):\n\tif x:\n        return x\n", "compile", "line 3"),
    "null byte": (body("x = '\x00'"), "compile", "null bytes"),
    "lone surrogate": (body("x = '\ud800'"), "compile", "refuses"),
    "empty": ("", "compile", "no code"),
    "blank": (" \n\t\n", "compile", "no code"),
    "comments": ("# nothing\n", "compile", "comments only"),
    "huge number": (body("x = " + "9" * 5000), "compile", "digits"),
    "indentation libcst cannot read": (
        "def forward(self, x):\n\t with x:\n\t\t return x\n",
        "compile",
        "line 3",
    ),
}


@pytest.mark.parametrize("case", UNUSABLE)
def test_code_that_cannot_be_used_is_rejected_with_its_own_reason(case: str) -> None:
    code, stage, reason = UNUSABLE[case]
    genome = genome_of()
    address = "SE" if code.startswith("class") else "Net.forward"
    for text in (code, code.replace("\n", "\r\n")):
        rejected = parse_patch(genome, address, text)
        assert isinstance(rejected, Rejected)
        assert rejected.stage == stage
        assert reason in rejected.reason


def test_ninety_levels_still_pass_and_are_printed() -> None:
    """The limit is not so low that the deepest code of real models is refused."""
    child = rewrite(genome_of(), "Net.forward", body("x = x" + ".t()" * 40))
    assert ".t()" * 40 in child.text


# --- the contract ---------------------------------------------------------------------------------

BROKEN = {
    "another name": ("SE", SE_WIDE.replace("class SE", "class SE_v2"), "SE was asked for and the reply defines SE_v2"),
    "a function": ("SE", "def SE(channels):\n    return channels\n", "must stay a class"),
    "a class": ("make_norm", "class make_norm:\n    x = 1\n", "must stay a function"),
    "nothing": ("SE", "x.y = 1\n", "the reply holds no definition"),
    "a method lost": ("SE", SE_WIDE[: SE_WIDE.index("    def forward")], "missing: forward"),
    "an attribute lost": ("Net", "class Net(nn.Module):\n    def __init__(self, num_classes=10):\n        x = 1\n    "
                          "def forward(self, x):\n        return x\n    def twice(x):\n        return x\n",
                          "class attributes; missing: expansion"),
    "a parameter lost": ("Net.forward", "def forward(self):\n    return 1\n", "keep its parameters (self, x)"),
    "a parameter renamed": ("Net.forward", "def forward(self, y):\n    return y\n", "not (self, y)"),
    "a parameter needed": ("Net.forward", "def forward(self, x, y):\n    return y\n", "not (self, x, y)"),
    "a default lost": ("SE", SE_WIDE.replace("ratio=4", "ratio"), "SE.__init__ must keep its parameters"),
    "a keyword lost": ("get_optimizer", "def get_optimizer(model, lr=0.1):\n    return model\n", "weight_decay"),
    "made async": ("Net.forward", "async def forward(self, x):\n    return x\n", "must not become async"),
    "body is dots": ("Net.forward", "def forward(self, x): ...\n", "body of forward is left out"),
    "body is pass": ("Net.forward", "def forward(self, x):\n    pass\n", "body of forward is left out"),
    "not implemented": ("Net.forward", "def forward(self, x):\n    raise NotImplementedError\n", "is left out"),
    "R7": ("SE", "class SE(nn.Module):\n    # ... rest unchanged\n    def forward(self, x): ...\n", "missing: __init__"),
    "dots in a method": ("SE", SE_WIDE.replace("super().__init__()", "super().__init__()\n        ..."), "line 6"),
    "dots among methods": ("SE", SE_WIDE + "    ...\n", "code is left out in line 12"),
    "class of pass": ("SE", "class SE(nn.Module):\n    pass\n", "the body of SE is left out"),
    "comment for code": ("Net.forward", body("# existing code stays the same"), "the comment in line 2"),
    "comment of dots": ("Net.forward", body("# ..."), "the comment in line 2"),
    "rest of the method": ("Net.forward", body("# (rest of the method unchanged)"), "the comment in line 2"),
    "same as before": ("Net.forward", body("# same as before"), "the comment in line 2"),
    "for brevity": ("Net.forward", body("# Remaining layers omitted for brevity"), "the comment in line 2"),
    "no such block": ("Nett", SE_WIDE, "there is no block 'Nett'"),
    "no such method": ("Net.backward", FORWARD, "there is no block 'Net.backward'"),
}  # fmt: skip


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_contract_is_rejected_with_what_to_do(case: str) -> None:
    """R7, R12 and their kinds."""
    address, code, reason = BROKEN[case]
    rejected = refusal(genome_of(), address, code)
    assert rejected.stage == "contract"
    assert reason in rejected.reason
    assert "\n" not in rejected.reason


KEPT = {
    "default changed": ("SE", SE_WIDE.replace("ratio=4", "ratio=16")),
    "optional parameter added": ("SE", SE_WIDE.replace("ratio=4", "ratio=4, bias=True")),
    "annotated": ("Net.forward", FORWARD.replace("self, x", "self, x: torch.Tensor").replace("):", ") -> torch.Tensor:", 1)),
    "method added": ("SE", SE_WIDE + "\n    def extra(self):\n        return 1\n"),
    "comment that speaks": ("Net.forward", body("# the rest of the signal goes through the gate")),
    "slice of dots": ("Net.forward", body("x = x[..., None].squeeze(-1)")),
}  # fmt: skip


@pytest.mark.parametrize("case", KEPT)
def test_what_callers_do_not_notice_is_accepted(case: str) -> None:
    genome = genome_of()
    address, code = KEPT[case]
    assert rewrite(genome, address, code).digest != genome.digest


# --- S7 to S11: nothing else moves -----------------------------------------------------------------


def test_two_patches_one_after_the_other_are_both_there() -> None:
    """S7."""
    child = rewrite(rewrite(genome_of(), "SE", SE_WIDE), "Net.forward", FORWARD)
    assert "F.silu" in child.text
    assert "self.gate(x).mean" in child.text
    child = rewrite(child, "Net.__init__", child.blocks["Net.__init__"].code.replace("8, 3)", "8, 5)"))
    assert "self.gate(x).mean" in child.text
    assert "nn.Conv2d(3, 8, 5)  # stem" in child.text


@pytest.mark.parametrize("above", ["", "# --- SE ---\n", "# my own comment\n", "\n\n# --- SE ---\n\n"])
def test_the_comment_above_a_block_stands_exactly_once(above: str) -> None:
    """S8."""
    genome = genome_of()
    child = rewrite(genome, "SE", above + SE_WIDE)
    assert child.text.count("# --- SE ---\nclass SE") == 1
    assert "my own comment" not in child.text
    assert child.text == rewrite(genome, "SE", SE_WIDE).text
    assert changed_lines(genome, child) == [
        "-        self.down = nn.Linear(channels, channels // ratio)",
        "-        self.up = nn.Linear(channels // ratio, channels)",
        "+        self.down = nn.Linear(channels, channels // 2)",
        "+        self.up = nn.Linear(channels // 2, channels)",
        "-        gate = F.relu(self.down(x.mean((2, 3))))",
        "+        gate = F.silu(self.down(x.mean((2, 3))))",
    ]


def test_a_rewritten_method_changes_no_other_line() -> None:
    """S9, blank lines between methods and the comment above included."""
    genome = genome_of()
    child = rewrite(genome, "Net.forward", "# The way through.\n" + FORWARD)
    assert changed_lines(genome, child) == [
        "-        x = self.gate(self.norm(self.stem(x)))",
        "+        x = F.relu(self.norm(self.stem(x)))",
        "-        return self.head(x.mean((2, 3)))",
        "+        return self.head(self.gate(x).mean((2, 3)))",
    ]


def test_a_docstring_with_unindented_lines_keeps_its_value() -> None:
    """S10."""
    doc = '"""First.\n\nunindented\n        deep\n    """'
    code = FORWARD.replace("    x = F", f"    {doc}\n    x = F", 1)
    child = rewrite(genome_of(), "Net.forward", code)
    tree = ast.parse(child.text)
    net = next(n for n in tree.body if getattr(n, "name", "") == "Net")
    forward = next(n for n in net.body if getattr(n, "name", "") == "forward")
    assert ast.get_docstring(forward, clean=False) == ast.literal_eval(doc)


def test_strings_with_line_ends_keep_their_value_in_a_crlf_file() -> None:
    genome = genome_of(TEXT.replace("\n", "\r\n"))
    child = rewrite(genome, "make_norm", 'def make_norm(channels):\n    x = """a\nb"""\n    return x\n')
    assert b"a\r\nb" in child.source
    assert "'a\\nb'" in ast.dump(ast.parse(child.text))


@pytest.mark.parametrize("unit", ["  ", "    ", "\t", "        "])
def test_any_indent_of_a_reply_becomes_the_files_own(unit: str) -> None:
    """S11 and S12: the reply's unit is mapped, nested and continued lines included."""
    code = "def forward(self, x):\n~if x is None:\n~~for _ in range(3):\n~~~x = f(\n~~~~x,\n~~~)\n~return x\n"
    child = rewrite(genome_of(), "Net.forward", code.replace("~", unit))
    assert "        if x is None:\n            for _ in range(3):\n                x = f(" in child.text


# --- decorators, bases, helpers, imports -------------------------------------------------------------


def test_decorators_and_bases_that_the_reply_leaves_out_are_put_back() -> None:
    genome = genome_of()
    bare = genome.blocks["Net"].code.replace("@torch.no_grad\n", "").replace("(nn.Module)", "")
    bare = bare.replace("    @staticmethod\n", "").replace("8, 3)", "8, 5)")
    child = rewrite(genome, "Net", bare)
    assert "# --- Net ---\n@torch.no_grad\nclass Net(nn.Module):\n" in child.text
    twice = rewrite(genome, "Net.twice", "def twice(x):\n    return x + x\n")
    assert "    @staticmethod\n    def twice(x):\n        return x + x\n" in twice.text
    same = rewrite(genome, "Net.twice", "@staticmethod\ndef twice(x):\n    return x + x\n")
    assert same.text == twice.text
    more = rewrite(genome, "Net", "@torch.jit.script\n" + bare)
    assert "@torch.no_grad\n@torch.jit.script\nclass Net(nn.Module):" in more.text


HELPED = "from torch import nn\nimport math\n\nK = 3\n\n\ndef scale(x):\n    return x * math.sqrt(K)\n\n\n"


def test_helpers_and_imports_come_along_once_and_unused_things_do_not() -> None:
    """R11: `math` is added to the import section once; `from torch import nn` is there already."""
    genome = genome_of()
    code = (
        HELPED
        + "def unused(x):\n    return x\n\n\n"
        + SE_WIDE.replace("F.silu(", "scale(")
        + "model = SE(3)\n"
    )
    patch = patch_of(genome, "SE", code)
    assert patch.imports == ("import math",)
    assert [h.split("(")[0] for h in patch.helpers] == ["K = 3", "def scale"]
    child = apply(genome, patch)
    assert isinstance(child, Genome)
    assert "import torch.nn.functional as F\nimport math\n\nEPS" in child.text
    assert (
        "\n\nK = 3\n\n\ndef scale(x):\n    return x * math.sqrt(K)\n\n\n# --- SE ---\nclass SE" in child.text
    )
    assert "unused" not in child.text
    assert "model = SE" not in child.text
    again = rewrite(child, "Net.forward", "import math\n" + body("x = x * math.pi"))
    assert again.text.count("import math") == 1
    assert rewrite(child, "SE", child.blocks["SE"].code).source == child.source


def test_helpers_and_imports_go_when_nothing_uses_them_any_more() -> None:
    genome = genome_of()
    child = rewrite(genome, "SE", HELPED + SE_WIDE.replace("F.silu(", "scale("))
    assert rewrite(child, "SE", genome.blocks["SE"].code).source == genome.source


def test_a_helper_of_a_taken_name_never_overwrites_and_is_renamed_where_safe() -> None:
    """R14."""
    genome = genome_of()
    helper = "def make_norm(channels):\n    return nn.GroupNorm(1, channels)\n\n\n"
    code = helper + genome.blocks["Net"].code.replace("make_norm(8)", "make_norm(8).make_norm(make_norm=2)")
    child = rewrite(genome, "Net", code)
    assert "def make_norm(channels):\n    return nn.BatchNorm2d(channels, eps=EPS)" in child.text
    assert "def make_norm2(channels):\n    return nn.GroupNorm(1, channels)" in child.text
    assert "self.norm = make_norm2(8).make_norm(make_norm=2)" in child.text
    same = "def make_norm(channels):\n    # same\n    return nn.BatchNorm2d(channels, eps=EPS)\n\n\n"
    assert "make_norm2" not in rewrite(genome, "Net", same + genome.blocks["Net"].code + "\n    y = 1\n").text
    shadowed = code.replace("return 2 * x", "make_norm = 2\n        return make_norm * x")
    assert "make_norm already means something else" in refusal(genome, "Net", shadowed).reason


def test_a_constant_or_import_of_a_taken_name_is_rejected() -> None:
    genome = genome_of()
    code = "EPS = 1e-3\n" + genome.blocks["make_norm"].code
    assert "EPS already means something else" in refusal(genome, "make_norm", code).reason
    code = "import numpy as torch\n" + genome.blocks["get_optimizer"].code
    assert "torch already means something else" in refusal(genome, "get_optimizer", code).reason


def test_the_whole_file_gives_only_the_block() -> None:
    """R10."""
    genome = genome_of()
    text = TEXT.replace("return 2 * x", "return 3 * x").replace("F.relu(self.down", "F.silu(self.down")
    patch = patch_of(genome, "SE", text)
    assert patch.helpers == ()
    child = apply(genome, patch)
    assert isinstance(child, Genome)
    assert changed_lines(genome, child) == [
        "-        gate = F.relu(self.down(x.mean((2, 3))))",
        "+        gate = F.silu(self.down(x.mean((2, 3))))",
    ]


def test_a_local_name_does_not_pull_in_a_statement_of_the_same_name() -> None:
    genome = genome_of()
    patch = patch_of(genome, "Net.forward", "x = torch.randn(2, 3)\n" + FORWARD + "\nprint(x)\n")
    assert patch.helpers == ()


def test_a_method_may_come_within_its_class() -> None:
    genome = genome_of()
    inside = "class Net(nn.Module):\n" + "".join(
        f"    {line}\n" if line else "\n" for line in FORWARD.split("\n")
    )
    assert rewrite(genome, "Net.forward", inside).source == rewrite(genome, "Net.forward", FORWARD).source


def test_imports_go_after_the_docstring_and_future_imports() -> None:
    block = "def f(x):\n    return x\n"
    code = "import math\ndef f(x):\n    return math.exp(x)\n"
    for head in (
        '"""Doc."""\n',
        '"""Doc."""\nfrom __future__ import annotations\n',
        "from __future__ import annotations\nimport torch\n",
        "#!/usr/bin/env python\n# licence\n\n",
        "import a; import b\n",
        "",
        "try:\n    import fast\nexcept ImportError:\n    fast = None\nimport torch\n",
    ):
        child = rewrite(genome_of(head + block), "f", code)
        assert child.text.startswith(head + "import math\n")
        compile(child.text, "child", "exec")


# --- laws ---------------------------------------------------------------------------------------------

REWRITES = {
    "make_norm": "def make_norm(channels):\n    return nn.GroupNorm(1, channels)\n",
    "SE": HELPED + SE_WIDE.replace("F.silu(", "scale("),
    "Net": "import einops\n" + TEXT[TEXT.index("@torch.no_grad") : TEXT.index("# the end")].replace(
        "return 2 * x", "return einops.reduce(x)"
    ),
    "get_optimizer": "import math\ndef get_optimizer(model, lr=0.1, *, weight_decay=0.0):\n    return math.pi\n",
}  # fmt: skip


@given(st.permutations(list(REWRITES)), st.integers(1, 4), st.sampled_from(["\n", "\r\n"]))
@settings(deadline=None, max_examples=25)
def test_patches_on_different_blocks_commute(order: list[str], count: int, newline: str) -> None:
    genome = genome_of(TEXT.replace("\n", newline))
    chosen = order[:count]
    patches = {address: patch_of(genome, address, REWRITES[address]) for address in chosen}
    results = set()
    for sequence in (chosen, chosen[::-1], sorted(chosen)):
        child = genome
        for address in sequence:
            spliced = apply(child, patches[address])
            assert isinstance(spliced, Genome)
            child = spliced
        results.add((child.source, child.digest))
    assert len(results) == 1


def test_transplant_takes_helpers_and_imports_along() -> None:
    genome = genome_of()
    donor = rewrite(genome, "SE", REWRITES["SE"])
    child = apply(genome, transplant(donor, "SE"))
    assert isinstance(child, Genome)
    assert child.source == donor.source
    with pytest.raises(KeyError):
        transplant(donor, "Nett")


def test_an_import_that_the_seed_has_is_not_added_again() -> None:
    genome = genome_of()
    child = apply(genome, Patch("SE", SE_WIDE, imports=("import torch", "from torch import nn")))
    assert isinstance(child, Genome)
    assert child.imports == ()


def test_a_hand_made_patch_that_does_not_fit_is_rejected() -> None:
    genome = genome_of()
    for patch in (
        Patch("Net.forward", FORWARD + "\n\ndef more(x):\n    return x"),
        Patch("SE", SE_WIDE + "\nx = 1"),
        Patch("SE", "x = 1"),
        Patch("SE", "class SE(:"),
        Patch("SE", SE_WIDE, helpers=("x = 1; y = 2",)),
        Patch("SE", SE_WIDE, helpers=("def make_norm(x):\n    return x",)),
        Patch("SE", SE_WIDE, helpers=("def (",)),
        Patch("Nett", SE_WIDE),
        Patch("SE", SE_WIDE.replace("F.silu", "math.exp"), imports=("import math; import (",)),
        Patch("SE", SE_WIDE.replace("F.silu", "math.exp"), imports=("import math; print(1)",)),
        Patch("SE", SE_WIDE.replace("F.silu", "math.exp"), imports=("import math\nprint(1)",)),
        Patch("SE", SE_WIDE, imports=("import numpy as torch",)),
    ):
        assert isinstance(apply(genome, patch), Rejected), patch


def test_a_character_that_the_files_encoding_lacks_is_rejected() -> None:
    genome = genome_of(("# -*- coding: latin-1 -*-\n" + TEXT).encode("latin-1"))
    assert "no character" in refusal(genome, "Net.forward", body("x = '\u2192'")).reason
