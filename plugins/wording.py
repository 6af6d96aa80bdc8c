"""How requests are put together. Text is joined, never formatted: braces in a block stay what they are."""

from __future__ import annotations

SYSTEM = "You improve PyTorch code. You answer with code that runs."


def paragraphs(*parts: str) -> str:
    return "\n\n".join(part for part in parts if part)
