"""Tells the class of images by the trained model in this folder: python predict.py IMAGE...

It needs torch, safetensors, numpy and Pillow, and the files beside it. It runs model.py, or the modules in
src. The exit code is 1 where a file could not be read; the others are answered all the same.

Images of more than 8 bits for each colour are refused: the training brought them to 0..255 by one scale for
all its images, which one image does not tell.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import json
import struct
import sys
import zlib
from collections.abc import Iterable, Mapping, Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageOps
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn.functional import interpolate
from torch.nn.parameter import is_lazy

BATCH = 64
TRANSPARENT = ("RGBA", "LA", "PA", "La", "RGBa")
PLAIN = ("1", "L", "P", "RGB", "CMYK", "YCbCr", "LAB", "HSV", *TRANSPARENT)
"""Modes of images with at most 8 bits for each colour."""
DAMAGED = (
    *(Image.DecompressionBombError, OSError, ValueError, SyntaxError, TypeError, KeyError, IndexError),
    *(RuntimeError, OverflowError, EOFError, MemoryError, ZeroDivisionError, AttributeError),
    *(struct.error, zlib.error),
)
"""What Pillow and numpy raise on files that are not what they say."""
DEEP = (
    "has more than 8 bits for each colour: save it with 8, by the scale that the training told of its "
    "images, such as 0 to 65535 brought to 0 to 255"
)


class Unreadable(Exception):
    """A file that is no image of a kind that the model was trained on."""


def load_model(folder: Path, how: Mapping[str, Any]) -> nn.Module:
    """The network that model.py or the modules in src build, with its trained weights, ready to answer."""
    name = how.get("module", "")
    modules = folder / "src" / how.get("folder", "")
    module = _imported(modules, name) if name else _executed(folder / "model.py")
    model: nn.Module = eval(how["entry"], vars(module))
    weights = load_file(folder / "model.safetensors")
    with torch.no_grad():
        if any(is_lazy(one) for one in (*model.parameters(), *model.buffers())):
            model.eval()(torch.zeros(2, how["channels"], how["size"], how["size"]))
        named = (*model.named_parameters(), *model.named_buffers())
        own = {name: one for name, one in named if not is_lazy(one)}
        if own.keys() != weights.keys():
            raise KeyError(f"other weights than the model has: {sorted(own.keys() ^ weights.keys())[:5]}")
        for name, tensor in own.items():
            tensor.copy_(weights[name])
    return model.eval()


class _Modules(MetaPathFinder):
    """Finds modules in a folder one by one, also those of packages that are installed, and have more."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def find_spec(self, fullname: str, path: Any, target: Any = None) -> ModuleSpec | None:  # noqa: ARG002
        *above, _ = fullname.split(".")
        found = PathFinder.find_spec(fullname, [str(self._folder.joinpath(*above))])
        return found if found is not None and found.loader is not None else None


def _executed(file: Path) -> ModuleType:
    """A file as the module "model"."""
    spec = importlib.util.spec_from_file_location("model", file)
    if spec is None or spec.loader is None:
        raise FileNotFoundError(file)
    module = sys.modules["model"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _imported(folder: Path, name: str) -> ModuleType:
    """The module of this name in a folder, whose modules come before all others of their names."""
    folder = folder.resolve()
    sys.path.insert(0, str(folder))
    sys.meta_path.insert(sys.meta_path.index(PathFinder), _Modules(folder))
    module = importlib.import_module(name)
    file = getattr(module, "__file__", None) or ""
    if not Path(file).is_relative_to(folder):
        raise ImportError(f"{name} is not that in {folder}, but {file or 'a part of Python'}")
    return module


def read_image(path: Path, how: Mapping[str, Any]) -> Tensor:
    """uint8 (height, width, channels), as the model was trained on: upright, what is transparent on white,
    the shorter side fitted and the centre taken. A .npy holds uint8 of shape (h, w) or (h, w, channels).

    Raises:
        Unreadable: it is no such image.
    """
    target, channels = (how["width"], how["height"]), how["channels"]
    try:
        if path.suffix == ".npy":
            return torch.from_numpy(_fitted_planes(np.load(path, allow_pickle=False), target, channels))
        with Image.open(path) as opened:
            if opened.mode not in PLAIN:
                raise Unreadable(f"{path} {DEEP}")
            if channels not in (1, 3):
                raise Unreadable(f"{path} has colours, and the model wants {channels} channels, as a .npy")
            if opened.size != target:
                opened.draft("RGB", (2 * target[0], 2 * target[1]))
            image = _fitted(_on_white(ImageOps.exif_transpose(opened)), target)
    except DAMAGED as error:
        why = " ".join(str(error).split()).rstrip(".") or type(error).__name__
        raise Unreadable(f"{path} cannot be read: {why}") from error
    pixels = np.array(image.convert("L") if channels == 1 else image)
    return torch.from_numpy(pixels).view(target[1], target[0], channels)


def normalised(pixels: Tensor, how: Mapping[str, Any]) -> Tensor:
    """uint8 (n, height, width, channels) as the network's input, float32 (n, channels, size, size)."""
    mean, std = torch.tensor(how["mean"]), torch.tensor(how["std"])
    images = ((pixels.float() - mean) / std).permute(0, 3, 1, 2)
    size = (how["size"], how["size"])
    if images.shape[-2:] != size:
        images = interpolate(images, size, mode="bilinear", align_corners=False)
    return images.contiguous()


@torch.no_grad()
def predict(model: nn.Module, pixels: Tensor, how: Mapping[str, Any]) -> Tensor:
    """Probabilities (n, classes) of images, uint8 (n, height, width, channels)."""
    classes = len(how["classes"])
    answers = [_logits(model(normalised(part, how)), classes) for part in torch.split(pixels, BATCH)]
    return torch.cat(answers).float().softmax(1)


def _logits(output: Any, classes: int) -> Tensor:
    """The tensor (n, classes) in what a model returned."""
    if isinstance(output, Tensor):
        return output
    if isinstance(getattr(output, "logits", None), Tensor):
        return output.logits  # type: ignore[no-any-return]
    parts = output.values() if isinstance(output, Mapping) else output
    return next(one for one in parts if isinstance(one, Tensor) and one.shape[1:] == (classes,))


def _on_white(image: Image.Image) -> Image.Image:
    if image.mode not in TRANSPARENT and "transparency" not in image.info:
        return image.convert("RGB")
    over = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", over.size, "white"), over).convert("RGB")


def _fitted_planes(values: np.ndarray[Any, Any], target: tuple[int, int], channels: int) -> Any:
    planes = values[..., None] if values.ndim == 2 else values
    if values.dtype != np.uint8 or planes.ndim != 3 or planes.shape[2] not in (1, channels):
        raise ValueError(f"it holds {values.dtype} of shape {values.shape}")
    fitted = [
        np.array(_fitted(Image.fromarray(np.ascontiguousarray(planes[..., n])), target))
        for n in range(planes.shape[2])
    ]
    return np.stack(fitted * channels if len(fitted) == 1 else fitted, axis=-1)


def _fitted(image: Image.Image, target: tuple[int, int]) -> Image.Image:
    if image.size == target:
        return image
    scale = max(target[0] / image.width, target[1] / image.height)
    sides = max(target[0], round(image.width * scale)), max(target[1], round(image.height * scale))
    large = image.resize(sides, Image.Resampling.BILINEAR)
    left, top = (large.width - target[0]) // 2, (large.height - target[1]) // 2
    return large.crop((left, top, left + target[0], top + target[1]))


def read_all(paths: Iterable[Path], how: Mapping[str, Any]) -> list[tuple[Path, Tensor]]:
    """The images that can be read; each other one gets a line on stderr."""
    found = []
    for path in paths:
        try:
            found.append((path, read_image(path, how)))
        except Unreadable as error:
            print(f"error: {error}.", file=sys.stderr)
    return found


def line_of(path: Path, probabilities: Tensor, classes: Sequence[str], as_json: bool) -> str:
    """What is printed of one image: its class, and how probable the model finds that."""
    name, best = classes[int(probabilities.argmax())], float(probabilities.max())
    if not as_json:
        return f"{path}: {name} ({100 * best:.1f} %)"
    every = dict(zip(classes, probabilities.tolist(), strict=True))
    return json.dumps({"image": str(path), "class": name, "probabilities": every})


def main() -> None:
    """A line for each image that can be read; exit code 1 where one cannot."""
    parser = argparse.ArgumentParser(description="Tell the class of images by the trained model beside this.")
    parser.add_argument("images", nargs="+", type=Path, metavar="IMAGE")
    parser.add_argument("--json", action="store_true", help="all probabilities, one JSON object per image")
    asked = parser.parse_args()
    sys.argv = sys.argv[:1]
    folder = Path(__file__).resolve().parent
    how = json.loads((folder / "preprocessing.json").read_text("utf-8"))
    read = read_all(asked.images, how)
    if read:
        pixels = torch.stack([image for _, image in read])
        for (path, _), row in zip(read, predict(load_model(folder, how), pixels, how), strict=True):
            print(line_of(path, row, how["classes"], asked.json))
    if len(read) < len(asked.images):
        sys.exit(1)


if __name__ == "__main__":
    main()
