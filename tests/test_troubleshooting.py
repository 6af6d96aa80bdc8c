"""What docs/troubleshooting.md says is seen, the product says."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PAGE = (ROOT / "docs" / "troubleshooting.md").read_text()
ROWS = [line.split(" | ") for line in PAGE.splitlines() if line.startswith("| `")]
MESSAGES = [re.findall("`([^`]+)`", row[0])[0] for row in ROWS]


@cache
def texts() -> tuple[str, ...]:
    """All texts in the code; what is filled in is "..."."""
    files = [file for folder in ("ge_engine", "plugins") for file in (ROOT / folder).rglob("*.py")]
    return tuple(text for file in files for text in _texts_of(file))


def _texts_of(file: Path) -> list[str]:
    nodes = list(ast.walk(ast.parse(file.read_text())))
    whole = ["".join(map(_part, node.values)) for node in nodes if isinstance(node, ast.JoinedStr)]
    return whole + [
        node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)
    ]


def _part(node: ast.expr) -> str:
    return str(node.value) if isinstance(node, ast.Constant) else "..."


def test_a_page_that_helps_with_little() -> None:
    assert len(ROWS) >= 25
    assert all(len(row) == 3 for row in ROWS), [row for row in ROWS if len(row) != 3]
    assert len(set(MESSAGES)) == len(MESSAGES)


@pytest.mark.parametrize("message", MESSAGES)
def test_a_message_that_is_never_given(message: str) -> None:
    assert any(message in text for text in texts())
