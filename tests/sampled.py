"""Parameters of which a few are in every run of the tests, and the others are long."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from _pytest.mark.structures import ParameterSet


def everyday(cases: Iterable[str], *chosen: str) -> list[str | ParameterSet]:
    """`cases` in their order; those that are not `chosen` are marked as long.

    Raises:
        ValueError: what is chosen is none of the cases.
    """
    listed = list(cases)
    if unknown := set(chosen) - set(listed):
        raise ValueError(f"none of the cases: {unknown}")
    return [one if one in chosen else pytest.param(one, marks=pytest.mark.long) for one in listed]
