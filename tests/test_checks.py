"""The static checks."""

# ruff: noqa: E501

from __future__ import annotations

import pytest
from transform_seed import FORWARD, SE_WIDE, genome_of, patch_of

from ge_engine.contracts import Candidate, Probe
from ge_engine.genome import Genome
from ge_engine.outcome import Rejected
from ge_engine.patch import JointPatch, apply
from ge_engine.replies.blocks import read_blocks
from ge_engine.testing import material
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


ROUND = {
    "builtins of a module": 'x = torch.__builtins__["__im" + "port__"]("os")',
    "builtins by subscript": 'x = vars(torch)["__builtins__"]',
    "builtins by a dictionary": 'x = torch.__dict__["__builtins__"]',
    "builtins by getattr": 'x = getattr(torch, "__builtins__")',
    "builtins by a computed name": 'x = getattr(torch, chr(95) * 2 + "x")',
    "builtins by an alias": "t = torch; n = t; x = n.io",
    "builtins by a walrus": "x = (t := torch).sys, t.load",
    "builtins by a joined name": 'x = self.__dict__["_" + "_built" + "ins__"]',
    "builtins by formatting": 'a = "x"; x = f"__built{a}"',
    "globals of a method": "x = self.forward.__func__.__globals__",
    "globals of a function": "x = F.relu.__globals__",
    "subclasses of object": "x = ().__class__.__base__.__subclasses__()",
    "the order of classes": "x = type(self).mro()",
    "frames": "x = (y for y in x).gi_frame.f_back.f_globals",
    "a traceback": "x = x.__traceback__.tb_frame",
    "the loader": "x = __loader__.load_module('os')",
    "a module within a module": "x = torch.os.listdir('/')",
    "a module within a submodule": "x = torch.serialization.os",
    "a module of any object": "x = self.conv.sys",
    "a module by import": "from torch import os",
    "a module by a path": "import torch.utils.cpp_extension",
    "a private module": "from random import _os",
    "a file by torch": "x = torch.load('x')",
    "a file by numpy": "import numpy as np; x = np.fromfile('x')",
    "a library": "torch.ops.load_library('x')",
    "getattr by another name": "g = getattr; x = g(torch, 'x')",
    "getattr as an argument": "x = map(getattr, [torch], ['os'])",
    "attributes by operator": "import operator; x = operator.attrgetter('x')(torch)",
    "a call by operator": "from operator import methodcaller",
    "a reduction": "x = self.__reduce_ex__(2)",
    "a default that reads open": "f = lambda open=open: open",
    "an import beside the block": "x = np.fromfile('x')",
    "bytes": "x = b'__builtins__'.decode()",
}  # fmt: skip


@pytest.mark.parametrize("case", ROUND)
def test_a_way_round_the_names_check(case: str) -> None:
    rejected = first_rejection(
        candidate("import torch\nimport numpy as np\n" + body(ROUND[case]).replace("; ", "\n    "))
    )
    assert rejected is not None
    assert rejected.stage == "names"
    assert "must not be used in a block of a model" in rejected.reason


ADMITTED = {
    "a parameter that is named as a built-in": "def helper(input):\n    return -input\n" + FORWARD.replace("F.relu(", "helper("),
    "attributes by name": body("x = getattr(self, f'layer{len(x)}')(x) if hasattr(self, 'layer1') else x"),
    "a method of the object itself": body("x = self.load(self.io(x), self.code)"),
    "dunder names of a model": body("x = x + self.__class__.__name__.__len__() + self.__dict__['training']"),
    "a docstring that speaks of them": body('"""Unlike __builtins__ and torch.os, this is text."""'),
    "underscores as a separator": body("x = self.names['__'.join('ab')]"),
    "an operator of a tensor": body("x = x.__mul__(2).__neg__()"),
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
def test_code_in_order_passes_every_static_check(case: str) -> None:
    assert first_rejection(candidate(ADMITTED[case])) is None


def test_what_the_seed_itself_imports_or_leaves_undefined_may_stay() -> None:
    text = "import os\nfrom .layers import SE\ndef f(x):\n    return os.getcwd() + x + magic + open(x)\n"
    parent = genome_of(text)
    assert first_rejection(candidate(text.replace("+ x", "+ x + x"), "f", parent)) is None
    more = "import os.path\ndef f(x):\n    return os.path.join(x, magic, open(x))\n"
    assert first_rejection(candidate(more, "f", parent)) is None
    star = genome_of("from torch.nn import *\ndef f(x):\n    return Linear(x)\n")
    assert first_rejection(candidate("def f(x):\n    return Conv2d(x)\n", "f", star)) is None


def test_a_seed_that_reaches_out_by_itself_may_go_on() -> None:
    text = "import torch\ndef f(x):\n    return getattr(torch, x.kind)(torch.load(x), x.__func__)\n"
    parent = genome_of(text)
    assert first_rejection(candidate(text.replace("(torch.load", "(2, torch.load"), "f", parent)) is None
    rejected = first_rejection(candidate(text.replace("x.__func__", "x.__self__"), "f", parent))
    assert rejected is not None
    assert rejected.reason == ".__self__ must not be used in a block of a model."


def test_a_child_that_was_tried_before_is_rejected_with_its_name() -> None:
    one = candidate(SE_WIDE, "SE")
    again = candidate(SE_WIDE.replace('"""Gate."""', "# other words"), "SE", seen=one.genome.text)
    rejected = first_rejection(again)
    assert rejected == Rejected("duplicate", "the same code was tried before, as g1s2: try something else.")


def test_a_block_among_several_whose_code_is_not_judged() -> None:
    """What one of the old blocks did it may go on to do; another may not begin to."""
    text = "def f(x):\n    return eval(x) + y\n\n\ndef g(x):\n    return x\n"
    parent = genome_of(text)

    def rejected(new: str) -> Rejected | None:
        patch = read_blocks(new, "stop", parent, ("f", "g"))
        assert isinstance(patch, JointPatch)
        child = apply(parent, patch)
        assert isinstance(child, Genome)
        return first_rejection(material.candidate(child, parent, patch, None, lambda _: None))

    assert rejected(text.replace("+ y", "- y").replace("return x", "return 2 * x")) is None
    for bad, reason in (
        ("eval(x)", "eval must not"),
        ("y", "nothing defines y"),
        ("x.gi_frame", ".gi_frame must not"),
    ):
        found = rejected(text.replace("+ y", "- y").replace("return x", f"return {bad}"))
        assert found is not None
        assert reason in found.reason
