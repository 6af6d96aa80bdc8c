"""How requests are put together. Text is joined, never formatted: braces in a block stay what they are."""

from __future__ import annotations

import re

SYSTEM = "You improve PyTorch code. You answer with code that runs."


def fenced(code: str) -> str:
    longest = max((len(run) for run in re.findall("`+", code)), default=0)
    fence = "`" * max(3, longest + 1)
    return fence + "python\n" + code.rstrip("\n") + "\n" + fence


def paragraphs(*parts: str) -> str:
    return "\n\n".join(part for part in parts if part)
