"""The list of `make mutants` cannot rot: each line still stands, and its tests are there."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

import pytest
from benchmarks_here import benchmark

ROOT = Path(__file__).resolve().parent.parent


MUTANTS = benchmark("mutants").mutants()
LEAST = 60


@cache
def dumped(file: str) -> str:
    """The syntax tree of a file as it stands."""
    return ast.dump(ast.parse((ROOT / file).read_text("utf-8")))


@cache
def defined(file: str) -> set[str]:
    """Names of the classes and functions of a file."""
    return {
        node.name for node in ast.walk(ast.parse((ROOT / file).read_text("utf-8"))) if hasattr(node, "name")
    }


def test_a_list_that_shrinks_or_names_one_twice() -> None:
    assert len(MUTANTS) >= LEAST
    assert len({one.name for one in MUTANTS}) == len(MUTANTS)
    assert len({(one.file, one.old, one.new) for one in MUTANTS}) == len(MUTANTS)


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda one: one.name)
def test_a_mutant_whose_line_or_tests_are_gone(mutant: object) -> None:
    broken = mutant.made((ROOT / mutant.file).read_text("utf-8"))
    assert ast.dump(ast.parse(broken)) != dumped(mutant.file), "it changes nothing"
    assert mutant.why.strip()
    assert mutant.tests
    for test in mutant.tests:
        path, _, name = test.partition("::")
        assert not name or set(name.partition("[")[0].split("::")) <= defined(path), test
