"""Orientation agrees with nibabel; another storage order keeps every voxel's place."""

import itertools
from collections.abc import Callable

import nibabel
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_film.volume import GeometryError, Grid, Reorder, Volume, canonical, closest_axes, pieces, reordering, slicing

ORIENTATIONS = [(axes, flips) for axes in itertools.permutations(range(3)) for flips in itertools.product((False, True), repeat=3)]
REORDERS = [Reorder(axes, flips) for axes, flips in ORIENTATIONS]


def test_closest_axes_are_those_of_nibabel() -> None:
    random = np.random.default_rng(0)
    for _ in range(500):
        affine = np.eye(4)
        affine[:3, :3] = random.normal(size=(3, 3)) * random.uniform(0.3, 5, size=3)
        assert np.array_equal(closest_axes(affine), nibabel.io_orientation(affine))
        assert Grid((2, 3, 4), affine).axis_codes == "".join(nibabel.aff2axcodes(affine))


@pytest.mark.parametrize(("axes", "flips"), ORIENTATIONS)
def test_canonical_is_that_of_nibabel(axes: tuple[int, ...], flips: tuple[bool, ...], make_affine: Callable, make_volume: Callable) -> None:
    volume = make_volume((3, 4, 5, 2), make_affine(axes, flips, spacing=(1, 2, 3), angles=(10, -15, 20), origin=(-7, 3, 11)))
    expected = nibabel.as_closest_canonical(nibabel.Nifti1Image(volume.data, volume.affine))
    result = canonical(volume)
    assert np.array_equal(result.data, np.asanyarray(expected.dataobj))
    np.testing.assert_allclose(result.affine, expected.affine, atol=1e-9)
    assert np.shares_memory(result.data, volume.data)


@pytest.mark.parametrize("order", REORDERS)
def test_reordered_voxels_stay_in_their_place(order: Reorder, make_affine: Callable, make_world: Callable) -> None:
    grid = Grid((3, 4, 5), make_affine((1, 2, 0), (True, False, True), spacing=(1, 2, 3), angles=(30, 40, 50), origin=(1, 2, 3)))
    places = np.moveaxis(make_world(grid.affine, grid.shape), -1, 0)
    reordered = order.grid(grid)
    moved = np.moveaxis(order.apply(places), 0, -1)
    np.testing.assert_allclose(moved, make_world(reordered.affine, reordered.shape), atol=1e-9)
    assert np.array_equal(order.undo(order.apply(places)), places)
    assert np.array_equal(order.undo(order.apply(places[0][..., None], first=0), first=0), places[0][..., None])
    assert reordering(grid, reordered) == order


def test_reordering_knows_other_grids(make_affine: Callable) -> None:
    grid = Grid((4, 4, 5), make_affine(spacing=(1, 1, 2), angles=(5, 6, 7)))
    for axis in range(3):
        shifted = grid.affine.copy()
        shifted[:3, 3] += shifted[:3, axis]
        assert reordering(grid, Grid(grid.shape, shifted)) is None
    assert reordering(grid, Grid((4, 4, 6), grid.affine)) is None
    assert reordering(grid, Grid(grid.shape, grid.affine * [1.01, 1, 1, 1])) is None
    assert reordering(grid, Grid(grid.shape, make_affine(spacing=(1, 1, 2), angles=(50, 6, 7)))) is None
    assert reordering(grid, Grid(grid.shape, make_affine(spacing=(1, 1, 2), angles=(5, 6, 7), origin=(0, 5e-4, 0)))) is not None
    assert reordering(grid, Grid(grid.shape, make_affine(spacing=(1, 1, 2), angles=(5, 6, 7), origin=(0, 5e-4, 0))), tolerance=1e-4) is None


def test_two_orders_of_a_grid_tilted_by_45_degrees_are_one(make_affine: Callable) -> None:
    grid = Grid((4, 5, 6), make_affine(angles=(45, 0, 0)))
    for order in REORDERS:
        assert reordering(grid, order.grid(grid)) == order


@pytest.mark.parametrize(("slice_axis", "axes"), [("axial", (2, 1, 0)), ("coronal", (1, 2, 0)), ("sagittal", (0, 2, 1))])
def test_sliced_layout_is_slices_first_then_superior_anterior_right(
    slice_axis: str, axes: tuple[int, int, int], make_affine: Callable
) -> None:
    assert slicing(Grid((2, 3, 4), np.eye(4)), slice_axis) == Reorder(axes, (False, False, False))
    for stored, flips in ORIENTATIONS:
        grid = Grid((5, 6, 7), make_affine(stored, flips, angles=(8, 12, -9)))
        columns = slicing(grid, slice_axis).grid(grid).affine[:3, :3]
        assert [int(np.abs(column).argmax()) for column in columns.T] == list(axes)
        assert all(column[axis] > 0 for column, axis in zip(columns.T, axes, strict=True))


def test_spacing_is_the_length_of_a_step(make_affine: Callable) -> None:
    volume = Volume(np.zeros((2, 3, 4)), make_affine((2, 0, 1), spacing=(0.5, 2, 3), angles=(10, 20, 30)))
    np.testing.assert_allclose(volume.spacing, (0.5, 2, 3))


@pytest.mark.parametrize(
    ("affine", "complaint"),
    [
        (np.diag([1.0, 1, 0, 1]), "singular"),
        (np.array([[1.0, 1, 0, 0], [1, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]), "singular"),
        (np.diag([1.0, np.nan, 1, 1]), "finite"),
        (np.eye(3), "4 x 4"),
    ],
)
def test_an_affine_that_is_none_is_refused(affine: np.ndarray, complaint: str) -> None:
    with pytest.raises(GeometryError, match=complaint):
        Grid((2, 2, 2), affine)


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        (np.zeros((2, 2)), r"a\.nii has the shape \(2, 2\)"),
        (np.zeros((2, 0, 2)), r"shape \(2, 0, 2\)"),
        (np.zeros((2, 2, 2), dtype=np.complex64), "complex64"),
    ],
)
def test_data_that_is_no_volume_is_refused(data: np.ndarray, complaint: str) -> None:
    with pytest.raises(GeometryError, match=complaint):
        Volume(data, np.eye(4), "a.nii")


def test_a_tiny_voxel_is_not_singular() -> None:
    assert Grid((2, 2, 2), np.diag([1e-3, 1e-3, 1e-3, 1])).spacing == pytest.approx((1e-3,) * 3)


@given(shape=st.lists(st.integers(1, 7), min_size=1, max_size=4), voxels=st.integers(1, 60))
def test_pieces_are_views_of_every_voxel_in_the_order_of_a_file(shape: list[int], voxels: int) -> None:
    array = np.arange(np.prod(shape), dtype=np.int32).reshape(shape, order="F")
    cut = list(pieces(array, voxels))
    assert np.array_equal(np.concatenate([piece.ravel(order="F") for piece in cut]), np.arange(array.size))
    assert all(piece.size <= voxels and piece.flags.f_contiguous and np.shares_memory(piece, array) for piece in cut)
    assert [piece.shape for piece in pieces(np.ascontiguousarray(array).astype(np.uint8), voxels)] == [piece.shape for piece in cut]
