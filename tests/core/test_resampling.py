"""Resampling neither shifts nor shrinks: linear fields survive it, also beyond the outermost centres."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage

from napari_film.resampling import axis_weights, inside, interpolate, resampled_length


def centres(length: int, spacing: float) -> np.ndarray:
    """Give positions in mm, the middle of the field of view at 0."""
    return (np.arange(length) - (length - 1) / 2) * spacing


@given(st.integers(2, 60), st.floats(0.3, 6), st.floats(0.3, 6))
def test_a_line_stays_a_line(length: int, spacing: float, target: float) -> None:
    new = resampled_length(length, spacing, target)
    weights = axis_weights(length, spacing, new, target)
    assert weights.shape == (new, length)
    extent = length * spacing
    np.testing.assert_allclose(weights @ np.ones(length), 1, atol=1e-5)
    np.testing.assert_allclose(weights @ centres(length, spacing), centres(new, target), atol=1e-5 * extent)


@given(st.integers(1, 200), st.floats(0.3, 6), st.floats(0.3, 6))
def test_the_field_of_view_is_kept_to_half_a_sample(length: int, spacing: float, target: float) -> None:
    new = resampled_length(length, spacing, target)
    assert new >= 1
    assert abs(new * target - length * spacing) <= target / 2 + 1e-9 or new == 1


def test_without_downsampling_it_is_linear_interpolation() -> None:
    values = np.random.default_rng(0).normal(size=17)
    result = axis_weights(17, 2.0, 45, 0.75) @ values
    at, known = centres(45, 0.75), centres(17, 2.0)
    within = np.abs(at) <= known[-1]
    np.testing.assert_allclose(result[within], np.interp(at[within], known, values), atol=1e-5)
    assert not within.all()


def test_downsampling_keeps_out_what_the_coarse_grid_cannot_hold() -> None:
    stripes = np.tile([1.0, -1.0], 40)
    assert np.abs(axis_weights(80, 1.0, 40, 2.0) @ stripes)[2:-2].max() < 0.02
    assert np.abs(axis_weights(80, 1.0, 27, 3.0) @ stripes)[2:-2].max() < 0.15


def test_one_sample_gives_its_value() -> None:
    assert np.array_equal(axis_weights(1, 1.0, 3, 0.4) @ np.array([7.0]), [7, 7, 7])


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("dtype", ["<i2", ">i2", "<f4", ">f8", "u1"])
def test_interpolation_is_trilinear(order: str, dtype: str) -> None:
    random = np.random.default_rng(0)
    data = np.asarray(random.integers(0, 200, size=(5, 6, 7)), dtype=dtype, order=order)
    points = [random.uniform(0, length - 1, size=300) for length in data.shape]
    expected = ndimage.map_coordinates(data.astype(np.float64), points, order=1)
    np.testing.assert_allclose(interpolate(data, points), expected, rtol=1e-5, atol=1e-4)
    strided = np.repeat(data, 2, axis=1)[:, ::2]
    np.testing.assert_allclose(interpolate(strided, points), expected, rtol=1e-5, atol=1e-4)


def test_interpolation_goes_on_straight_to_the_voxels_edge() -> None:
    i, j, k = np.indices((4, 5, 6))
    points = [np.array([-0.5, 3.5, 1.2]), np.array([4.5, -0.5, 2.0]), np.array([-0.5, 5.5, 5.5])]
    expected = 1 + 2 * points[0] - 3 * points[1] + 5 * points[2]
    np.testing.assert_allclose(interpolate(1.0 + 2 * i - 3 * j + 5 * k, points), expected, rtol=1e-5)


def test_a_volume_of_one_slice_is_constant_across_it() -> None:
    data = np.arange(12.0).reshape(3, 4, 1)
    points = [np.array([1.0, 1.0]), np.array([2.0, 2.0]), np.array([-0.4, 0.4])]
    np.testing.assert_allclose(interpolate(data, points), [6, 6])


def test_inside_is_half_a_voxel_around_the_centres() -> None:
    points = [np.array([-0.5, -0.51, 2.5, 2.51, 1, 1]), np.zeros(6), np.array([0, 0, 0, 0, 0.49, 0.52])]
    assert inside(points, (3, 1, 1)).tolist() == [True, False, True, False, True, False]
