"""Maps count and measure over condition values, voxel by voxel."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from napari_film.comparison.maps import disagreement, sensitivity

SHAPES = array_shapes(min_dims=0, max_dims=3, max_side=4)


@settings(deadline=None, derandomize=True)
@given(st.integers(1, 5).flatmap(lambda k: SHAPES.flatmap(lambda shape: arrays(np.uint8, (k, *shape)))))
def test_sensitivity_is_how_far_the_probability_moves(planes: np.ndarray) -> None:
    before = planes.copy()
    moved = sensitivity(list(planes))
    assert moved.dtype == np.float32
    assert np.array_equal(moved, np.ptp(planes.astype(float) / 256, axis=0))
    assert np.array_equal(planes, before)


@settings(deadline=None, derandomize=True)
@given(st.integers(1, 5).flatmap(lambda k: SHAPES.flatmap(lambda shape: arrays(np.bool_, (k, *shape)))))
def test_disagreement_counts_masks(masks: np.ndarray) -> None:
    counted = disagreement(list(masks))
    assert counted.dtype == np.uint8
    assert np.array_equal(counted, masks.sum(axis=0))


def test_as_many_masks_as_can_be_counted() -> None:
    assert disagreement([np.ones(1, np.bool_)] * 255).tolist() == [255]
    with pytest.raises(ValueError, match="256 masks; expected 1 to 255"):
        disagreement([np.ones(1, np.bool_)] * 256)
    with pytest.raises(ValueError, match="0 masks"):
        disagreement([])
    with pytest.raises(ValueError, match="0 planes of probabilities"):
        sensitivity([])
