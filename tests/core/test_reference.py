"""A reference on another grid is found through the world, voxel by voxel, or refused in words."""

import itertools
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from napari_film.comparison.reference import labels_in, reference_mask
from napari_film.errors import InputError
from napari_film.volume import Grid, Volume, slicing

ORIENTATIONS = [(axes, flips) for axes in itertools.permutations(range(3)) for flips in itertools.product((False, True), repeat=3)]
PLACES = {
    "orientation": st.sampled_from(ORIENTATIONS),
    "spacing": st.tuples(*[st.floats(0.5, 4)] * 3),
    "angles": st.tuples(*[st.floats(-60, 60)] * 3),
    "shape": st.tuples(*[st.integers(1, 9)] * 3),
}


def centred(affine: np.ndarray, shape: tuple[int, ...], centre: tuple[float, ...]) -> Grid:
    """A grid whose middle is at ``centre``, RAS+ mm."""
    affine = affine.copy()
    affine[:3, 3] = centre - affine[:3, :3] @ ((np.array(shape) - 1) / 2)
    return Grid(tuple(shape), affine)


def looked_up(reference: Volume, grid: Grid, world: np.ndarray, label: int | None) -> tuple[np.ndarray, np.ndarray]:
    """What stands at each place in the world, and where that is halfway between two voxels."""
    places = np.linalg.solve(reference.affine, np.concatenate([world, np.ones((*grid.shape, 1))], axis=-1)[..., None])[..., :3, 0]
    nearest = np.rint(places).astype(int)
    held = ((nearest >= 0) & (nearest < reference.data.shape)).all(axis=-1)
    halfway = (np.abs(places - np.floor(places) - 0.5) < 1e-5).any(axis=-1)
    values = reference.data[tuple(np.clip(nearest, 0, np.array(reference.data.shape) - 1).reshape(-1, 3).T)].reshape(grid.shape)
    return held & (values > 0 if label is None else values == label), halfway


@settings(max_examples=150, deadline=None, derandomize=True)
@given(
    own=st.fixed_dictionaries(PLACES), wanted=st.fixed_dictionaries(PLACES), label=st.sampled_from([None, 1, 2]), seed=st.integers(0, 99)
)
def test_each_voxel_has_the_label_of_its_place(
    own: dict, wanted: dict, label: int | None, seed: int, make_affine: Callable, make_world: Callable
) -> None:
    rng = np.random.default_rng(seed)
    grids = []
    for place in (own, wanted):
        affine = make_affine(*place["orientation"], spacing=place["spacing"], angles=place["angles"])
        grids.append(centred(affine, place["shape"], rng.uniform(-2, 2, 3)))
    reference = Volume(rng.choice(np.array([0, 0, 1, 2], np.int16), size=grids[0].shape), grids[0].affine, "truth.nii")
    try:
        mask, notice = reference_mask(reference, grids[1], label=label)
    except InputError:
        foreground = reference.data > 0 if label is None else reference.data == label
        if not foreground.any():
            return
        there = np.linalg.solve(
            grids[1].affine[:3, :3], (make_world(grids[0].affine, grids[0].shape)[foreground] - grids[1].affine[:3, 3]).T
        )
        share = ((there > -0.5).all(axis=0) & (there.T < np.array(grids[1].shape) - 0.5).all(axis=1)).mean()
        assert share < 0.5
        return
    expected, halfway = looked_up(reference, grids[1], make_world(grids[1].affine, grids[1].shape), label)
    assert mask.shape == grids[1].shape
    assert np.array_equal(mask[~halfway], expected[~halfway])
    assert ("was resampled from" in notice) != grids[0].agrees(grids[1])


@settings(max_examples=100, deadline=None, derandomize=True)
@given(place=st.fixed_dictionaries(PLACES), slice_axis=st.sampled_from(["axial", "coronal", "sagittal"]))
def test_another_storage_order_is_no_other_grid(place: dict, slice_axis: str, make_affine: Callable, make_volume: Callable) -> None:
    affine = make_affine(*place["orientation"], spacing=place["spacing"], angles=place["angles"], origin=(12, -50, 7))
    noise = make_volume(place["shape"], affine)
    reference = Volume((noise.data % 3).astype(np.uint8), affine)
    assume(reference.data.any())
    order = slicing(reference.grid, slice_axis)
    mask, notice = reference_mask(reference, order.grid(reference.grid), label=None)
    assert notice == ""
    assert np.array_equal(mask, order.apply(reference.data > 0))


def test_a_label_above_zero_or_one_alone() -> None:
    data = np.zeros((3, 3, 3), np.int16)
    data[0], data[1], data[2, 0] = 1, 4, -7
    reference = Volume(data, np.eye(4), "truth.nii")
    assert labels_in(reference) == (1, 4)
    assert reference_mask(reference, reference.grid, label=None)[0].sum() == 18
    assert reference_mask(reference, reference.grid, label=4)[0].sum() == 9
    with pytest.raises(InputError, match=r"truth.nii has no voxel of label 3; choose one of 1, 4."):
        reference_mask(reference, reference.grid, label=3)


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.int8, np.int16, np.uint16, np.int64, np.uint64, np.float32, np.float64])
def test_labels_in_any_type(dtype: type) -> None:
    data = np.zeros((3, 4, 5), dtype)
    data[1], data[2] = 1, np.array(120).astype(dtype)
    assert labels_in(Volume(data, np.eye(4))) == ((1,) if dtype is bool else (1, 120))


@pytest.mark.parametrize(("dtype", "values"), [(np.int16, (-32768, 32767)), (np.int32, (-5, 2**31 - 1)), (np.uint64, (3, 2**64 - 1))])
def test_labels_far_apart(dtype: type, values: tuple[int, ...]) -> None:
    data = np.array([[values]], dtype)
    assert labels_in(Volume(data, np.eye(4))) == tuple(value for value in values if value > 0)


def test_a_fourth_axis_of_one_frame_is_none() -> None:
    data = np.ones((3, 3, 3, 1), np.uint8)
    assert labels_in(Volume(data, np.eye(4))) == (1,)
    assert reference_mask(Volume(data, np.eye(4)), Grid((3, 3, 3), np.eye(4)), label=1)[0].all()


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (np.zeros((3, 3, 3)), r"truth.nii has no voxel above zero; choose a mask that has some"),
        (np.full((3, 3, 3), 0.37), r"truth.nii holds 0.37 where a mask has whole numbers"),
        (np.full((3, 3, 3), np.nan), r"truth.nii holds nan where a mask has whole numbers"),
        (np.arange(2000).reshape(20, 10, 10), r"truth.nii holds more than 1000 different values, as images do"),
        (np.ones((3, 3, 3, 2)), r"truth.nii has the shape \(3, 3, 3, 2\); a mask has three axes"),
    ],
)
def test_what_is_no_mask_is_refused(data: np.ndarray, message: str) -> None:
    with pytest.raises(InputError, match=message):
        reference_mask(Volume(data, np.eye(4), "truth.nii"), Grid((3, 3, 3), np.eye(4)), label=None)


def moved(shape: tuple[int, ...], spacing: tuple[float, ...], x: float) -> Grid:
    affine = np.diag([*spacing, 1.0])
    affine[0, 3] = x
    return Grid(shape, affine)


def test_a_reference_elsewhere_is_refused_with_both_grids() -> None:
    reference = Volume(np.ones((10, 4, 4), np.uint8), np.eye(4), "truth.nii")
    sizes = r"it has 10 x 4 x 4 at 1 x 1 x 1 mm, the image 20 x 4 x 2 at 0.5 x 1 x 2.5 mm"
    with pytest.raises(InputError, match=f"No foreground of truth.nii lies inside the image: {sizes}"):
        reference_mask(reference, moved((20, 4, 2), (0.5, 1, 2.5), 50), label=None)
    with pytest.raises(InputError, match=f"Only 40 % of the foreground of truth.nii lies inside the image: {sizes}"):
        reference_mask(reference, moved((20, 4, 2), (0.5, 1, 2.5), 5.8), label=None)


def test_a_person_is_told_what_resampling_did() -> None:
    reference = Volume(np.ones((10, 4, 4), np.uint8), np.eye(4), "truth.nii")
    mask, notice = reference_mask(reference, moved((20, 4, 2), (0.5, 1, 2), 3.2), label=1)
    assert notice == (
        "truth.nii was resampled from 10 x 4 x 4 at 1 x 1 x 1 mm to 20 x 4 x 2 at 0.5 x 1 x 2 mm (nearest voxel). "
        "30.0 % of its foreground lies beyond the image. "
        "It covers 65 % of the image; the rest counts as background."
    )
    assert mask.any(axis=(1, 2)).tolist() == [True] * 13 + [False] * 7
