# ruff: noqa: E501
"""Files with blanks where nobody sees them, and names in unusual spellings: rewritten as any other."""

from __future__ import annotations

import ast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from transform_seed import genome_of, rewrite

from ge_engine.genome import Genome
from ge_engine.replies.extraction import Extraction, extract

BLANKS = {
    "a space after the last line of a class": "class A:\n    def f(self):\n        return 3 \n",
    "a tab after the last line of a class": "class A:\n    def f(self):\n        return 3\n    x = 5\t\n",
    "a semicolon and a space": "class A:\n    def f(self): return 3\n    x = 5; \n\n\ny = 1\n",
    "spaces after all lines": "class A:   \n    def f(self): \n        x = 3  \n        return x \n\n    y = 5 \n",
    "blanks in CRLF": "class A:\r\n    def f(self):\r\n        x = 3 \r\n \r\n        return x \r\n",
    "a blank line with fewer spaces than its body": (
        "class A:\n    def f(self):\n      \n        x = 3\n \n        return x\n"
    ),
    "a blank line with a tab": "class A:\n    def f(self):\n\t\t\n        x = 3\n    \t\n        return x\n",
    "blank lines with spaces between methods": (
        "class A:\n  \n    def f(self):\n        return 3\n   \n    def g(self):\n        return 5\n   \n"
    ),
}


def one_line_changed(old: bytes, new: bytes) -> str:
    """The number on the one line in which the two differ; blanks at its end do not count."""
    pairs = list(zip(old.splitlines(), new.splitlines(), strict=True))
    (before, after), *more = [(a, b) for a, b in pairs if a != b]
    assert not more
    number = after[before.index(b"3") :][:1]
    assert before.replace(b"3", number).rstrip() == after.rstrip()
    return number.decode()


@pytest.mark.parametrize("address", ["A", "A.f"])
@pytest.mark.parametrize("name", BLANKS)
def test_blanks_at_line_ends_that_bar_a_rewrite_or_change_with_it(name: str, address: str) -> None:
    """One number is another; no other byte is, however often, also when the reply has no blanks at ends."""
    genome = seed = genome_of(BLANKS[name])
    for number in "456789":
        code = genome.blocks[address].code.replace(str(int(number) - 1), number, 1)
        genome = rewrite(genome, address, "\n".join(line.rstrip() for line in code.split("\n")))
        assert one_line_changed(seed.source, genome.source) == number


@pytest.mark.parametrize("address", ["A", "A.f"])
@pytest.mark.parametrize("name", BLANKS)
def test_a_block_given_back_without_its_blanks_that_changes_the_file(name: str, address: str) -> None:
    genome = genome_of(BLANKS[name])
    found = extract(f"```python\n{genome.blocks[address].code}\n```", "stop", genome, address)
    assert isinstance(found, Extraction), found
    bare = "\n".join(line.rstrip() for line in found.code.split("\n"))
    assert rewrite(genome, address, bare).source == genome.source


STRINGS = ["'''a  \nb'''", '"""a\n \nb"""', "f'''{x}\t\n'''"]


@pytest.mark.parametrize("string", STRINGS)
def test_blanks_in_a_string_that_come_back_though_the_reply_removed_them(string: str) -> None:
    genome = genome_of(f"def f(x):\n    s = {string} \n    return s, 3 \n")
    new = "\n".join(line.rstrip() for line in genome.blocks["f"].code.replace("3", "4").split("\n"))
    child = rewrite(genome, "f", new)
    assert ast.dump(ast.parse(child.text)) == ast.dump(ast.parse(new))


@settings(deadline=None)
@given(st.lists(st.sampled_from(["", " ", "\t", "      ", "  \t"]), min_size=7, max_size=7))
def test_any_blanks_at_line_ends_that_a_rewrite_loses(ends: list[str]) -> None:
    lines = [
        "class A:",
        "    def f(self):",
        "",
        "        return 3",
        "",
        "    def g(self):",
        "        return 5",
    ]
    source = "\n".join(line + end for line, end in zip(lines, ends, strict=True)) + "\n"
    genome = genome_of(source)
    for address in ("A", "A.f"):
        code = "\n".join(line.rstrip() for line in genome.blocks[address].code.split("\n"))
        assert (
            one_line_changed(source.encode(), rewrite(genome, address, code.replace("3", "4")).source) == "4"
        )


SPELLINGS = {
    "a ligature": ("def \ufb01t(x):\n    return 3\n", "fit"),
    "a letter and its accent": ("def cafe\u0301(x):\n    return 3\n", "caf\u00e9"),
    "a class of wide letters": ("class \uff2eet:\n    x = 3\n", "Net"),
    "a method": ("class A:\n    def \ufb01t(self):\n        return 3\n", "A.fit"),
    "a name in the line below": ("class \\\n  A:\n    x = 3\n", "A"),
    "a method in the line below": ("class A:\n    def \\\n      f(self):\n        return 3\n", "A.f"),
}


@pytest.mark.parametrize("reply", ["{}", "Here:\n```python\n{}\n```\nDone."])
@pytest.mark.parametrize("name", SPELLINGS)
def test_a_name_in_another_spelling_that_no_reply_and_no_record_defines(name: str, reply: str) -> None:
    source, address = SPELLINGS[name]
    genome = genome_of(source)
    new = genome.blocks[address].code.replace("3", "4")
    found = extract(reply.format(new), "stop", genome, address)
    assert isinstance(found, Extraction), found
    child = rewrite(genome, address, found.code)
    assert child.text == source.replace("3", "4")
    assert Genome.from_delta(genome.seed, child.delta()).source == child.source
