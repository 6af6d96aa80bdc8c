"""SECURITY.md promises what a test holds."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parent.parent
PROMISES = (ROOT / "SECURITY.md").read_text("utf-8")
NAMED = re.findall(r"`(test_\w+)`", PROMISES)
ROWS = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in PROMISES.splitlines()
    if line.startswith("| ") and not line.startswith("| ---")
]


def test_a_promise_whose_test_is_gone() -> None:
    text = "\n".join(file.read_text("utf-8") for file in (ROOT / "tests").glob("test_*.py"))
    defined = set(re.findall(r"^(?:async )?def (test_\w+)\(", text, re.MULTILINE))
    assert NAMED
    assert [name for name in NAMED if name not in defined] == []


def test_a_promise_without_a_test() -> None:
    promises = [row for row in ROWS if len(row) == 2 and row[1] != "held by"]
    assert len(promises) > 10
    assert [promise for promise, tests in promises if not re.fullmatch(r"(`test_\w+`(, )?)+", tests)] == []
