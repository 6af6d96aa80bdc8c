"""Call a function on a model file, as a program: FILE.py:FUNCTION PATH SECONDS SPLIT SEED EPOCHS.

In place of the file a module may stand that can be imported. The function gets the path and a budget
{"seconds", "split", "seed", "epochs"}, and returns a mapping of objectives and other figures (under "errors"
the standard errors of objectives, where it knows them; under "feedback" a text), or that and a text of
feedback. It runs in a process of its own; the last line printed is its answer as JSON.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import math
import os
import sys
from collections.abc import Mapping, Sequence
from types import ModuleType
from typing import SupportsFloat

from ge_engine.config.scoring_function import LOADING, Score

BESIDE = ("errors", "feedback")
"""What an answer holds beside figures."""


def main(arguments: Sequence[str]) -> None:
    """Exceptions of the function come out, and end the process with status 1."""
    target, path, *_ = arguments
    sys.argv = [path]  # what is imported may read it
    call(found(target), arguments)


def found(target: str) -> Score:
    """The function FILE.py:FUNCTION or MODULE:FUNCTION. Whatever loading it raises comes out."""
    place, _, name = target.rpartition(":")
    module = loaded(place) if place.endswith(".py") else importlib.import_module(place)
    function: Score = getattr(module, name)
    return function


def call(function: Score, arguments: Sequence[str]) -> None:
    """Call it with what a program's `arguments` say, and print its answer."""
    target, path, seconds, split, seed, epochs = arguments
    budget = {"seconds": float(seconds), "split": split, "seed": int(seed), "epochs": int(epochs)}
    answer = function(path, budget)
    scores, feedback = answer if isinstance(answer, tuple) else (answer, None)
    if not isinstance(scores, Mapping):
        raise TypeError(f"{target} returned a {type(scores).__name__}, not a mapping of objectives")
    print()
    said = {
        "errors": numbers(scores.get("errors", {})),
        "feedback": str(feedback or scores.get("feedback", "")),
    }
    print(json.dumps({**numbers({k: v for k, v in scores.items() if k not in BESIDE}), **said}))


def loaded(file: str) -> ModuleType:
    """The module of a file, whose neighbours it can import."""
    name = os.path.basename(file).removesuffix(".py")
    sys.path.append(os.path.dirname(os.path.abspath(file)))
    spec = importlib.util.spec_from_file_location(name, file)
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    os.environ[LOADING] = file
    spec.loader.exec_module(module)
    del os.environ[LOADING]
    return module


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
