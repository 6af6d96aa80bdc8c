"""Code left out of a rewritten block: told from honest code that looks like it."""

# ruff: noqa: E501

from __future__ import annotations

import pytest
from transform_seed import SE_WIDE, TEXT, genome_of, refusal, rewrite

SEED = '''import torch
import torch.nn as nn


class Block(nn.Module):
    """A block."""

    class Empty(Exception): ...

    def __init__(self, channels):
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3)
        self.norm = nn.BatchNorm2d(channels)
        self.gate = nn.Linear(channels, channels)

    def load(self, path):
        try:
            return torch.load(path)
        except OSError: ...
        return None

    def hook(self, module):
        pass

    def forward(self, x):
        def trace(value): ...

        trace(x)
        for layer in (self.conv, self.norm):
            x = layer(x)
        return x


def pick(x):
    if x is None:
        ...
    y = x + 1
    z = y * 2
    return z
'''
BLOCK = SEED[SEED.index("class Block") : SEED.index("\n\n\ndef pick")] + "\n"
PICK = SEED[SEED.index("def pick") :]
GENOME = genome_of(SEED)


def changed(old: str, new: str, code: str = BLOCK) -> str:
    assert code.count(old) == 1, old
    return code.replace(old, new)


HONEST = {
    "a word of sizes": changed("x = layer(x)", "x = layer(x) * 2  # spatial size unchanged"),
    "a word of an argument": changed("nn.Conv2d(channels, channels, 3)", "nn.Conv2d(channels, channels, 3, bias=False)  # bias omitted: BN follows"),
    "an omitted padding": changed("x = layer(x)", "# padding omitted on purpose\n            x = layer(x) + 1"),
    "channels that stay": changed("x = layer(x)", "# the number of channels is unchanged here\n            x = layer(x) + 1"),
    "a comment where nothing is gone": changed("        return x\n", "        # the rest of the code is unchanged\n        return x\n"),
    "dots where nothing is gone": changed("        return x\n", "        # ...\n        return x\n"),
    "an elision in a method as it was": changed("self.norm = nn.BatchNorm2d(channels)", "self.norm = nn.GroupNorm(1, channels)").replace("        trace(x)\n", "        # same as before\n        trace(x)\n"),
    "the seed's own except": changed("x = layer(x)", "x = layer(x) + 1"),
    "the seed's own except, moved": changed("except OSError: ...", "except (OSError, ValueError): ..."),
    "an except of its own, where nothing is gone": changed("        trace(x)\n", "        try:\n            trace(x)\n        except ValueError: ...\n"),
    "the seed's own stubs": changed("x = layer(x)", "x = x + layer(x)"),
    "a stub written otherwise": changed("    def hook(self, module):\n        pass\n", "    def hook(self, module): ...\n"),
    "a new method of pass": changed("    def hook(", "    def reset_parameters(self):\n        pass\n\n    def hook("),
    "a new method of dots": changed("    def hook(", "    def reset_parameters(self): ...\n\n    def hook("),
    "a new exception of dots": changed("    class Empty(Exception): ...\n", "    class Empty(Exception): ...\n\n    class Full(Exception): ...\n"),
    "a new hook of pass within a method": changed("        trace(x)\n", "        def after(value):\n            pass\n\n        after(trace(x))\n"),
    "a method that need not be written": changed("    def hook(", "    def extra(self):\n        raise NotImplementedError\n\n    def hook("),
}  # fmt: skip

LEFT_OUT = {
    "the rest of a method": (changed("        self.norm = nn.BatchNorm2d(channels)\n        self.gate = nn.Linear(channels, channels)\n", "        # ... the rest is unchanged\n"), "the comment in line"),
    "existing layers, and a new one": (changed("        self.norm = nn.BatchNorm2d(channels)\n", "        # ... existing layers ...\n        self.act = nn.ReLU()\n        self.drop = nn.Dropout()\n"), "the comment in line"),
    "layers omitted": (changed("        self.norm = nn.BatchNorm2d(channels)\n", "        # remaining layers omitted for brevity\n"), "the comment in line"),
    "a comment at the end of a method": (changed("        self.gate = nn.Linear(channels, channels)\n", "        # rest unchanged\n"), "the comment in line"),
    "unchanged alone": (changed("        self.gate = nn.Linear(channels, channels)\n", "        # (unchanged)\n"), "the comment in line"),
    "a loop of dots": (changed("            x = layer(x)\n", "            ...\n"), "code is left out in line"),
    "dots beside others": (changed("        trace(x)\n", "        trace(x)\n        ...\n"), "code is left out in line"),
    "a method of dots": (changed("            return torch.load(path)\n        except OSError: ...\n        return None\n", "            ...\n        except OSError: ...\n"), "code is left out"),
    "a method of pass": (BLOCK[: BLOCK.index("        def trace")] + "        pass\n", "body of forward is left out"),
    "a class of dots": ("class Block(nn.Module): ...\n", ""),
}  # fmt: skip


@pytest.mark.parametrize("case", HONEST)
def test_honest_code_that_is_taken_for_an_elision(case: str) -> None:
    child = rewrite(GENOME, "Block", HONEST[case])
    assert child.blocks["Block"].code == HONEST[case].rstrip("\n")


@pytest.mark.parametrize("case", LEFT_OUT)
def test_code_left_out_that_goes_unseen(case: str) -> None:
    code, reason = LEFT_OUT[case]
    rejected = refusal(GENOME, "Block", code)
    assert rejected.stage == "contract"
    assert reason in rejected.reason


def test_dots_of_the_seed_in_a_function() -> None:
    child = rewrite(GENOME, "pick", PICK.replace("y * 2", "y * 3"))
    assert "y * 3" in child.text
    rejected = refusal(GENOME, "pick", PICK.replace("    y = x + 1\n    z = y * 2\n", "    z = 1\n    ...\n"))
    assert "left out" in rejected.reason


def test_a_method_alone_is_judged_against_that_method() -> None:
    forward = "def forward(self, x):\n    # same as before\n    gate = torch.relu(self.down(x.mean((2, 3))))\n    return gate\n"
    assert "stands for code" in refusal(genome_of(TEXT), "SE.forward", forward).reason
    kept = SE_WIDE[SE_WIDE.index("    def __init__") : SE_WIDE.index("\n    def forward")]
    code = "\n".join(line[4:] for line in kept.split("\n"))
    rewrite(
        genome_of(TEXT),
        "SE.__init__",
        code.replace("self.up", "# twice the size of before, bias omitted\n    self.up"),
    )


def test_a_long_comment_is_looked_at_in_no_time_that_grows_with_its_square() -> None:
    code = changed("x = layer(x)", "x = layer(x) * 2  # " + "rest ... " * 20_000)
    rewrite(GENOME, "Block", code)
