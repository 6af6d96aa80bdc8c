"""Call a function on a model file, as a program: MODULE:FUNCTION PATH SECONDS SPLIT SEED EPOCHS.

The function gets the path and a budget {"seconds", "split", "seed", "epochs"}, and returns a mapping of
objectives (and under "errors" one of their standard errors, where it knows them), or that and a text of
feedback. It runs in a process of its own; the last line printed is its answer as JSON.
"""

from __future__ import annotations

import importlib
import json
import math
import sys
from collections.abc import Mapping, Sequence
from typing import SupportsFloat


def main(arguments: Sequence[str]) -> None:
    """Exceptions of the function come out, and end the process with status 1."""
    target, path, seconds, split, seed, epochs = arguments
    module, _, name = target.partition(":")
    sys.argv = [path]  # what is imported may read it
    function = getattr(importlib.import_module(module), name)
    budget = {"seconds": float(seconds), "split": split, "seed": int(seed), "epochs": int(epochs)}
    answer = function(path, budget)
    scores, feedback = answer if isinstance(answer, tuple) else (answer, "")
    if not isinstance(scores, Mapping):
        raise TypeError(f"{target} returned a {type(scores).__name__}, not a mapping of objectives")
    print()
    said = {"errors": numbers(scores.get("errors", {})), "feedback": str(feedback)}
    print(json.dumps({**numbers({k: v for k, v in scores.items() if k != "errors"}), **said}))


def numbers(values: Mapping[object, SupportsFloat]) -> dict[str, float]:
    """Raises TypeError, ValueError where one is no number."""
    return {str(name): number(value) for name, value in values.items()}


def number(value: SupportsFloat) -> float:
    """As a float; what is too large for one is infinite. Raises TypeError, ValueError: it is no number."""
    try:
        return float(value)
    except OverflowError:
        return math.inf


if __name__ == "__main__":
    main(sys.argv[1:])
