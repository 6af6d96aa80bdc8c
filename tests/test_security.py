"""SECURITY.md promises what a test holds: each row of a table ends with the tests that hold it.

Its other sentences name theirs as well, or stand in tests/joins/promises.toml: tests/joins/test_promises.py.
"""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parent.parent
PROMISES = (ROOT / "SECURITY.md").read_text("utf-8")
NAMED = re.findall(r"`(test_\w+)`", PROMISES)
HOLDERS = "held by"
ROWS = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in PROMISES.splitlines()
    if line.startswith("| ") and not line.startswith("| ---")
]


def test_a_promise_whose_test_is_gone() -> None:
    text = "\n".join(file.read_text("utf-8") for file in (ROOT / "tests").rglob("test_*.py"))
    defined = set(re.findall(r"^(?:async )?def (test_\w+)\(", text, re.MULTILINE))
    assert NAMED
    assert [name for name in NAMED if name not in defined] == []


def test_a_promise_without_a_test() -> None:
    promises = [row for row in ROWS if row[-1] != HOLDERS]
    assert len(promises) > 40
    assert [row for row in promises if not re.fullmatch(r"(`test_\w+`(, )?)+", row[-1])] == []


def test_a_table_that_is_read_otherwise_than_it_is_written() -> None:
    heads = [place for place, row in enumerate(ROWS) if row[-1] == HOLDERS]
    assert len(heads) == PROMISES.count("| --- |\n")
    for first, after in zip(heads, [*heads[1:], len(ROWS)], strict=True):
        assert {len(row) for row in ROWS[first:after]} == {len(ROWS[first])}
