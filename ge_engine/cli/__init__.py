"""The `ge` command. One file a command; nothing here decides, everything calls the rooms above."""

import ge_engine.llm  # noqa: F401  (sets how threads wait, before torch is imported)
from ge_engine.cli.app import main

__all__ = ["main"]
