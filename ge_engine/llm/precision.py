"""bfloat16 or float32 on this processor: measured once on the model itself, then remembered."""

from __future__ import annotations

import json
import os
import time
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
    key = f"{name} | {processor_name()} | {torch.get_num_threads()} threads | torch {torch.__version__}"
    known = _load(record)
    if key not in known:
        timings = {dtype: _milliseconds(model, getattr(torch, dtype)) for dtype in CANDIDATES}
        record.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{record}.lock"):
            known = {**_load(record), key: timings}
            scratch = record.with_name(f"{record.name}.{os.getpid()}")
            scratch.write_text(json.dumps(known, indent=1), "utf-8")
            os.replace(scratch, record)
    best = min(CANDIDATES, key=lambda dtype: known[key][dtype])
    dtype: torch.dtype = getattr(torch, best)
    model.to(dtype)
    return dtype


def _milliseconds(model: Any, dtype: torch.dtype) -> float:
    model.to(dtype)
    ids = torch.full((ROWS, QUERIES), 5)
    seconds = []
    with torch.inference_mode():
        for _ in range(REPEATS):
            start = time.perf_counter()
            model(input_ids=ids, use_cache=False)
            seconds.append(time.perf_counter() - start)
    return round(min(seconds) * 1000, 2)


def _load(record: Path) -> dict[str, dict[str, float]]:
    try:
        data = json.loads(record.read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return data if isinstance(data, dict) else {}
