"""A run whose model takes its time, so that a signal finds prompts in flight.

Prints a line at the first reply, and one when a slow run has taken an interrupt."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import doubles

from ge_engine import loop


def observe(name: str, data: Mapping[str, Any]) -> None:
    if name == "reply" and data["key"] == "g0s0/0":
        print("first reply", flush=True)
    if name == "interrupted" and "slow" in sys.argv:
        print("interrupted", flush=True)


if __name__ == "__main__":
    seconds = 30 if "slow" in sys.argv else 0.1
    config = doubles.config(llm=f"scripted:good,{seconds}" if seconds < 1 else "scripted:stuck", population=8)
    result = loop.run(doubles.seed(), config, doubles.registry(), Path(sys.argv[1]), observe)
    print(result.stopped_because)
