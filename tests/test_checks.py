"""The static rungs of the ladder."""

# ruff: noqa: E501

from __future__ import annotations

import pytest
from transform_seed import FORWARD, SE_WIDE, genome_of, patch_of

from ge_engine.contracts import Candidate, Probe
from ge_engine.genome import Genome
from ge_engine.outcome import Rejected
from ge_engine.patch import apply
from ge_plugins.checks import ge_checks

GENOME = genome_of()


def candidate(code: str, address: str = "Net.forward", parent: Genome = GENOME, seen: str = "") -> Candidate:
    patch = patch_of(parent, address, code)
    child = apply(parent, patch)
    assert isinstance(child, Genome), child
    tried = {genome_of(seen).digest: "g1s2"} if seen else {}
    return Candidate(child, parent, patch, Probe(), None, tried.get, lambda fingerprint: None)


def first_rejection(candidate: Candidate) -> Rejected | None:
    for check in sorted(ge_checks(), key=lambda c: c.order):
        found = check.check(candidate)
        if found is not None:
            return found
    return None


def body(statement: str) -> str:
    return FORWARD.replace("    x = F", f"    {statement}\n    x = F", 1)


def test_rungs_are_static_and_in_order() -> None:
    assert [(c.name, c.kind, c.order) for c in ge_checks()] == [
        ("unchanged", "static", 10),
        ("names", "static", 30),
        ("duplicate", "static", 40),
    ]


@pytest.mark.parametrize(
    "code",
    [
        GENOME.blocks["SE"].code,
        GENOME.blocks["SE"].code.replace('"""Gate."""', '"""Another."""'),
        GENOME.blocks["SE"].code.replace('"""Gate."""', "# only a comment"),
        GENOME.blocks["SE"].code.replace("(2, 3)", "( 2,3 )").replace("\n\n", "\n"),
        "def unused(x):\n    return x\n\n" + GENOME.blocks["SE"].code,
    ],
)
def test_a_reply_without_a_change_is_not_trained(code: str) -> None:
    """R13."""
    rejected = first_rejection(candidate(code, "SE"))
    assert rejected is not None
    assert rejected.stage == "unchanged"


NAMES = {
    "undefined function": (body("x = rearrange(x)"), "nothing defines rearrange"),
    "undefined module": (body("x = x * math.pi"), "nothing defines math"),
    "undefined in a helper": (
        "def helper(x):\n    return missing(x)\n" + FORWARD.replace("F.relu(", "helper("), "nothing defines missing",
    ),
    "undefined within a comprehension": (body("x = [y for y in ys]"), "nothing defines ys"),
    "undefined default": ("def forward(self, x, y=WIDTH):\n    return x\n", "nothing defines WIDTH"),
    "network": ("import socket\n" + body("x = socket.socket()"), "the import of socket is not allowed"),
    "import within the function": (body("import os"), "the import of os is not allowed"),
    "from import": (body("from subprocess import run"), "the import of subprocess is not allowed"),
    "relative import": (body("from .layers import SE"), "the import of . is not allowed"),
    "eval": (body("x = eval('x')"), "eval must not be used"),
    "open": (body("x = open('/etc/passwd')"), "open must not be used"),
    "hidden import": (body("x = __import__('os')"), "__import__ must not be used"),
}  # fmt: skip


@pytest.mark.parametrize("case", NAMES)
def test_undefined_names_and_forbidden_imports_are_found_before_training(case: str) -> None:
    """R11."""
    code, reason = NAMES[case]
    rejected = first_rejection(candidate(code))
    assert rejected is not None
    assert rejected.stage == "names"
    assert reason in rejected.reason


def test_an_allowed_package_that_is_not_installed_is_found_before_training(monkeypatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    rejected = first_rejection(candidate("import timm\n" + body("x = timm.layers.x(x)")))
    assert rejected == Rejected("names", "the package timm is not installed: do without it.")


ADMITTED = {
    "allowed import": "import math\n" + body("x = x * math.pi"),
    "import within the function": body("import math"),
    "submodule": "import torch.nn.utils\n" + body("x = torch.nn.utils.skip_init(x)"),
    "comprehension, lambda, walrus, except": (
        "def forward(self, x):\n    ys = [y for y in range(3) if (z := y)]\n    g = lambda a, *b, **c: (a, b, c, z)\n"
        "    try:\n        x = x + g(ys)\n    except ValueError as error:\n        print(error)\n    return super().forward(x)\n"
    ),
    "class attribute": body("x = self.expansion * x * Net.expansion"),
    "nested function": body("h = lambda: K") .replace("    h =", "    K = 2\n    h ="),
    "recursion": "def helper(x):\n    return helper(x - 1)\n" + FORWARD.replace("F.relu(", "helper("),
    "module constant": body("x = x + EPS"),
}  # fmt: skip


@pytest.mark.parametrize("case", ADMITTED)
def test_code_in_order_passes_every_static_rung(case: str) -> None:
    assert first_rejection(candidate(ADMITTED[case])) is None


def test_what_the_seed_itself_imports_or_leaves_undefined_may_stay() -> None:
    text = "import os\nfrom .layers import SE\ndef f(x):\n    return os.getcwd() + x + magic + open(x)\n"
    parent = genome_of(text)
    assert first_rejection(candidate(text.replace("+ x", "+ x + x"), "f", parent)) is None
    more = "import os.path\ndef f(x):\n    return os.path.join(x, magic, open(x))\n"
    assert first_rejection(candidate(more, "f", parent)) is None
    star = genome_of("from torch.nn import *\ndef f(x):\n    return Linear(x)\n")
    assert first_rejection(candidate("def f(x):\n    return Conv2d(x)\n", "f", star)) is None


def test_a_child_that_was_tried_before_is_rejected_with_its_name() -> None:
    one = candidate(SE_WIDE, "SE")
    again = candidate(SE_WIDE.replace('"""Gate."""', "# other words"), "SE", seen=one.genome.text)
    rejected = first_rejection(again)
    assert rejected == Rejected("duplicate", "the same code was tried before, as g1s2: try something else.")
