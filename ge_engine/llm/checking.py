"""Whether a local language model can be loaded and decoded, found out without its weights.

Configuration and tokenizer are read, the model is built on torch's "meta" device, which holds no memory and
touches no accelerator, and of the weights it is only asked whether they are there and whole.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors import SafetensorError, safe_open
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, GenerationConfig
from transformers.utils import (
    CONFIG_NAME,
    GENERATION_CONFIG_NAME,
    SAFE_WEIGHTS_INDEX_NAME,
    SAFE_WEIGHTS_NAME,
    WEIGHTS_INDEX_NAME,
    WEIGHTS_NAME,
)
from transformers.utils.hub import has_file
from transformers.utils.peft_utils import ADAPTER_CONFIG_NAME

from ge_engine.contracts import Prompt
from ge_engine.llm.local import decoder, first_line, loading

T = TypeVar("T")
WEIGHTS = (SAFE_WEIGHTS_NAME, SAFE_WEIGHTS_INDEX_NAME, WEIGHTS_NAME, WEIGHTS_INDEX_NAME)


def check_local(source: str, name: str) -> None:
    """Look at all that `load_local` needs, but load no weights.

    Raises:
        ModelError: no such model, no configuration, tokenizer or weights, a file that is cut off, or a kind
            of model that this decoder does not know.
    """
    with loading(name):
        _require_place(source)
        tokenizer = _read("tokenizer", lambda: AutoTokenizer.from_pretrained(source))
        if has_file(source, ADAPTER_CONFIG_NAME):
            return
        _require_weights(source)
        empty = _read("configuration", lambda: _empty_model(source))
    decoder(name, empty, tokenizer, rows=1).encode(Prompt("You answer.", "Is anybody there?"))


def _require_place(source: str) -> None:
    """A folder with a configuration, or what may be a name of the hub, whose configuration is read."""
    folder = Path(source).expanduser()
    if folder.is_dir():
        if not any((folder / file).is_file() for file in (CONFIG_NAME, ADAPTER_CONFIG_NAME)):
            raise OSError(f"the folder {folder} has no {CONFIG_NAME}")
        return
    if source.startswith((".", "/", "~")) or source.count("/") > 1:
        raise OSError(f"there is no folder {folder}")
    if not has_file(source, ADAPTER_CONFIG_NAME):
        AutoConfig.from_pretrained(source)


def _read(what: str, read: Callable[[], T]) -> T:
    try:
        return read()
    except Exception as error:  # the tokenizers library raises bare exceptions
        raise ValueError(f"its {what} is missing or cannot be read ({first_line(error)})") from error


def _require_weights(source: str) -> None:
    found = next((file for file in WEIGHTS if has_file(source, file)), None)
    if found is None:
        raise OSError(f"it has no weights ({SAFE_WEIGHTS_NAME})")
    if not (folder := Path(source)).is_dir():
        return
    files = [found]
    if found in (SAFE_WEIGHTS_INDEX_NAME, WEIGHTS_INDEX_NAME):
        files = sorted(
            set(_read(found, lambda: json.loads((folder / found).read_text()))["weight_map"].values())
        )
    for file in files:
        _require_whole(folder / file)


def _require_whole(file: Path) -> None:
    """Of a safetensors file, the head is read, which tells how long it must be."""
    if not file.is_file():
        raise OSError(f"its weights {file.name} are missing")
    if file.suffix == ".safetensors":
        try:
            with safe_open(file, "pt"):
                return
        except SafetensorError as error:
            raise OSError(f"its weights {file.name} are not whole ({first_line(error)})") from error


def _empty_model(source: str) -> Any:
    config = AutoConfig.from_pretrained(source)
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config)  # type: ignore[no-untyped-call]
    if has_file(source, GENERATION_CONFIG_NAME):
        model.generation_config = GenerationConfig.from_pretrained(source)
    return model
