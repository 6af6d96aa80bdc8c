"""Parameters of which a few are in every run of the tests, and the others are long."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest


def everyday(cases: Iterable[Any], *chosen: Any) -> list[Any]:
    """`cases` in their order; those that are not `chosen` are marked as long, each a part of its own.

    Raises:
        ValueError: what is chosen is none of the cases.
    """
    listed = list(cases)
    if unknown := [one for one in chosen if one not in listed]:
        raise ValueError(f"none of the cases: {unknown}")
    return [one if one in chosen else pytest.param(one, marks=pytest.mark.long(str(one))) for one in listed]
