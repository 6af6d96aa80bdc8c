"""What a prompt tells of the run: sections in words, as many as there is room for."""

from ge_engine.context.assembly import background, fitted, tokens

__all__ = ["background", "fitted", "tokens"]
