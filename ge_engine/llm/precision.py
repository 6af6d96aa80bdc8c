"""bfloat16 or float32 on this processor: measured once on the model itself, then remembered.

What is measured is time of the processor, so that a busy machine does not decide.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock

from ge_engine.processor import processor_name

CANDIDATES = ("bfloat16", "float32")
ROWS, QUERIES, REPEATS = 16, 4, 3


def faster_dtype(model: Any, name: str, record: Path) -> torch.dtype:
    """The faster of bfloat16 and float32 for `model` (CPU, bfloat16), from `record` when it is there.

    Leaves `model` in that dtype. The record holds milliseconds a step for each processor and model.
    """
    timings = remembered(
        record,
        f"{key_of(name)} | torch {torch.__version__}",
        lambda: {dtype: _milliseconds(model, getattr(torch, dtype)) for dtype in CANDIDATES},
    )
    dtype: torch.dtype = getattr(torch, min(CANDIDATES, key=timings.__getitem__))
    cast(model, dtype)
    return dtype


def cast(model: Any, dtype: torch.dtype) -> None:
    """Have the weights of `model` in `dtype`. Buffers stay as they were loaded: `Module.to` would round the
    frequencies of rotary positions, and with them every position."""
    for weights in model.parameters():
        weights.data = weights.data.to(dtype)


def key_of(name: str) -> str:
    """What a measurement of the model `name` depends on, besides versions."""
    return f"{name} | {processor_name()} | {torch.get_num_threads()} threads"


def remembered(record: Path, key: str, measure: Callable[[], dict[str, float]]) -> dict[str, float]:
    """What `record` has for `key`; else what `measure` gives, which is written there. Of processes that ask
    at once one measures, and all get the same."""
    if (known := recorded(record)).get(key) is not None:
        return known[key]
    record.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{record}.lock"):
        if (known := recorded(record)).get(key) is None:
            known = {**known, key: measure()}
            scratch = record.with_name(f"{record.name}.{os.getpid()}")
            scratch.write_text(json.dumps(known, indent=1), "utf-8")
            os.replace(scratch, record)
    return known[key]


def recorded(record: Path) -> dict[str, dict[str, float]]:
    """All that was measured; nothing where the file is missing or broken."""
    try:
        data = json.loads(record.read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return data if isinstance(data, dict) else {}


def milliseconds(step: Callable[[], object]) -> float:
    """Milliseconds of the processor, all threads together, for the cheapest of a few calls of `step`."""
    seconds = []
    with torch.inference_mode():
        for _ in range(REPEATS):
            start = time.process_time()
            step()
            seconds.append(time.process_time() - start)
    return round(min(seconds) * 1000, 2)


def _milliseconds(model: Any, dtype: torch.dtype) -> float:
    cast(model, dtype)
    ids = torch.full((ROWS, QUERIES), 5)
    return milliseconds(lambda: model(input_ids=ids, use_cache=False))
