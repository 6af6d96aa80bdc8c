"""Whether OpenVINO computes a language model on this CPU: where it is installed, agrees with float32, and
takes less time of the processor than torch. Measured once, then remembered."""

from __future__ import annotations

import hashlib
import importlib.util
import warnings
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import Any

import torch

from ge_engine.errors import ModelError
from ge_engine.llm.agreement import Decodes, measured
from ge_engine.llm.precision import key_of, recorded, remembered
from ge_engine.llm.rounding import GROUP, STATE_GROUP
from ge_engine.llm.torch_body import Body

AGREEMENT = 0.95
"""Of the tokens that float32 thinks likeliest, the share that the 8-bit model must think likeliest too."""
VERSIONS = ("ge-engine", "openvino", "torch", "transformers")
FULL = {"full_attention"}


def chosen_body(local: Decodes, backend: str, cache: Path) -> Body | None:
    """What computes the layers of `local` (on the CPU) instead of torch, or None where torch stays. Graph and
    measurements are kept in the folder `cache`.

    With `backend` "auto", what stands in OpenVINO's way becomes one warning, and a missing extra none.

    Raises:
        ModelError: `backend` is "openvino", and that cannot be.
    """
    if backend == "torch" or (backend == "auto" and not (installed() and local.kinds == FULL)):
        return None
    body, refusal, news = _tried(local, cache)
    if not refusal:
        return body
    if backend == "openvino":
        raise ModelError(
            f"OpenVINO cannot compute {local.name}: {refusal}.", "Give --llm-backend torch, or auto."
        )
    if news:
        warnings.warn(f"OpenVINO is not used for {local.name}, torch is: {refusal}.", stacklevel=3)
    return None


def installed() -> bool:
    """Whether the extra is there."""
    return importlib.util.find_spec("openvino") is not None


def _tried(local: Decodes, cache: Path) -> tuple[Body | None, str, bool]:
    """The body, why it may not be used, and whether that is not known from before."""
    if not installed():
        return None, "it is not installed; pip install 'ge-engine[openvino]'", True
    if local.kinds != FULL:
        return None, "the model has layers with a sliding window", True
    try:
        rounded = f"{GROUP}.{STATE_GROUP}"
        identity = "-".join([_digest(local.model), rounded, *map(metadata.version, VERSIONS)])
        record, key = cache / "precision.json", f"{key_of(local.name)} | {identity}"
        if refusal := _refusal(recorded(record).get(key, {})):
            return None, refusal, False
        from ge_engine.llm.openvino_body import compiled_body

        body = compiled_body(local.model, torch.get_num_threads(), cache / "openvino" / f"{identity}.xml")
        return body, _refusal(remembered(record, key, partial(measured, local, body))), True
    except Exception as error:  # of OpenVINO's version, of the model's code, or of this processor
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        return None, f"it fails with {type(error).__name__}: {reason[:200].rstrip('.')}", True


def _refusal(facts: dict[str, float]) -> str:
    """Why torch stays by what was measured, "" where it does not."""
    if not facts:
        return ""
    if facts["agreement"] < AGREEMENT:
        return f"it agrees with float32 on {100 * facts['agreement']:.1f}% of tokens, {AGREEMENT:.0%} must be"
    if facts["body"] >= facts["torch"]:
        return f"a step takes {facts['body']:.0f} ms, {facts['torch']:.0f} by torch"
    return ""


def _digest(model: Any) -> str:
    """Of all weights and of what the model is, so that no graph of other weights is taken for this one's."""
    found = hashlib.blake2b(model.config.to_json_string().encode(), digest_size=8)
    for name, tensor in sorted([*model.named_parameters(), *model.named_buffers()]):
        found.update(name.encode())
        found.update(tensor.detach().contiguous().reshape(-1).view(torch.uint8).numpy())
    return found.hexdigest()
