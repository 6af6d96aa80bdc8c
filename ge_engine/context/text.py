"""Code and what candidates said, as a prompt shows them."""

from __future__ import annotations

import re


def fenced(code: str, language: str = "python") -> str:
    """Between fences longer than any in it."""
    longest = max((len(run) for run in re.findall("`+", code)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n" + code.rstrip("\n") + f"\n{fence}"
