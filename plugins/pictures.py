"""An image file's bytes -> uint8 pixels: upright, opaque, and deep values on the scale 0..255."""

from __future__ import annotations

import io
import math
import struct
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from PIL import Image, UnidentifiedImageError

from ge_engine.errors import ConfigError

FORMATS = ("JPEG", "PNG", "BMP", "DIB", "WEBP", "GIF", "TIFF", "PPM")
"""What a file may hold, whatever its name says: others start programs or are no photographs."""
MOST_PIXELS = 64 * 2**20
MOST_CHANNELS = 64
ARRAY = b"\x93NUMPY"
DAMAGED_IMAGE = (
    *(UnidentifiedImageError, Image.DecompressionBombError, Image.DecompressionBombWarning, OSError),
    *(ValueError, SyntaxError, TypeError, KeyError, IndexError, RuntimeError, OverflowError, EOFError),
    *(MemoryError, ZeroDivisionError, AttributeError, struct.error, zlib.error),
)
"""What Pillow raises on files that are not what they say."""
DEEP = ("I", "I;16", "I;16B", "I;16L", "I;16N", "F")
TRANSPARENT = ("RGBA", "LA", "PA", "La", "RGBa")
ORIENTATION = 0x0112
PHOTOMETRIC, DEPTHS, SAMPLES = 262, 258, 277
"""Tags of TIFF 6.0: whether zero is white, bits of each sample, samples of each pixel."""
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""What brings an image upright, by its orientation (EXIF 2.32, tag 0x0112)."""
BITS = (1, 2, 4, 8, 10, 12, 14, 16)

Values = np.ndarray[Any, Any]


@dataclass(frozen=True, slots=True)
class Look:
    """What an image is like: its size upright in pixels, and its `kind`: "plain", "transparent", "integers"
    or "numbers" (values that are not on the scale 0..255, from `low` to `high`; those strictly between are
    from `inner_low` to `inner_high`), "16-bit colour" (the upper 8 bits are read), or "bands" (the first
    three are read). Of several `frames` the first is read."""

    width: int
    height: int
    channels: int = 3
    kind: str = "plain"
    low: float = 0.0
    high: float = 0.0
    inner_low: float = math.inf
    inner_high: float = -math.inf
    frames: int = 1


@dataclass(frozen=True, slots=True)
class Scale:
    """Values from `low` to `high` become 0..255."""

    low: float
    high: float

    def bytes_of(self, values: Values) -> Values:
        """Rounded, as uint8; values beyond the ends become the ends."""
        spread = self.high - self.low or 1.0
        scaled = (values.astype(np.float64) - self.low) * (255.0 / spread)
        return np.rint(scaled).clip(0, 255).astype(np.uint8)


def look_at(data: bytes, path: str) -> Look:
    """What the image is like; only deep ones are decoded for it. Raises ConfigError: it cannot be read."""
    with reading(path):
        if data.startswith(ARRAY):
            return _look_at_values(_array(data))
        image = _opened(data)
        return replace(_look_at_image(image, data), frames=_frames(data))


def _look_at_image(image: Image.Image, data: bytes) -> Look:
    if image.mode in DEEP:
        return _look_at_values(np.asarray(image))
    width, height = image.size
    if _orientation(image, data) >= 5:
        width, height = height, width
    if getattr(image, "tag_v2", {}).get(SAMPLES, 1) > len(image.getbands()):
        return Look(width, height, 3, "bands")
    if _loses_bits(image, data):
        high = float(np.asarray(image.convert("RGB")).max())
        return Look(width, height, 3, "16-bit colour", 0.0, high)
    clear = image.mode in TRANSPARENT or "transparency" in image.info
    return Look(width, height, 3, "transparent" if clear else "plain")


def scales_of(looks: Iterable[Look]) -> Mapping[str, Scale]:
    """One scale for all images of a kind, so that what is darker stays darker: whole numbers by the least
    bits that hold them all, others from 0 to 1, -1 to 1 or 0 to 255, or else by their range."""
    ranges: dict[str, tuple[float, float]] = {}
    for look in looks:
        if look.kind in ("integers", "numbers"):
            low, high = ranges.get(look.kind, (look.low, look.high))
            ranges[look.kind] = (min(low, look.low), max(high, look.high))
    return {kind: _scale(kind, *held) for kind, held in ranges.items()}


def pixels_of(
    data: bytes, path: str, target: tuple[int, int], channels: int, scales: Mapping[str, Scale]
) -> Values:
    """uint8 (height, width, channels) in the size `target` (width, height): the shorter side is fitted, then
    the centre taken. Raises ConfigError: it cannot be read."""
    with reading(path):
        if data.startswith(ARRAY):
            return _in_channels(_scaled(_array(data), scales), target, channels)
        image = _opened(data)
        if image.mode in DEEP:
            turned = getattr(image, "tag_v2", {}).get(PHOTOMETRIC) == 0
            values = _scaled(np.asarray(image), scales)
            return _in_channels(255 - values if turned else values, target, channels)
        orientation = _orientation(image, data)
        if image.size != target:
            image.draft("RGB", (target[0] * 2, target[1] * 2))
        colours = _on_white(image)
        if orientation in TURNS:
            colours = colours.transpose(TURNS[orientation])
        return np.asarray(_fitted(colours, target))


@contextmanager
def reading(path: str) -> Iterator[None]:
    """What goes wrong with an image names it. Raises ConfigError."""
    try:
        yield
    except DAMAGED_IMAGE as error:
        unknown = isinstance(error, UnidentifiedImageError)
        why = "it is no image of a kind that Pillow reads" if unknown else error or type(error).__name__
        raise ConfigError(
            f"The image {path} cannot be read: {why}.",
            "Remove or replace it (many channels: as .npy), or leave damaged images out with --skip-broken.",
        ) from error


def _opened(data: bytes) -> Image.Image:
    """Opened without decoding."""
    image = Image.open(io.BytesIO(data), formats=FORMATS)
    if image.width * image.height > MOST_PIXELS:
        raise ValueError(f"it has {image.width}x{image.height} pixels")
    return image


def _frames(data: bytes) -> int:
    """How many frames or pages it has; 1 where they cannot be counted. The first alone can be sound."""
    try:
        image = _opened(data)
        return int(getattr(image, "n_frames", 1)) if image.format in ("GIF", "TIFF", "WEBP") else 1
    except DAMAGED_IMAGE:
        return 1


def _orientation(image: Image.Image, data: bytes) -> int:
    """EXIF's, 1 for none. Pillow turns TIFF itself; a PNG is asked only where it says something of it, for
    that means to decode it."""
    words = (b"eXIf", b"Raw profile type", b"tiff:Orientation")
    if image.format == "TIFF" or (image.format == "PNG" and not any(word in data for word in words)):
        return 1
    return int(image.getexif().get(ORIENTATION, 1) or 1)


def _loses_bits(image: Image.Image, data: bytes) -> bool:
    """Whether it has 16 bits for each of several colours, of which Pillow reads the upper 8."""
    if image.format == "PNG":
        return data[24] == 16 and data[25] in (2, 4, 6)
    depths = getattr(image, "tag_v2", {}).get(DEPTHS, ())
    return isinstance(depths, tuple) and len(depths) > 1 and max(depths) > 8


def _on_white(image: Image.Image) -> Image.Image:
    """As RGB, what is transparent upon white."""
    if image.mode not in TRANSPARENT and "transparency" not in image.info:
        return image.convert("RGB")
    over = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", over.size, "white"), over).convert("RGB")


def _array(data: bytes) -> Values:
    """The numbers of a .npy file as (h, w) or (h, w, channels). Nothing is unpickled, nothing
    larger made than the file is."""
    file = io.BytesIO(data)
    version = np.lib.format.read_magic(file)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, _, dtype = read(file)
    if dtype.kind not in "buif" or len(shape) not in (2, 3) or 0 in shape:
        raise ValueError(f"an array of {dtype} and shape {shape} is no image")
    pixels = int(np.prod([int(side) for side in shape], dtype=object))
    if pixels * dtype.itemsize != len(data) - file.tell() or pixels > MOST_PIXELS * 4:
        raise ValueError(f"it says {shape} of {dtype}, which it does not hold")
    file.seek(0)
    values: Values = np.load(file, allow_pickle=False)
    if values.ndim == 3 and _channels_first(*values.shape):
        values = values.transpose(1, 2, 0)
    if values.ndim == 3 and values.shape[2] > MOST_CHANNELS:
        raise ValueError(f"an array of shape {shape} has more than {MOST_CHANNELS} channels")
    return values


def _channels_first(first: int, second: int, third: int) -> bool:
    """The other two are equal, or it is the shorter one of first and last."""
    if (first == second) != (second == third):
        return second == third
    return first < third


def _look_at_values(values: Values) -> Look:
    height, width = values.shape[:2]
    own = values.shape[2] if values.ndim == 3 else 1
    channels = 3 if own == 1 else own
    if values.dtype == np.uint8:
        return Look(width, height, channels)
    low, high = float(values.min()), float(values.max())
    if not np.isfinite((low, high)).all():
        raise ValueError("it holds values that are NaN or infinite; write a number such as 0 there")
    inner = values[(values > low) & (values < high)]
    inner_low, inner_high = (float(inner.min()), float(inner.max())) if inner.size else (math.inf, -math.inf)
    kind = "numbers" if values.dtype.kind == "f" else "integers"
    return Look(width, height, channels, kind, low, high, inner_low, inner_high)


def _scale(kind: str, low: float, high: float) -> Scale:
    if kind == "integers" and low >= 0:
        return Scale(0.0, next((float(2**bits - 1) for bits in BITS if high < 2**bits), high))
    if kind == "numbers" and low >= 0 and (high <= 1 or 128 <= high <= 255):
        return Scale(0.0, 1.0 if high <= 1 else 255.0)
    if kind == "numbers" and -1 <= low < 0 and high <= 1:
        return Scale(-1.0, 1.0)
    return Scale(low, high)


def _scaled(values: Values, scales: Mapping[str, Scale]) -> Values:
    if values.dtype == np.uint8:
        return values
    return scales["numbers" if values.dtype.kind == "f" else "integers"].bytes_of(values)


def _in_channels(values: Values, target: tuple[int, int], channels: int) -> Values:
    """uint8 (h, w) or (h, w, c) -> (h, w, channels) in the size `target`; grey becomes equal channels."""
    planes = values[..., None] if values.ndim == 2 else values
    fitted = [
        np.asarray(_fitted(Image.fromarray(np.ascontiguousarray(planes[..., n])), target))
        for n in range(planes.shape[2])
    ]
    return np.stack(fitted * channels if len(fitted) == 1 else fitted, axis=-1)


def _fitted(image: Image.Image, target: tuple[int, int]) -> Image.Image:
    if image.size == target:
        return image
    scale = max(target[0] / image.width, target[1] / image.height)
    large = image.resize(
        (max(target[0], round(image.width * scale)), max(target[1], round(image.height * scale))),
        Image.Resampling.BILINEAR,
    )
    left, top = (large.width - target[0]) // 2, (large.height - target[1]) // 2
    return large.crop((left, top, left + target[0], top + target[1]))
