"""Random fields, soft surfaces and noise."""

from __future__ import annotations

import numpy as np
import pytest

from napari_film.sample_data.fields import (
    SmoothField,
    balanced_choice,
    correlated_noise,
    ellipsoid,
    generator,
    rician,
    soft,
    sub_slices,
)


def test_every_run_of_three_holds_each_choice_once() -> None:
    choices = ("a", "b", "c")
    drawn = [balanced_choice("kind", 5, index, choices, 1) for index in range(60)]
    assert all(sorted(drawn[i : i + 3]) == ["a", "b", "c"] for i in range(0, 60, 3))
    assert len({tuple(drawn[i : i + 3]) for i in range(0, 60, 3)}) > 1


def test_subjects_are_independent_streams() -> None:
    draws = {float(generator(kind, seed, index).random()) for kind in ("a", "b") for seed in (0, 1) for index in (0, 1)}
    assert len(draws) == 8


def test_ellipsoid_is_exact_for_a_ball_and_zero_on_the_surface() -> None:
    x = np.linspace(3, 30, 28)
    zero = np.zeros_like(x)
    np.testing.assert_allclose(ellipsoid(x, zero, zero, (0, 0, 0), (10, 10, 10)), 10 - x, atol=1e-4)
    angle = np.linspace(0, 6.2, 20)
    on = ellipsoid(4 * np.cos(angle), 9 * np.sin(angle), np.zeros_like(angle), (0, 0, 0), (4, 9, 20))
    np.testing.assert_allclose(on, 0, atol=1e-5)


def test_soft_border_is_half_at_the_surface() -> None:
    np.testing.assert_allclose(soft(np.array([-5.0, -0.5, 0.0, 0.5, 5.0]), 2.0), [0, 0.25, 0.5, 0.75, 1])


def test_a_smooth_field_is_standard_smooth_and_the_same_on_any_grid() -> None:
    field = SmoothField.draw(np.random.default_rng(0), (0, 0, 0), (60, 60, 60), 10.0)
    fine = np.stack(np.meshgrid(*[np.arange(0, 60, 1.0)] * 3, indexing="ij"))
    values = field(*fine)
    assert abs(float(values.mean())) < 0.3
    assert 0.6 < float(values.std()) < 1.2
    neighbours = np.corrcoef(values[1:].ravel(), values[:-1].ravel())[0, 1]
    assert neighbours > 0.95
    np.testing.assert_array_equal(field(*fine[:, ::2, ::3, ::5]), values[::2, ::3, ::5])


def test_sub_slices_average_to_the_voxels_middle() -> None:
    affine = np.array([[0, 0, -4.0, 7], [1.5, 0.1, 0, -3], [0, 2, 0.3, 1], [0, 0, 0, 1]])
    mean = sum(np.stack(np.broadcast_arrays(*point)) for point in sub_slices((4, 5, 3), affine, 3)) / 3
    index = np.stack(np.meshgrid(*map(np.arange, (4, 5, 3)), indexing="ij"))
    expected = np.einsum("rc,cijk->rijk", affine[:3, :3], index) + affine[:3, 3, None, None, None]
    np.testing.assert_allclose(mean, expected, atol=1e-4)


def test_rician_noise_lifts_the_dark_background() -> None:
    magnitude = rician(np.random.default_rng(0), np.zeros((40, 40, 10), np.float32), 2.0)
    assert float(magnitude.mean()) == pytest.approx(2.0 * np.sqrt(np.pi / 2), rel=0.02)


def test_correlated_noise_has_the_asked_deviation() -> None:
    noise = correlated_noise(np.random.default_rng(0), (40, 40, 6), 12.0, 0.8)
    assert float(noise.std()) == pytest.approx(12.0, rel=1e-3)
    assert np.corrcoef(noise[1:].ravel(), noise[:-1].ravel())[0, 1] > 0.3
