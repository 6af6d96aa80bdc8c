"""Exact volumes, against hand-made fronts and another library."""

from __future__ import annotations

import moocore
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ge_engine.search.hypervolume import box, hypervolume, normalised

VALUES = st.integers(0, 12).map(float)


def fronts(size: int) -> st.SearchStrategy[list[tuple[float, ...]]]:
    return st.lists(st.tuples(*[VALUES] * size), min_size=1, max_size=12)


def test_a_staircase_that_counts_an_overlap_twice() -> None:
    assert hypervolume([(1.0, 2.0), (2.0, 1.0)], (3.0, 3.0)) == 3.0
    assert hypervolume([(1.0, 2.0), (2.0, 1.0), (2.0, 2.0), (1.0, 2.0)], (3.0, 3.0)) == 3.0


def test_a_point_beyond_the_reference_that_counts() -> None:
    assert hypervolume([(4.0, 0.0), (3.0, 1.0)], (3.0, 3.0)) == 0.0
    assert hypervolume([], (3.0, 3.0)) == 0.0


@given(st.one_of([fronts(size) for size in (1, 2, 3, 4)]))
def test_a_volume_that_another_library_disagrees_with(points: list[tuple[float, ...]]) -> None:
    reference = (11.0,) * len(points[0])
    expected = moocore.hypervolume(np.array(points), ref=np.array(reference))
    assert hypervolume(points, reference) == pytest.approx(expected)


@given(fronts(3))
def test_a_share_outside_0_to_1(points: list[tuple[float, ...]]) -> None:
    ideal, reference = box(points)
    assert 0.0 <= normalised(points, ideal, reference) <= 1.0 + 1e-12


def test_a_box_of_nothing() -> None:
    with pytest.raises(ValueError, match="no points"):
        box([])
