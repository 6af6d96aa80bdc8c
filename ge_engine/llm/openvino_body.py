"""The layers of a language model, computed by OpenVINO on the CPU with weights and activations of 8 bits."""

from __future__ import annotations

import os
import shutil
import tempfile
from itertools import accumulate, chain
from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov
import torch
from filelock import FileLock

from ge_engine.llm.block_cache import BlockCache
from ge_engine.llm.openvino_attention import page_attention
from ge_engine.llm.openvino_graph import graph_of
from ge_engine.llm.openvino_weights import round_weights
from ge_engine.llm.packed import Packing
from ge_engine.llm.precision import cast
from ge_engine.llm.rounding import GROUP, STATE_GROUP

PRECISION = "openvino int8"
MAKING = "making-"


class OpenVinoBody:
    """A compiled graph of `graph_of`. One cache is in use at a time: the newest."""

    precision = PRECISION

    def __init__(self, embed: Any, compiled: ov.CompiledModel, dtype: torch.dtype) -> None:
        self._embed = embed
        self._dtype = dtype
        self._compiled = compiled
        self._request = compiled.create_infer_request()
        self._shapes = {
            name: [side.get_length() for side in list(port.get_partial_shape())[1:]]
            for port in compiled.inputs
            if "_cache." in (name := port.get_any_name())
        }

    def new_cache(self, slots: int) -> BlockCache:
        return BlockCache(slots, self._shapes, self._hold)

    def hidden(self, packing: Packing, cache: BlockCache, drawn: torch.Tensor) -> torch.Tensor:
        """States (drawn, width) in the dtype of the model's head."""
        states = self._embed(packing.ids).detach().float().numpy()
        places = drawn.numpy() if len(drawn) else np.zeros(1, np.int64)
        self._request.infer(
            {
                "states": states,
                "positions": packing.positions.numpy(),
                "drawn": places,
                **_tables(packing, cache),
            }
        )
        found = torch.from_numpy(self._request.get_output_tensor(0).data.copy())
        return found[: len(drawn)].to(self._dtype)

    def _hold(self, arrays: dict[str, Any]) -> None:
        for name, array in arrays.items():
            self._request.set_tensor(name, ov.Tensor(array, shared_memory=True))


def compiled_body(model: Any, threads: int, file: Path) -> OpenVinoBody:
    """The layers of `model` (on the CPU), from the graph in `file` (.xml), which is made and kept there where
    it is not. `model` keeps its dtype. Raises whatever stands in the way."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(file.with_suffix(".lock")):
        if not _is_whole(file):
            _store(_rounded_graph(model), file)
    core = ov.Core()
    graph = core.read_model(file)
    page_attention(graph)
    compiled = core.compile_model(graph, "CPU", _settings(threads))
    return OpenVinoBody(model.get_input_embeddings(), compiled, model.dtype)


def _rounded_graph(model: Any) -> ov.Model:
    dtype = model.dtype
    cast(model, torch.float32)
    try:
        graph = graph_of(model)
        round_weights(graph, GROUP)
    finally:
        cast(model, dtype)
    return graph


def _is_whole(file: Path) -> bool:
    return file.is_file() and file.with_suffix(".bin").is_file()


def _store(graph: ov.Model, file: Path) -> None:
    """Weights first: a graph that is there has them. Graphs of the same weights by other versions go; a
    process that has one open keeps it. So does what a process left here that was killed."""
    for old in file.parent.glob(f"{file.stem.partition('-')[0]}-*"):
        if old.stem != file.stem:
            old.unlink(missing_ok=True)
    for left in file.parent.glob(f"{MAKING}{file.stem}-*"):
        shutil.rmtree(left, ignore_errors=True)
    with tempfile.TemporaryDirectory(dir=file.parent, prefix=f"{MAKING}{file.stem}-") as scratch:
        made = Path(scratch) / file.name
        ov.save_model(graph, made, compress_to_fp16=False)
        for suffix in (".bin", ".xml"):
            os.replace(made.with_suffix(suffix), file.with_suffix(suffix))


def _settings(threads: int) -> dict[str, Any]:
    """Threads that go where the system puts them: trainings run beside."""
    return {
        "INFERENCE_PRECISION_HINT": "f32",
        "KV_CACHE_PRECISION": "f16",
        "DYNAMIC_QUANTIZATION_GROUP_SIZE": STATE_GROUP,
        "INFERENCE_NUM_THREADS": threads,
        "NUM_STREAMS": 1,
        "ENABLE_CPU_PINNING": False,
    }


def _tables(packing: Packing, cache: BlockCache) -> dict[str, Any]:
    """Which rows the tokens belong to, and where their columns lie, as the graph's inputs."""
    starts = [int(packing.positions[first]) for _, first, _ in packing.spans]
    ends = [start + length for start, (_, _, length) in zip(starts, packing.spans, strict=True)]
    tables = [cache.table(slot, end) for end, (slot, _, _) in zip(ends, packing.spans, strict=True)]
    lengths = [length for _, _, length in packing.spans]
    whole: dict[str, Any] = {
        "past_lens": starts,
        "subsequence_begins": list(accumulate(lengths, initial=0)),
        "block_indices": list(chain.from_iterable(tables)),
        "block_indices_begins": list(accumulate(map(len, tables), initial=0)),
        "max_context_len": max(ends),
    }
    return {name: np.asarray(values, np.int32) for name, values in whole.items()}
