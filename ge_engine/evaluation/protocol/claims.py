"""What a worker may say about a network: names, types, ranges and lengths, checked where it is read.

Generated code owns the process that a report comes from, so a report is a claim. One that breaks these
rules is malformed, which is the candidate's fault. Raises TypeError or ValueError throughout.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import Any

from ge_engine.outcome import PROXIES, storable

TEXT_LIMIT, NAME_LIMIT, NAMES, POINTS, SIDES = 2000, 300, 10_000, 50_000, 16
LARGEST = 1e18
"""More than any figure of a network that fits a machine: parameters, operations, bytes or seconds."""
SHORTEST = 1e-7
"""Seconds in which no Python function returns."""
GPU_LOST = (
    "uncorrectable ECC",
    "GPU is lost",
    "busy or unavailable",
    "fallen off the bus",
    "No CUDA GPUs are available",
    "no CUDA-capable device",
    "CUDA driver version is insufficient",
    "CUDA driver initialization failed",
    "CUDA error: initialization error",
    "CUDA error: unknown error",
    "CUDA error: unspecified launch failure",
    "CUDA error: system not yet initialized",
    "forward compatibility was attempted",
    "system has unsupported display driver",
    "no kernel image is available",
    "OS call failed",
    "hardware stack error",
    "uncorrectable NVLink error",
    "the MPS",
    "CUDNN_STATUS_SUBLIBRARY",
    "CUDNN_STATUS_VERSION_MISMATCH",
    "libcudnn",
    "unhandled system error",
    "unhandled cuda error",
    "remote process exited or there was a network error",
)
"""What CUDA, cuDNN and NCCL say where the machine may be at fault, by their `cudaGetErrorString`,
`cudnnGetErrorString` and `ncclGetErrorString`. That they say so only has the machine looked at."""
GPU_MEMORY = (
    "CUDA error: out of memory",
    "CUBLAS_STATUS_ALLOC_FAILED",
    "CUBLAS_STATUS_NOT_INITIALIZED",
    "CUDNN_STATUS_ALLOC_FAILED",
    "CUDNN_STATUS_NOT_INITIALIZED",
    "CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED",
)
"""How libraries say that a GPU has no memory left for them: torch's allocator does not see what they take."""
STAGES = frozenset(
    ["", "import", "meta", "build", "forward", "backward", "optimizer", "train", "measure", "worker"]
)
KINDS = frozenset(
    ["", "error", "out of memory", "infrastructure", "not finite", "diverged", "too slow", "engine"]
)
PROBED = frozenset(
    ["parameters", "hidden_weights", "flops", "size_on_disk", "probe_seconds", "channels_last"]
)
TRAINED = frozenset(
    ["registered", "latency", "peak_memory", "size_on_disk", "train_seconds", "steps", "start_seconds"]
)
INHERITED = frozenset(["inherited"])
SIGNED = frozenset(PROXIES)
AGAIN = PROBED | {"registered"}
FACTS = PROBED | TRAINED | INHERITED | SIGNED | {"step_seconds", "failed"}
_WHOLE = frozenset(["parameters", "hidden_weights", "registered", "size_on_disk", "peak_memory", "steps"])
_POINT = frozenset(["epoch", "loss", "accuracy", "lr"])
_DIGEST = re.compile(r"[0-9a-f]{64}|")


def parsed(text: bytes) -> Mapping[str, Any]:
    """The object that `text` is as JSON, without NaN and infinity."""
    try:
        return mapping(json.loads(text, parse_constant=_refused))
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def _refused(name: str) -> float:
    raise ValueError(f"{name} is no number")


def text(value: Any, limit: int = TEXT_LIMIT) -> str:
    """A string of at most `limit` characters, the rest cut off, that UTF-8 can hold."""
    if not isinstance(value, str):
        raise TypeError("text expected")
    return storable(value[:limit])


def one_of(value: Any, known: frozenset[str]) -> str:
    if not isinstance(value, str) or value not in known:
        raise ValueError("an unknown word")
    return value


def mapping(value: Any, most: int = NAMES) -> Mapping[str, Any]:
    if not isinstance(value, dict) or len(value) > most:
        raise TypeError(f"an object of at most {most} names expected")
    return value


def number(value: Any) -> float:
    """A finite number whose size is at most LARGEST."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not abs(value) <= LARGEST:
        raise ValueError("a number expected")
    return float(value)


def count(value: Any, most: float = LARGEST) -> int:
    """A whole number from 0 to `most`."""
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= most:
        raise ValueError(f"a whole number from 0 to {most:g} expected")
    return value


def facts(value: Any) -> Mapping[str, float]:
    """Known figures, none but proxies negative; what is counted is whole."""
    found = {one_of(name, FACTS): number(one) for name, one in mapping(value).items()}
    for name, one in found.items():
        below = one < 0 and name not in SIGNED
        if below or (name in _WHOLE and not one.is_integer()) or (name in INHERITED and one > 1):
            raise ValueError(f"{name} is {one:g}")
    if "latency" in found and found["latency"] < SHORTEST:
        raise ValueError(f"a latency of {found['latency']:g} s")
    return found


def require(found: Mapping[str, float], names: frozenset[str]) -> None:
    """All of `names` are there."""
    missing = sorted(names - found.keys())
    if missing:
        raise ValueError(f"it leaves out {', '.join(missing)}")


def curve(value: Any) -> tuple[Mapping[str, float], ...]:
    """A point for each epoch, counted from 1."""
    if not isinstance(value, list) or len(value) > POINTS:
        raise ValueError(f"a list of at most {POINTS} points expected")
    points = tuple({one_of(n, _POINT): number(v) for n, v in mapping(point).items()} for point in value)
    if any(point.get("epoch") != place for place, point in enumerate(points, 1)):
        raise ValueError("a curve whose epochs are not 1, 2, ...")
    return points


def shape(value: Any) -> tuple[int, ...]:
    if not isinstance(value, list) or len(value) > SIDES:
        raise ValueError(f"a shape of at most {SIDES} sides expected")
    return tuple(count(side, 2**40) for side in value)


def names(value: Any) -> frozenset[str]:
    """At most NAMES strings, each cut at NAME_LIMIT characters."""
    if not isinstance(value, list) or len(value) > NAMES:
        raise ValueError(f"a list of at most {NAMES} names expected")
    return frozenset(text(name, NAME_LIMIT) for name in value)


def counts(value: Any) -> dict[str, int]:
    return {text(name, NAME_LIMIT): count(one) for name, one in mapping(value).items()}


def truth(value: Any) -> bool:
    if not isinstance(value, bool):
        raise TypeError("true or false expected")
    return value


def digest(value: Any) -> str:
    if not isinstance(value, str) or not _DIGEST.fullmatch(value):
        raise ValueError("a digest expected")
    return value


def finite(figures: Mapping[str, float]) -> dict[str, float]:
    """`figures` without those that are unknown: NaN or infinite."""
    return {name: float(one) for name, one in figures.items() if math.isfinite(one)}
