"""Scores are MONAI's, but for empty masks, whose scores are stated."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from monai.metrics import DiceMetric, compute_hausdorff_distance, compute_surface_dice
from scipy import ndimage

from napari_film.comparison.scores import component_count, dice, hausdorff95, surface_dice, surface_scores, volume_ml
from napari_film.comparison.surface import Surface, box

SHAPE = (14, 22, 18)
SPACINGS = [(1.0, 1.0, 1.0), (3.0, 0.8, 1.1), (0.7, 2.5, 5.0)]


def blobs(seed: int, *, smooth: float = 2.5, level: float = 0.02) -> np.ndarray:
    """Smooth shapes, some of them cut by the border of the array."""
    return ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=SHAPE), smooth) > level


def tensor(mask: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(mask)[None, None].float()


@pytest.mark.parametrize("spacing", SPACINGS)
@pytest.mark.parametrize("seed", range(6))
def test_scores_are_those_of_monai(seed: int, spacing: tuple[float, ...]) -> None:
    a, b = blobs(seed, smooth=1.5 + seed / 3), blobs(seed + 100)
    assert 0 < (a & b).sum() < a.sum()
    assert dice(a, b) == pytest.approx(DiceMetric()(tensor(a), tensor(b)).item(), abs=1e-5)
    hausdorff = compute_hausdorff_distance(tensor(a), tensor(b), include_background=True, percentile=95, spacing=spacing)
    assert hausdorff95(a, b, spacing) == pytest.approx(hausdorff.item(), abs=1e-5)
    for tolerance in (0.0, 0.95, 2.0, 4.7):
        within = compute_surface_dice(tensor(a), tensor(b), [tolerance], include_background=True, spacing=spacing, use_subvoxels=False)
        assert surface_dice(a, b, spacing, tolerance=tolerance) == pytest.approx(within.item(), abs=1e-5)


@pytest.mark.parametrize("axis", range(3))
def test_one_slice_has_the_outlines_that_monai_has_in_two_dimensions(axis: int) -> None:
    a, b = (np.ascontiguousarray(blobs(seed, smooth=3)[5]) for seed in (0, 100))
    hausdorff = compute_hausdorff_distance(tensor(a), tensor(b), include_background=True, percentile=95, spacing=(0.8, 1.1))
    spacing = tuple(np.insert([0.8, 1.1], axis, 5.0))
    one, other = np.expand_dims(a, axis), np.expand_dims(b, axis)
    assert hausdorff95(one, other, spacing) == pytest.approx(hausdorff.item(), abs=1e-5)
    within = compute_surface_dice(tensor(a), tensor(b), [0.9], include_background=True, spacing=(0.8, 1.1), use_subvoxels=False)
    assert surface_dice(one, other, spacing, tolerance=0.9) == pytest.approx(within.item(), abs=1e-5)
    assert len(Surface(one, spacing).points) < one.sum()


def test_shapes_far_apart_as_monai_has_them() -> None:
    a, b = np.zeros((2, *SHAPE), np.bool_)
    a[0, 0, 0] = b[13, 21, 17] = True
    hausdorff = compute_hausdorff_distance(tensor(a), tensor(b), include_background=True, percentile=95, spacing=(3.0, 0.8, 1.1))
    assert hausdorff95(a, b, (3.0, 0.8, 1.1)) == pytest.approx(hausdorff.item(), abs=1e-4)
    assert dice(a, b) == 0
    assert surface_dice(a, b, (3.0, 0.8, 1.1), tolerance=2) == 0


def test_empty_masks_have_the_scores_that_are_stated() -> None:
    empty, mask = np.zeros(SHAPE, np.bool_), blobs(0)
    assert (dice(empty, empty), surface_dice(empty, empty, (1, 1, 1), tolerance=2), hausdorff95(empty, empty, (1, 1, 1))) == (1, 1, 0)
    for a, b in ((empty, mask), (mask, empty)):
        assert (dice(a, b), surface_dice(a, b, (1, 1, 1), tolerance=2)) == (0, 0)
        assert math.isinf(hausdorff95(a, b, (1, 1, 1)))
    assert volume_ml(empty, 1.0) == 0
    assert component_count(empty) == 0


@settings(max_examples=60, deadline=None, derandomize=True)
@given(arrays(np.bool_, array_shapes(min_dims=3, max_dims=3, max_side=6)))
def test_a_surface_voxel_has_a_background_neighbour(mask: np.ndarray) -> None:
    spacing = (2.0, 0.5, 1.5)
    extended = mask.squeeze() if mask.size > 1 else mask  # along an axis of one voxel there is no border
    expected = np.argwhere((extended & ~ndimage.binary_erosion(extended)).reshape(mask.shape)) * spacing
    assert sorted(Surface(mask, spacing).points.tolist()) == sorted(expected.tolist())
    inside = box(mask)
    assert mask[inside].sum() == mask.sum()
    # No smaller box holds it.
    assert not mask.any() or all(mask[inside].any(axis=tuple({0, 1, 2} - {axis}))[[0, -1]].all() for axis in range(3))


def test_one_surface_serves_many_comparisons() -> None:
    reference = Surface(blobs(1), SPACINGS[1])
    for seed in range(2, 5):
        scores = surface_scores(Surface(blobs(seed), SPACINGS[1]), reference, tolerance=2)
        expected = surface_dice(blobs(seed), blobs(1), SPACINGS[1], tolerance=2), hausdorff95(blobs(seed), blobs(1), SPACINGS[1])
        assert scores == expected


@given(st.permutations(range(3)), st.tuples(*[st.sampled_from([1, -1])] * 3))
@settings(max_examples=20, deadline=None, derandomize=True)
def test_the_layout_does_not_matter(axes: list[int], steps: tuple[int, ...]) -> None:
    a, b, spacing = blobs(3), blobs(4), SPACINGS[1]
    turned = [mask.transpose(axes)[tuple(slice(None, None, step) for step in steps)] for mask in (a, b)]
    there = tuple(spacing[axis] for axis in axes)
    assert dice(*turned) == dice(a, b)
    assert surface_dice(*turned, there, tolerance=2) == surface_dice(a, b, spacing, tolerance=2)
    assert hausdorff95(*turned, there) == pytest.approx(hausdorff95(a, b, spacing))
    assert component_count(turned[0]) == component_count(a)


def test_a_tolerance_of_whole_steps_holds_them_whatever_rounds() -> None:
    a, b = np.zeros((2, 9, 3, 3), np.bool_)
    a[2] = b[4] = True
    for spacing in (1.0, np.nextafter(1.0, 2), np.nextafter(1.0, 0)):
        assert surface_dice(a, b, (spacing, 1, 1), tolerance=2) == 1


def test_bytes_count_as_booleans_do() -> None:
    a, b = blobs(5), blobs(6)
    bytes_ = [mask.astype(np.uint8) * 3 for mask in (a, b)]
    assert dice(*bytes_) == dice(a, b)
    assert hausdorff95(*bytes_, (1, 1, 1)) == hausdorff95(a, b, (1, 1, 1))
    assert component_count(bytes_[0]) == component_count(a)


def test_volume_and_parts() -> None:
    mask = np.zeros((4, 4, 4), np.bool_)
    mask[0, 0, 0] = mask[1, 1, 1] = mask[3, 3, 3] = True
    assert component_count(mask) == 2  # corners touch
    assert volume_ml(mask, 2.5) == 0.0075


def test_masks_of_two_shapes_are_refused() -> None:
    small, large = np.ones((2, 2, 2), np.bool_), np.ones((2, 2, 3), np.bool_)
    for score in (dice, lambda a, b: hausdorff95(a, b, (1, 1, 1)), lambda a, b: surface_dice(a, b, (1, 1, 1), tolerance=1)):
        with pytest.raises(ValueError, match=r"masks of \(2, 2, 2\) and \(2, 2, 3\) voxels; expected one shape"):
            score(small, large)
