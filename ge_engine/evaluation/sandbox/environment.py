"""The environment of processes that run generated code, without secrets."""

from __future__ import annotations

import os

_ENVIRONMENT = frozenset(
    [
        "PATH",
        "LANG",
        "LANGUAGE",
        "TZ",
        "LD_LIBRARY_PATH",
        "DYLD_LIBRARY_PATH",
        "PYTHONPATH",
        "VIRTUAL_ENV",
        "TERM",
        "CUDA_VISIBLE_DEVICES",
        "CUDA_HOME",
        "NVIDIA_VISIBLE_DEVICES",
        "NVIDIA_DRIVER_CAPABILITIES",
    ]
)
_PREFIXES = ("LC_", "OMP_", "MKL_", "KMP_", "GOMP_")


def clean_environment() -> dict[str, str]:
    """The variables that a worker gets: an allow-list, so no key or token is among them. OpenMP threads that
    wait soon sleep: on a busy machine, spinning ones make small networks ten times slower."""
    kept = {k: v for k, v in os.environ.items() if k in _ENVIRONMENT or k.startswith(_PREFIXES)}
    if kept.get("PYTHONPATH"):  # it is relative to this folder, and the worker is in another
        places = filter(None, kept["PYTHONPATH"].split(os.pathsep))
        kept["PYTHONPATH"] = os.pathsep.join(map(os.path.abspath, places))
    # A user without an entry in passwd has no other name, and libraries ask for one.
    return {"GOMP_SPINCOUNT": "1000", "LOGNAME": "user", **kept} | {
        "PYTORCH_NVML_BASED_CUDA_CHECK": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONHASHSEED": "0",
        "HF_HUB_OFFLINE": "1",
        "TOKENIZERS_PARALLELISM": "false",
    }
