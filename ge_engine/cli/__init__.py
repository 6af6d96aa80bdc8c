"""The `ge` command, a file per command. It shows what `api` and `runs` give, and decides nothing."""

import ge_engine.cli.garbage
import ge_engine.llm  # noqa: F401  (sets how threads wait, before torch is imported)
from ge_engine.cli.app import main

__all__ = ["main"]
