"""A value far from all others, such as -9999 for "no data", beside which nothing is left of an image."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from ge_engine.errors import ConfigError
from ge_plugins.pictures import Look, Scale
from ge_plugins.scanning import Entry

SHARE = 1 / 16
"""The part of the scale that the other values have to use."""


def refuse_outliers(entries: Sequence[Entry], looks: Sequence[Look], scales: Mapping[str, Scale]) -> None:
    """Raises ConfigError: without its lowest or its highest value, which images may hold many times, all
    images of a kind together would use less than a sixteenth of its scale."""
    for kind, scale in scales.items():
        own = [(entry.path, look) for entry, look in zip(entries, looks) if look.kind == kind]
        low, high = min(look.low for _, look in own), max(look.high for _, look in own)
        least = min(_above(low, [look for _, look in own]), default=low)
        most = max(_below(high, [look for _, look in own]), default=high)
        narrow = SHARE * (scale.high - scale.low)
        if low == scale.low and low not in (0, -1) and 0 < high - least < narrow:
            path = next(path for path, look in own if look.low == low)
            raise _outlier(path, low, least, high)
        if high != 1 and (kind == "integers" or high == scale.high) and 0 < most - low < narrow:
            path = next(path for path, look in own if look.high == high)
            raise _outlier(path, high, low, most)


def _above(low: float, looks: Sequence[Look]) -> Iterator[float]:
    """The least value of each image above `low`."""
    for look in looks:
        least = min((v for v in (look.low, look.inner_low, look.high) if v > low), default=None)
        if least is not None:
            yield least


def _below(high: float, looks: Sequence[Look]) -> Iterator[float]:
    """The greatest value of each image below `high`."""
    for look in looks:
        most = max((v for v in (look.high, look.inner_high, look.low) if v < high), default=None)
        if most is not None:
            yield most


def _outlier(path: str, value: float, low: float, high: float) -> ConfigError:
    return ConfigError(
        f"The image {path} holds the value {value:g}, far from all others ({low:g} to {high:g}): almost "
        "nothing would be left of those in 8 bits.",
        "Write another value in its place, such as 0, or convert the images to 8 bits.",
    )
