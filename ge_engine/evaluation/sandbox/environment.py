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
        "NVIDIA_TF32_OVERRIDE",
        "CUDA_DEVICE_ORDER",
        "CUDA_PATH",
        "CUDA_MODULE_LOADING",
        "CUDA_LAUNCH_BLOCKING",
        "CUDA_DEVICE_MAX_CONNECTIONS",
        "CUDA_CACHE_DISABLE",
        "CUDA_CACHE_MAXSIZE",
        "CUDA_MPS_PIPE_DIRECTORY",
        "CUDA_MPS_LOG_DIRECTORY",
        "CUDA_MPS_ACTIVE_THREAD_PERCENTAGE",
        "CUDA_MPS_PINNED_DEVICE_MEM_LIMIT",
        "CUBLAS_WORKSPACE_CONFIG",
        "PYTORCH_ALLOC_CONF",
        "PYTORCH_CUDA_ALLOC_CONF",
        "TORCH_NCCL_BLOCKING_WAIT",
        "TORCH_NCCL_ASYNC_ERROR_HANDLING",
        "NCCL_ALGO",
        "NCCL_BUFFSIZE",
        "NCCL_CUMEM_ENABLE",
        "NCCL_CUMEM_HOST_ENABLE",
        "NCCL_DEBUG",
        "NCCL_DEBUG_SUBSYS",
        "NCCL_IB_DISABLE",
        "NCCL_IGNORE_CPU_AFFINITY",
        "NCCL_LAUNCH_MODE",
        "NCCL_MAX_NCHANNELS",
        "NCCL_MIN_NCHANNELS",
        "NCCL_NVLS_ENABLE",
        "NCCL_P2P_DISABLE",
        "NCCL_P2P_LEVEL",
        "NCCL_PROTO",
        "NCCL_SHM_DISABLE",
    ]
)
"""Of CUDA's and NCCL's, some of those that name no file to load, run or write: not NCCL_NET_PLUGIN,
NCCL_DEBUG_FILE or NCCL_CONF_FILE, say. CUDA_CACHE_PATH is left out, too: a cache of kernels that all
candidates write is a way to run code in the next one; each has one of its own in its HOME, and loses it with
that."""
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
