# ruff: noqa: E501
"""What a block needs comes along whole or is refused by name, and never means something else for other blocks."""

from __future__ import annotations

import ast
import builtins
import symtable
import sys
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from transform_seed import TEXT, genome_of, patch_of, refusal, rewrite

from ge_engine.genome import Genome
from ge_engine.outcome import Rejected
from ge_engine.patch import apply, transplant, undefined_names
from ge_engine.source.bindings import bound_names, scope_names
from ge_engine.source.dependencies import Dependencies, find_dependencies

BLOCK = "def make_norm(channels):\n    return nn.BatchNorm2d(channels, eps=%s)\n"


def values(genome: Genome) -> dict[str, object]:
    """The names of the genome's file once it has run, without what it imports from torch."""
    code = genome.text.replace("import torch.nn as nn\nimport torch.nn.functional as F\n", "").replace(
        "import torch\n", ""
    )
    space: dict[str, object] = {
        "nn": type("nn", (), {"Module": object, "BatchNorm2d": staticmethod(lambda c, eps: eps)})
    }
    exec(code.replace("@torch.no_grad\n", ""), space)
    return space


# --- A4: whole, or refused by name ---------------------------------------------------------------------

CARRIED = {
    "a function named as a builtin": ("def sum(x):\n    return x + 41\n", "sum(1)", 42),
    "a class named as a builtin": ("class range:\n    n = 42\n", "range.n", 42),
    "an import named as a builtin": ("from math import pow, pi\n", "pow(2, 3)", 8.0),
    "an import renamed to a builtin": ("from math import floor as round\n", "round(2.9)", 2),
    "helpers through helpers": ("def abs(x):\n    return -5\ndef max(x):\n    return abs(x)\n", "max(1)", -5),
    "two on a line": ("A = 2.0; B = 1.0\n", "A + B", 3.0),
    "an import and a value on a line": ("import math; S = math.floor(2.5)\n", "S", 2),
    "one in a tuple": ("(S,) = (2.0,)\n", "S", 2.0),
    "one in a list": ("[S] = [2.0]\n", "S", 2.0),
    "annotated": ("S: float = 2.0\n", "S", 2.0),
    "a decorated helper": ("def twice(f):\n    return lambda x: 2 * f(x)\n@twice\ndef g(x):\n    return x\n", "g(4)", 8),
    "a counter behind global": ("COUNT = 4\n\n\ndef up():\n    global COUNT\n    COUNT += 1\n    return COUNT\n", "up()", 5),
    "one of two versions": ("def g(x):\n    return 1\ndef g(x):\n    return 2\n", "g(4)", 2),
    "beside what is only shown": ("K = 3\nx = [K]\nprint(K)\nassert K\n", "K", 3),
    "beside a guarded change": ("K = [3]\nif __name__ == '__main__':\n    K.append(1)\n", "K[-1]", 3),
}  # fmt: skip


@pytest.mark.parametrize("case", CARRIED)
def test_a_helper_that_the_block_needs_and_that_stays_behind(case: str) -> None:
    helper, read, value = CARRIED[case]
    child = rewrite(genome_of(), "make_norm", helper + BLOCK % read)
    found = values(child)["make_norm"](3)  # type: ignore[operator]
    assert found == value
    assert rewrite(child, "make_norm", child.blocks["make_norm"].code).source == child.source
    back = rewrite(child, "make_norm", genome_of().blocks["make_norm"].code)
    assert back.source == genome_of().source


REFUSED = {
    "a loop that appends": ("S = [1.0]\nfor i in range(3):\n    S.append(i)\n", "S[-1]", "S"),
    "an item set": ("D = {}\nD['a'] = 3\n", "D['a']", "D"),
    "an item of an item": ("D = {'a': {}}\nD['a']['b'] = 3\n", "D['a']['b']", "D"),
    "a deleted item": ("D = {'a': 1}\ndel D['a']\n", "len(D)", "D"),
    "a value made of itself": ("SCALE = 2.0\nSCALE = SCALE * 3\n", "SCALE", "SCALE"),
    "a value that grows": ("SCALE = 2.0\nSCALE *= 3\n", "SCALE", "SCALE"),
    "a value between two": ("A = 1\nB = A + 1\nA = 5\n", "A + B", "A"),
    "a method that fills": ("D = {}\nD.update(a=3)\n", "D['a']", "D"),
    "a call that fills": ("D = {}\n\n\ndef fill():\n    D['a'] = 3\n\n\nfill()\n", "D['a']", "D"),
    "a call of a call that fills": ("D = {}\ndef g():\n    D['a'] = 3\ndef h():\n    g()\nh()\n", "D['a']", "D"),
    "a call that is given it": ("import heapq\nS = []\nheapq.heappush(S, 3)\n", "S[0]", "S"),
    "a value taken out": ("S = [1, 2]\nx = S.pop()\n", "S[-1]", "S"),
    "an attribute set": ("class C:\n    n = 1\nC.n = 2\n", "C.n", "C"),
    "setattr": ("class C:\n    n = 1\nsetattr(C, 'n', 2)\n", "C.n", "C"),
    "a registering decorator": ("R = {}\ndef reg(f):\n    R[f.__name__] = f\n    return f\n@reg\ndef g(x):\n    return x\n", "R['g'](3)", "R"),
    "a registering decorator with a name": ("R = {}\ndef reg(n):\n    def deco(f):\n        R[n] = f\n        return f\n    return deco\n@reg('h')\ndef g(x):\n    return x\n", "R['h'](3)", "R"),
    "a registering method": ("class Reg(dict):\n    def add(self, f):\n        self[f.__name__] = f\nR = Reg()\n@R.add\ndef g(x):\n    return x\n", "R['g'](3)", "R"),
    "either of two": ("try:\n    S = 1\nexcept ValueError:\n    S = 2\n", "S", "S"),
    "a loop": ("for S in range(3):\n    pass\n", "S", "S"),
    "with": ("with open('x') as S:\n    pass\n", "S", "S"),
    "walrus": ("print(S := 3)\n", "S", "S"),
    "star": ("S, *R = 2, 1\n", "S", "S"),
    "chained": ("S = R = 2\n", "S", "S"),
    "match": ("match 3:\n    case S:\n        pass\n", "S", "S"),
    "a class bound twice": ("class C:\n    n = 1\nclass C(C):\n    m = 2\n", "C.n", "C"),
    "a star import": ("from torch.nn.functional import *\n", "relu(channels)", "relu"),
    "a list of the seed": ("ACTS['mish'] = 3\n", "ACTS['mish']", "ACTS"),
    "a registry of the seed": ("@register\ndef mish(x):\n    return x\n", "ACTS['mish']", "register"),
    "the block itself": ("make_norm.width = 3\n", "channels", "make_norm"),
    "only annotated": ("S: int\n", "S", "S"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_a_helper_that_comes_along_in_part(case: str) -> None:
    around, read, name = REFUSED[case]
    seed = TEXT.replace(
        "EPS = 1e-5\n",
        "EPS = 1e-5\nACTS = {}\n\n\ndef register(f):\n    ACTS[f.__name__] = f\n    return f\n",
    )
    code = around + BLOCK % read if name != "make_norm" else BLOCK % read + around
    rejected = refusal(genome_of(seed), "make_norm", code)
    assert rejected.stage == "contract"
    assert (
        name in rejected.reason.replace(",", " ").replace(":", " ").split()
        or f"import {name} " in rejected.reason
    )


def test_the_seeds_own_statements_in_a_whole_file_are_no_changes_of_the_reply() -> None:
    seed = TEXT.replace(
        "EPS = 1e-5\n",
        "EPS = 1e-5\nACTS = {}\nACTS['a'] = EPS\nfor i in range(3):\n    ACTS[i] = i\nSIZE = 2\nSIZE *= 2\n",
    )
    seed = seed.replace("eps=EPS", "eps=ACTS['a'] * SIZE")
    child = rewrite(genome_of(seed), "make_norm", seed.replace("* SIZE", "* SIZE * 2"))
    assert child.text == seed.replace("* SIZE", "* SIZE * 2")
    refused = refusal(
        genome_of(seed), "make_norm", seed.replace("* SIZE", "* SIZE * 2").replace("SIZE = 2", "SIZE = 3")
    )
    assert "SIZE already means something else" in refused.reason


# --- A5: what a module binds ----------------------------------------------------------------------------

BINDING = {
    "star-unpacking": "scale, *rest = 2, 3\n",
    "star": "first, *scale = 2, 3\n",
    "walrus": "print(scale := 2)\n",
    "walrus in a comprehension": "n = [scale := i for i in range(3)]\n",
    "walrus in a default": "def f(a=(scale := 2)):\n    return a\n",
    "walrus in a decorator": "@(scale := print)\ndef f(a):\n    return a\n",
    "walrus in a base": "class C((scale := object)):\n    pass\n",
    "for": "for scale in range(3):\n    pass\n",
    "for within if": "if True:\n    for a, (b, scale) in []:\n        pass\n",
    "with": "with open(__file__) as scale:\n    pass\n",
    "with a tuple": "with open(__file__) as (a, scale):\n    pass\n",
    "match": "match 3:\n    case {'a': [scale, *_]}:\n        pass\n    case _:\n        pass\n",
    "match star": "match 3:\n    case [1, *scale]:\n        pass\n",
    "match rest": "match 3:\n    case {'a': 1, **scale}:\n        pass\n",
    "match as": "match 3:\n    case (1 | 2) as scale:\n        pass\n",
    "match body": "match 3:\n    case 3:\n        scale = 2\n",
    "except": "try:\n    pass\nexcept ValueError as scale:\n    pass\n",
    "except star": "try:\n    pass\nexcept* ValueError as e:\n    scale = 2\n",
    "else and finally": "try:\n    pass\nfinally:\n    scale = 2\n",
    "while else": "while False:\n    pass\nelse:\n    scale = 2\n",
    "global": "def setup():\n    global scale\n    scale = 2\nsetup()\n",
    "global in a method": "class C:\n    def setup(self):\n        def inner():\n            global scale\n            scale = 2\n",
    "global in a class": "class C:\n    global scale\n    scale = 2\n",
    "globals": "globals()['scale'] = 2\n",
    "globals update": "globals().update(scale=2)\n",
    "globals in a loop": "for n in ['scale']:\n    globals()[n] = 2\n",
    "vars": "vars()['scale'] = 2\n",
    "setattr of the module": "import sys\nsetattr(sys.modules[__name__], 'scale', 2)\n",
    "builtins": "import builtins\nbuiltins.scale = 2\n",
    "exec": "exec('scale = 2')\n",
    "star import": "from scaling import *\n",
    "star import in try": "try:\n    from scaling import *\nexcept ImportError:\n    pass\n",
    "annotated": "scale: int = 2\n",
    "augmented": "scale = 1\nscale += 1\n",
    "deleted and bound again": "scale = 1\ndel scale\nscale = 2\n",
    "import as": "import os.path as scale\n",
    "nested import": "if True:\n    from os import path as scale\n",
}  # fmt: skip
NEWER = {
    "type alias": "type scale = int\n",
    "type parameters": "def f[T](a: T) -> T:\n    return a\nscale = 1\n",
    "a generic class": "class C[T: int]:\n    pass\nscale = 1\n",
}
if sys.version_info >= (3, 12):
    BINDING.update(NEWER)
FILE = "import torch\n%s\ndef other(x):\n    return scale(x)\ndef block(x):\n    return x\n"
HELPER = "def scale(x):\n    return x * 2\ndef block(x):\n    return scale(x)\n"


@pytest.mark.parametrize("case", BINDING)
def test_a_helper_that_overwrites_a_name_of_the_seed_for_other_blocks(case: str) -> None:
    genome = genome_of(FILE % BINDING[case])
    child = rewrite(genome, "block", HELPER)
    assert "def scale2(x)" in child.text
    assert "def scale(" not in child.text
    constant = refusal(genome, "block", "scale = 3\ndef block(x):\n    return scale * x\n")
    assert "scale already means something else" in constant.reason


@pytest.mark.parametrize("case", BINDING)
def test_a_reply_that_reads_a_name_of_the_seed_and_is_called_undefined(case: str) -> None:
    genome = genome_of(FILE % BINDING[case])
    patch = patch_of(genome, "block", "def block(x):\n    return scale * x\n")
    child = apply(genome, patch)
    assert isinstance(child, Genome)
    assert undefined_names(child, patch) == ()


def test_a_name_that_nothing_binds_is_still_undefined() -> None:
    genome = genome_of(
        FILE
        % "def f(scale):\n    locals()['a'] = [nothing for nothing in scale]\n    return lambda nothing: 1\n"
    )
    patch = patch_of(genome, "block", "def block(x):\n    return nothing\n")
    child = apply(genome, patch)
    assert isinstance(child, Genome)
    assert undefined_names(child, patch) == ("nothing",)


def test_a_name_that_the_block_itself_makes_global_is_not_undefined() -> None:
    genome = genome_of("class C:\n    def a(self):\n        return 1\n    def b(self):\n        return 2\n")
    code = "class C:\n    def a(self):\n        global made\n        made = 1\n    def b(self):\n        return made\n"
    patch = patch_of(genome, "C", code)
    child = apply(genome, patch)
    assert isinstance(child, Genome)
    assert undefined_names(child, patch) == ()
    assert "made already means something else" in refusal(child, "C", "made = 3\n" + code.replace("global made\n        made = 1", "return made")).reason  # fmt: skip


@pytest.mark.parametrize("name", ["sum", "max", "range", "print", "abs"])
def test_a_helper_named_as_a_builtin_that_another_block_calls(name: str) -> None:
    """Also the block that a later patch brings: it means Python's own."""
    genome = genome_of(f"def other(x):\n    return {name}(x)\ndef block(x):\n    return x\n")
    child = rewrite(genome, "block", f"def {name}(x):\n    return 42\ndef block(x):\n    return {name}(x)\n")
    space: dict[str, object] = {}
    exec(child.text, space)
    assert space["block"](3) == 42  # type: ignore[operator]
    assert name not in space
    later = rewrite(child, "other", f"def other(x):\n    return [{name}]\n")
    exec(later.text, space)
    assert space["other"](3) == [getattr(builtins, name)]  # type: ignore[operator]


PARTS = st.sampled_from([*BINDING.values(), "x = lambda y, *z: (w := y)\n", "a[0] = b.c = 3\n", "[p for p in q if (r := p)]\n",
                         "def f(a, *b, c: int = 3, **d) -> str:\n    e = 1\n    nonlocal_ = [g for g in a]\n", "class C(B, m=(n := 1)):\n    o = 2\n",
                         "async def f():\n    async with a as b:\n        pass\n    async for c in d:\n        pass\n", "import a.b.c, d as e\n",
                         "import os as º\n", "assert (u := 1), (v := 2)\n", "raise_ = yield_ = 3\n", "del k[0], k.l, m\n"])  # fmt: skip


@given(st.lists(PARTS, min_size=1, max_size=4))
@settings(deadline=None, max_examples=100)
def test_a_statement_that_binds_a_name_of_which_the_account_knows_nothing(parts: list[str]) -> None:
    """Python's own symbol table is the judge, except for `global` within functions, which it is asked for itself."""
    code = "".join(parts)
    table = symtable.symtable(code, "x", "exec")
    bound = {s.get_name() for s in table.get_symbols() if s.is_assigned() or s.is_imported()}
    tree = ast.parse(code)
    names = {name for statement in tree.body for name in scope_names(statement)} - {"*"}
    assert names | globals_of(table) == bound | globals_of(table)
    assert names <= {name for name in bound_names(tree.body) if "." not in name} | {"__future__"}


def globals_of(table: symtable.SymbolTable) -> set[str]:
    inner = {s.get_name() for s in table.get_symbols() if s.is_declared_global()}
    return inner.union(*map(globals_of, table.get_children()))


# --- many helpers --------------------------------------------------------------------------------------


def helpers_in_a_chain(count: int) -> str:
    """Each helper calls the one before it, and the block the last."""
    first = "def h0(x):\n    return x\n"
    rest = "".join(f"def h{n}(x):\n    return h{n - 1}(x)\n" for n in range(1, count))
    return first + rest + BLOCK % f"h{count - 1}(channels)"


def calls_of(work: Callable[[], object]) -> int:
    """How many functions are called in Python."""
    count = 0

    def seen(_frame: object, event: str, _argument: object) -> None:
        nonlocal count
        count += event == "call"

    sys.setprofile(seen)
    try:
        work()
    finally:
        sys.setprofile(None)
    return count


def test_looking_for_dependencies_whose_work_grows_with_the_square_of_their_number() -> None:
    genome = genome_of()

    def search(count: int) -> Dependencies | Rejected:
        tree = ast.parse(helpers_in_a_chain(count))
        return find_dependencies(tree, tree.body[-1], ast.unparse(tree.body[-1]), "make_norm", genome)

    found = search(3000)
    assert isinstance(found, Dependencies)
    assert len(found.helpers) == 3000
    assert calls_of(lambda: search(4000)) < 5 * calls_of(lambda: search(1000))


def test_a_patch_with_many_helpers_whose_work_grows_with_the_square_of_their_number() -> None:
    def applied(count: int) -> int:
        genome, code = genome_of(), helpers_in_a_chain(count)

        def work() -> None:
            child = rewrite(genome, "make_norm", code)
            assert len(child.blocks) > count
            assert len(transplant(child, "make_norm").helpers) == count
            again = rewrite(child, "make_norm", code.replace("(x)\n", "(x) + 1\n"))
            assert len(again.blocks) == len(child.blocks)

        return calls_of(work)

    assert applied(240) < 6 * applied(60)
