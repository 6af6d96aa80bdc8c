"""Which Python function scores a run: MODULE:FUNCTION, FILE.py:FUNCTION, or the function itself."""

from __future__ import annotations

import inspect
import os
import sys
from collections.abc import Callable
from typing import Any

from ge_engine.errors import ConfigError

Score = Callable[[str, dict[str, Any]], Any]
"""Takes the path of a model file and a budget; see `ge_engine.evaluation.function`."""
LOADING = "GE_LOADING"
"""The environment variable that is set while the file of a function is loaded to score a candidate."""


def evaluator_settings(evaluator: str | Score) -> dict[str, str]:
    """The settings `evaluator` and `evaluator_argument` that a word or a function stands for.

    Raises:
        ConfigError: a function that another process cannot find again.
    """
    named = evaluator if isinstance(evaluator, str) else reference_to(evaluator)
    if ":" in named:
        return {"evaluator": "function", "evaluator_argument": named}
    return {"evaluator": named}


def reference_to(function: Score) -> str:
    """FILE.py:FUNCTION, or MODULE:FUNCTION for a function of a package. Raises ConfigError: it stands in no
    file, or inside of something else."""
    name = getattr(function, "__qualname__", "")
    module = sys.modules.get(getattr(function, "__module__", ""))
    file = getattr(module, "__file__", None)
    if module is None or not file or not os.path.isfile(file) or not _is_plain(function, name):
        raise ConfigError(
            f"The evaluator {name or function!r} is no function of a file: candidates are scored in other "
            "processes, which have to find it there.",
            'Write it at the top level of a file and give evaluator="train.py:score".',
        )
    if module.__package__ and module.__name__ != "__main__":
        return f"{module.__name__}:{name}"
    path = os.path.relpath(file)
    return f"{file if path.startswith(os.pardir) else path}:{name}"


def _is_plain(function: Score, name: str) -> bool:
    """Whether it is a function, and stands in no other function or class."""
    return inspect.isfunction(function) and name.isidentifier()


def refuse_while_loading() -> None:
    """Raises ConfigError where a run begins because the file of its own evaluator was loaded."""
    if file := os.environ.get(LOADING):
        raise ConfigError(
            f"{file} begins a run when it is loaded, which happens to score each candidate.",
            'Put that below `if __name__ == "__main__":`.',
        )
