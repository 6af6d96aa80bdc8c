"""ge_engine evolves a PyTorch model file, one block at a time, guided by a language model.

`from ge_engine import evolve, diff, blocks` is the engine from Python (`ge_engine.api`). These names are
looked up when they are first used, so that importing a part of the engine does not import all of it.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ge_engine.api import Blocks, Changes, Run, blocks, diff, evolve, open_run
    from ge_engine.errors import GeError
    from ge_engine.evaluation.data.module_loader import load

__version__ = "0.1.0"
__all__ = [
    "Blocks",
    "Changes",
    "GeError",
    "Run",
    "__version__",
    "blocks",
    "diff",
    "evolve",
    "load",
    "open_run",
]

_HOME = {"GeError": "ge_engine.errors", "load": "ge_engine.evaluation.data.module_loader"}


def __getattr__(name: str) -> Any:
    """The public names, from the module that has them (PEP 562)."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOME.get(name, "ge_engine.api")), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
