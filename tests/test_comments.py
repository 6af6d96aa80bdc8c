# ruff: noqa: E501
"""Comments: each stands once after any number of rewrites, wherever it stands; a reply's own are kept once."""

from __future__ import annotations

import re

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from transform_seed import genome_of, rewrite

from ge_engine.genome import Genome
from ge_engine.patch import apply, transplant

CODE = """\
import functools
@functools.cache
@functools.wraps(print)
def first(x):
    k = 100
    if x:
        k = 101
    return k
class A:
    width = 102
    def a(self):
        k = 103
        if k:
            for i in range(3):
                k += i
        else:
            try:
                k = 1
            finally:
                k = 2
        return k
    @staticmethod
    @functools.cache
    def b(x):
        '''Doc.'''
        return x + 104
    async def c(self): return 105
    class Inner:
        k = 106
    def last(self):
        with self as s:
            return 107
def g(
    x,
): return 108
@functools.cache
class B(
    A,
    object,
):
    k = 109
    def b(self, x):
        return 110
def end(x):
    return 111
""".splitlines()
BETWEEN = st.lists(
    st.tuples(
        st.sampled_from([0, 2, 4, 6, 8, 12, 16]),
        st.sampled_from(["# c", "# c", "# c", "", "  "]),
        st.booleans(),
    ),
    max_size=3,
)


@st.composite
def commented(draw: st.DrawFn) -> str:
    """The code with comments, each of its own number, and blank lines at some places."""
    places = draw(st.dictionaries(st.integers(0, len(CODE)), BETWEEN, max_size=8))
    ends = draw(st.sets(st.integers(0, len(CODE) - 1), max_size=4))
    lines: list[str] = []
    for at in range(len(CODE) + 1):
        for indent, text, tab in places.get(at, []):
            mark = f"{text}{len(lines)}-" if text.startswith("#") else text
            lines.append(("\t" if tab else " ") * (indent // (8 if tab else 1)) + mark)
        if at < len(CODE):
            lines.append(CODE[at] + (f"  # e{len(lines)}-" if at in ends else ""))
    return "\n".join(lines) + draw(st.sampled_from(["\n", "", "\n\n"]))


def lines_of(text: str) -> list[str]:
    """The lines of a file; of comments and blank lines the indent does not count, since one that stands left of
    its block cannot be written at column 0."""
    return [line.strip() if line.strip()[:1] in ("#", "") else line for line in text.split("\n")]


def rewritten_ten_times(text: str, address: str) -> None:
    """Each rewrite changes one number of the block and nothing else of the file."""
    child = genome_of(text)
    assert child.blocks[address].reason == ""
    number = re.findall(r"\b1\d\d\b", child.blocks[address].code)[0]
    for step in range(10):
        old, new = (number, "7777") if step % 2 == 0 else ("7777", number)
        child = rewrite(child, address, child.blocks[address].code.replace(old, new))
        assert lines_of(child.text) == lines_of(text.replace(number, "7777") if step % 2 == 0 else text)


@given(commented(), st.integers(0), st.sampled_from(["\n", "\r\n"]))
@settings(deadline=None, max_examples=20)
def test_a_comment_that_goes_or_doubles_with_each_rewrite(text: str, which: int, newline: str) -> None:
    text = text.replace("\n", newline)
    addresses = genome_of(text).evolvable
    assert len(addresses) == len(genome_of("\n".join(CODE)).evolvable)
    rewritten_ten_times(text, addresses[which % len(addresses)])


@pytest.mark.parametrize("indent", [0, 2, 4, 8, 12])
@pytest.mark.parametrize("address", ["first", "A", "A.a", "A.b", "A.c", "A.last", "g", "B.b", "end"])
def test_a_comment_at_every_place_that_doubles_with_each_rewrite(address: str, indent: int) -> None:
    lines = [part for n, line in enumerate(CODE) for part in (" " * indent + f"# c{n}-", line)]
    rewritten_ten_times("\n".join([*lines, " " * indent + "# last-", ""]), address)


@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize("blank", ["", "    ", "        ", "            ", "\t"])
@pytest.mark.parametrize("indent", [0, 2, 4, 8, 12])
@pytest.mark.parametrize("address", ["A", "A.a"])
def test_a_comment_before_a_line_of_blanks_that_closes_its_block(
    address: str, indent: int, blank: str, last: bool
) -> None:
    """libcst gives a body what stands above a line of blanks as long as the body's indent."""
    rest = "" if last else "    def b(self):\n        return 111\n"
    start = "class A:\n    def a(self):\n        return 100\n"
    text = f"{start}{' ' * indent}# c1-\n{blank}\n# c2-\n{blank}\n{rest}def end(x):\n    return 112\n"
    rewritten_ten_times(text, address)


@given(commented())
@settings(deadline=None, max_examples=20)
def test_a_comment_that_doubles_when_a_block_is_mated(text: str) -> None:
    genome = genome_of(text)
    assume(not genome.blocks["A.a"].reason)
    donor = rewrite(genome, "A.a", genome.blocks["A.a"].code.replace("103", "7777"))
    child = apply(genome, transplant(donor, "A.a"))
    assert isinstance(child, Genome)
    assert lines_of(child.text) == lines_of(text.replace("103", "7777"))


SEED = """class A:
    # above a
    def a(self):
        k = 0
        return k
        # end of a

    # above b
    def b(self):
        return 2
    # end of A


def f(x):
    return x
    # end of f
"""
OWN = {
    "inside": ("A.a", "def a(self):\n    # mine\n    k = 1\n    return k\n"),
    "at the end": ("A.a", "def a(self):\n    return 1\n    # mine\n"),
    "after a blank line": ("A.a", "def a(self):\n    return 1\n\n    # mine\n"),
    "at column 0 after the block": ("A.a", "def a(self):\n    return 1\n# mine\n"),
    "half indented": ("A.a", "def a(self):\n    return 1\n  # mine\n"),
    "at the end of a line": ("A.a", "def a(self):\n    return 1  # mine\n"),
    "last of its class": ("A.b", "def b(self):\n    return 1\n    # mine\n"),
    "a function": ("f", "def f(x):\n    return 1\n    # mine\n"),
    "after a function": ("f", "def f(x):\n    return 1\n# mine\n"),
    "a class": ("A", "class A:\n    def a(self):\n        return 1\n    def b(self):\n        return 2\n    # mine\n"),
    "within a class": ("A", "class A:\n    # mine\n    def a(self):\n        return 1\n    def b(self):\n        return 2\n"),
    "before a helper": ("f", "# mine\ndef help(x, y):\n    return x\n\n\ndef f(x):\n    return help(x, 1)\n"),
    "at the end of a helper": ("f", "def help(x, y):\n    return x\n    # mine\n\n\ndef f(x):\n    return help(x, 1)\n"),
    "beside a helper": ("f", "K = 3  # mine\n\n\ndef f(x):\n    return K * x + 1\n"),
}  # fmt: skip


@pytest.mark.parametrize("case", OWN)
def test_a_replys_own_comment_that_is_lost_or_doubles(case: str) -> None:
    address, code = OWN[case]
    child = genome_of(SEED)
    for _ in range(3):
        child = rewrite(child, address, code)
        assert child.text.count("# mine") == 1
    for number in range(10):
        again = re.sub(r"\b\d+\b", str(number), child.blocks[address].code, count=1)
        child = rewrite(child, address, again)
        assert child.text.count("# mine") == 1
    for kept in ("# above a", "# above b"):
        assert child.text.count(kept) == (0 if address == "A" else 1)
