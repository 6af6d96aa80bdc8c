"""Images as people have them: 12 and 16 bits, floats, turned by EXIF, transparent, of many channels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageOps

from ge_engine.errors import ConfigError
from ge_plugins.pictures import Look, scales_of
from tests.pictured import array, dot, line, pixels, plain, read, saved, two, write

RAMP = np.linspace(0, 1, 64).reshape(8, 8)
"""From black to white."""
EIGHT = np.rint(RAMP * 255).astype(np.uint8)


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def grey(values: np.ndarray, kind: str = "PNG", **options: object) -> bytes:  # type: ignore[type-arg]
    return saved(Image.fromarray(values), kind, **options)


def whole(top: int) -> np.ndarray:  # type: ignore[type-arg]
    return np.rint(RAMP * top).astype(np.uint16)


DEEP = {
    "16 bits, png": (".png", grey(whole(65535))),
    "12 bits in 16, png": (".png", grey(whole(4095))),
    "10 bits in 16, png": (".png", grey(whole(1023))),
    "14 bits in 16, tif": (".tif", grey(whole(16383), "TIFF")),
    "8 bits in 16, tif": (".tif", grey(whole(255), "TIFF")),
    "32 bits, tif": (".tif", grey(whole(65535).astype(np.int32) * 30000, "TIFF")),
    "floats to 1, tif": (".tif", grey(RAMP.astype(np.float32), "TIFF")),
    "floats to 255, tif": (".tif", grey((RAMP * 255).astype(np.float32), "TIFF")),
    "floats from -1 to 1, npy": (".npy", array(RAMP * 2 - 1)),
    "floats of any range, npy": (".npy", array(RAMP * 3e4 - 1024)),
    "16 bits, npy": (".npy", array(whole(65535))),
    "12 bits, npy": (".npy", array(whole(4095))),
    "signed, npy": (".npy", array(whole(4000).astype(np.int16) - 1000)),
    "truth values, npy": (".npy", array(RAMP > 0.5)),
    "16 bits, pgm": (".pgm", b"P5 8 8 65535\n" + whole(65535).astype(">u2").tobytes()),
    "12 bits, pgm": (".pgm", b"P5 8 8 4095\n" + whole(4095).astype(">u2").tobytes()),
}


@pytest.mark.parametrize("kind", DEEP)
def test_deep_images_that_become_white_or_black(kind: str, tmp_path: Path) -> None:
    suffix, data = DEEP[kind]
    found = pixels(two(tmp_path / "x", data, data, suffix))[0].numpy().astype(int)
    wanted = (RAMP > 0.5) * 255 if kind.startswith("truth") else EIGHT.astype(int)
    assert found.shape == (3, 8, 8)
    assert np.abs(found - wanted).max() <= 1


def test_a_deep_image_that_is_brightened_by_itself(tmp_path: Path) -> None:
    """What is darker than another stays so: one scale for all."""
    dark, bright = np.full((8, 8), 400, np.uint16), whole(4095)
    images = pixels(two(tmp_path / "x", grey(dark), grey(bright)))
    assert set(images[0].flatten().tolist()) == {25}
    assert int(images[1].max()) == 255


def test_a_tif_whose_zero_is_white(tmp_path: Path) -> None:
    normal, turned = grey(whole(65535), "TIFF"), grey(65535 - whole(65535), "TIFF", tiffinfo={262: 0})
    images = pixels(two(tmp_path / "x", normal, turned, ".tif"))
    assert (images[0].int() - images[1].int()).abs().max() <= 1


@pytest.mark.parametrize(
    ("value", "rest"),
    [
        (-9999.0, RAMP.astype(np.float32)),
        (-3.4e38, (RAMP * 900).astype(np.float32)),
        (1e20, RAMP.astype(np.float32)),
        (-32768, whole(1000).astype(np.int16)),
        (65535, whole(3000)),
    ],
)
def test_a_value_for_no_data_that_leaves_nothing_of_the_rest(
    value: float,
    rest: np.ndarray,
    tmp_path: Path,  # type: ignore[type-arg]
) -> None:
    marked = rest.copy()
    marked[:2, :2] = value
    root = two(tmp_path / "x", array(rest), array(marked), ".npy")
    with pytest.raises(ConfigError, match="far from all others") as refused:
        pixels(root)
    assert f"The image b/0.npy holds the value {value:g}" in str(refused.value)


@pytest.mark.parametrize(
    "values",
    [
        *(whole(65535) * (RAMP > 0.9), whole(65535) * (RAMP > 0.5), (RAMP > 0.5).astype(np.float32)),
        *((RAMP * 0.01).astype(np.float32), np.full((8, 8), 7.5), np.where(RAMP < 0.1, 0, whole(4095))),
        *(np.where(RAMP < 0.1, -1.0, RAMP * 0.02), whole(3)),
    ],
)
def test_images_that_are_refused_for_no_outlier(values: np.ndarray, tmp_path: Path) -> None:  # type: ignore[type-arg]
    assert len(pixels(two(tmp_path / "x", array(values), array(values), ".npy"))) == 2


@pytest.mark.parametrize("kind", ["GIF", "TIFF", "WEBP"])
def test_further_frames_that_are_dropped_in_silence(
    kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = (Image.new("L", (8, 8), value) for value in (250, 5))
    film = saved(first, kind, save_all=True, append_images=[second])
    root = write(plain(tmp_path / "x", a=10, b=10), {f"a/film.{kind.lower()}": film})
    assert "of 1 image with several frames or pages the first is read" in line(root, capsys)
    assert pixels(root).max() >= 245


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_values_that_are_no_numbers(bad: float, tmp_path: Path) -> None:
    values = RAMP.copy()
    values[2, 3] = bad
    with pytest.raises(ConfigError, match=r"b/0\.npy cannot be read: it holds values that are NaN"):
        pixels(two(tmp_path / "x", array(RAMP), array(values), ".npy"))


def sixteen_bit_colours(top: int) -> bytes:
    """A PNG of 16 bits a colour, which Pillow reads and does not write."""
    import struct
    import zlib

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    rows = np.repeat(whole(top)[..., None], 3, axis=2).astype(">u2")
    raw = b"".join(b"\0" + row.tobytes() for row in rows)
    head = struct.pack(">IIBBBBB", 8, 8, 16, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(raw)) + chunk(b"IEND", b"")
    )


def test_colours_of_16_bits(tmp_path: Path) -> None:
    """Pillow reads the upper 8 bits: right for all 16, nearly nothing for 12 of them."""
    full, dim = sixteen_bit_colours(65535), sixteen_bit_colours(4095)
    found = pixels(two(tmp_path / "full", full, full))[0].numpy().astype(int)
    assert np.abs(found - EIGHT.astype(int)).max() <= 1
    with pytest.raises(ConfigError, match=r"a/0\.png.*less than a sixteenth"):
        pixels(two(tmp_path / "dim", dim, dim))


@given(st.lists(st.integers(1, 65535), min_size=1, max_size=4))
def test_a_scale_that_loses_more_than_its_bits(tops: list[int]) -> None:
    """Whatever is held, the brightest of all uses half of 0..255 or more, and nothing is cut off."""
    scale = scales_of(Look(8, 8, 3, "integers", 0.0, float(top)) for top in tops)["integers"]
    ends = scale.bytes_of(np.array([0, max(tops)]))
    assert ends[0] == 0
    assert ends[1] >= 64 or max(tops) < 64
    assert max(tops) <= scale.high


def test_deep_images_in_silence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = {f"{name}/{n}.png": grey(whole(4095)) for name in "ab" for n in range(4)}
    assert "8 images with values 0 to 4095 brought to 0 to 255" in line(write(tmp_path / "x", files), capsys)


CORNER = Image.fromarray(np.kron(np.array([[255, 0], [0, 90]], np.uint8), np.ones((8, 8), np.uint8)))


def turned(orientation: int, kind: str, **options: object) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return saved(CORNER.convert("RGB"), kind, exif=exif, **options)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "TIFF"])
def test_an_image_that_stays_lying_on_its_side(orientation: int, kind: str, tmp_path: Path) -> None:
    options = {"lossless": True} if kind == "WEBP" else {"quality": 100} if kind == "JPEG" else {}
    data = turned(orientation, kind, **options)
    found = pixels(two(tmp_path / "x", data, data, f".{kind.lower()}"))[0][0].numpy().astype(int)
    exif = Image.Exif()
    exif[0x0112] = orientation
    shown = CORNER.copy()
    shown.getexif()[0x0112] = orientation
    upright = ImageOps.exif_transpose(shown)
    assert np.abs(found - np.asarray(upright).astype(int)).max() <= (4 if kind == "JPEG" else 0)


def test_a_common_size_of_images_lying_on_their_sides(tmp_path: Path) -> None:
    """20x12 turned by a quarter is 12x20, of which there is another: one size, not two."""
    exif = Image.Exif()
    exif[0x0112] = 6
    for kind in ("JPEG", "PNG"):
        lying = saved(Image.new("RGB", (20, 12)), kind, exif=exif)
        upright = saved(Image.new("RGB", (12, 20)), kind)
        with pytest.raises(ConfigError, match=r"one size \(12x20, \.\.\.\)"):
            pixels(two(tmp_path / kind, lying, upright))


def ink(mode: str) -> Image.Image:
    """Black ink on the left, on a ground of transparent black."""
    image = Image.new("RGBA", (8, 8), (0, 0, 0, 0))
    image.paste((0, 0, 0, 255), (0, 0, 4, 8))
    return image.convert(mode)


def palette() -> Image.Image:
    image = Image.new("P", (8, 8), 1)
    image.putpalette([0, 0, 0, 0, 0, 0])
    image.paste(0, (0, 0, 4, 8))
    return image


def keyed(mode: str) -> Image.Image:
    image = Image.new(mode, (8, 8), 1 if mode == "L" else (1, 1, 1))
    image.paste(0 if mode == "L" else (0, 0, 0), (0, 0, 4, 8))
    return image


INK = {
    "RGBA": saved(ink("RGBA")),
    "LA": saved(ink("LA")),
    "webp": saved(ink("RGBA"), "WEBP", lossless=True, exact=True),
    "tiff": saved(ink("RGBA"), "TIFF"),
    "palette": saved(palette(), transparency=1),
    "palette of alphas": saved(palette(), transparency=b"\xff\x00"),
    "gif": saved(palette(), "GIF", transparency=1),
    "a grey that is transparent": saved(keyed("L"), transparency=1),
    "a colour that is transparent": saved(keyed("RGB"), transparency=(1, 1, 1)),
}


@pytest.mark.parametrize("kind", INK)
def test_black_ink_on_nothing_that_becomes_black(
    kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = write(tmp_path / "x", {f"{name}/{n}.png": INK[kind] for name in "ab" for n in range(4)})
    found = pixels(root)[0]
    assert set(found[:, :, :4].flatten().tolist()) == {0}
    assert set(found[:, :, 4:].flatten().tolist()) == {255}
    assert line(root, capsys).count("8 images with transparency laid on white") == 1


def test_colours_of_a_palette_that_are_numbers_of_it(tmp_path: Path) -> None:
    image = Image.new("P", (8, 8), 1)
    image.putpalette([0, 0, 0, 200, 100, 50])
    found = pixels(two(tmp_path / "x", saved(image), dot()))[0]
    assert found[:, 0, 0].tolist() == [200, 100, 50]


@pytest.mark.parametrize("form", ["channels last", "channels first", "two", "many"])
def test_arrays_of_other_channels(form: str, tmp_path: Path) -> None:
    count = {"two": 2, "many": 13}.get(form, 4)
    values = np.arange(8 * 8 * count, dtype=np.uint64).reshape(8, 8, count).astype(np.uint8)
    stored = values.transpose(2, 0, 1) if form == "channels first" else values
    found = pixels(two(tmp_path / "x", array(stored), array(stored), ".npy"))
    assert np.array_equal(found[0].numpy(), values.transpose(2, 0, 1))


def test_a_fourth_band_of_a_tif_that_is_lost_in_silence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Pillow leaves it out; a .npy keeps it."""
    values = np.arange(256, dtype=np.uint8).reshape(8, 8, 4)
    data = saved(Image.frombytes("RGBX", (8, 8), values.tobytes()), "TIFF")
    root = write(tmp_path / "x", {f"{name}/{n}.tif": data for name in "ab" for n in range(4)})
    assert np.array_equal(pixels(root)[0].numpy(), values.transpose(2, 0, 1)[:3])
    assert "8 images with more bands than the three that Pillow reads" in line(root, capsys)


def test_arrays_that_are_resized(tmp_path: Path) -> None:
    values = np.zeros((16, 16, 5), np.uint8)
    values[..., 3] = 77
    found = pixels(two(tmp_path / "x", array(values), array(values), ".npy"), 8)
    assert found.shape == (2, 5, 8, 8)
    assert set(found[:, 3].flatten().tolist()) == {77}


def test_images_of_different_channels(tmp_path: Path) -> None:
    files = {"a/0.npy": array(np.zeros((8, 8, 5), np.uint8)), "a/1.png": dot(), "b/0.png": dot()}
    with pytest.raises(ConfigError, match=r"different numbers of channels .*a/0\.npy"):
        read(write(tmp_path / "x", files))


def header(shape: tuple[int, ...], dtype: str = "|u1") -> bytes:
    text = repr({"descr": dtype, "fortran_order": False, "shape": shape}).ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text.encode()


BAD = {
    "more than it holds": header((2**20, 2**20)) + b"\0" * 64,
    "less than it holds": header((4, 4)) + b"\0" * 64,
    "cut off": array(np.zeros((8, 8)))[:-5],
    "objects": array(np.array([{}, {}], dtype=object).reshape(1, 2)),
    "one axis": array(np.zeros(64)),
    "four axes": array(np.zeros((2, 2, 2, 2))),
    "nothing": array(np.zeros((0, 8))),
    "complex numbers": array(np.zeros((8, 8), complex)),
    "code for a header": header((8, 8)).replace(b"(8, 8)", b"exit()") + b"\0" * 64,
    "a magic word alone": b"\x93NUMPY",
    "too many channels": array(np.zeros((65, 80, 70), np.uint8)),
}


@pytest.mark.parametrize("kind", BAD)
def test_an_array_that_is_not_what_it_says(kind: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"The image b/0\.npy cannot be read"):
        pixels(two(tmp_path / "x", array(np.zeros((8, 8))), BAD[kind], ".npy"))


def test_images_of_8_bits_that_change(tmp_path: Path) -> None:
    """What was right before stays as it was, to the bit."""
    rng = np.random.default_rng(1)
    colours = rng.integers(0, 256, (8, 8, 3)).astype(np.uint8)
    found = pixels(two(tmp_path / "x", saved(Image.fromarray(colours)), saved(CORNER.resize((8, 8)))))
    assert np.array_equal(found[0].numpy(), colours.transpose(2, 0, 1))
    assert np.array_equal(found[1].numpy(), np.stack([np.asarray(CORNER.resize((8, 8)))] * 3))
    assert len(pixels(plain(tmp_path / "y"))) == 8
