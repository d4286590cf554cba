"""What comes back lies where it was taken from: in every orientation, tilted, anisotropic, with odd sizes.

Each property has a checking function, and each of those is shown to refuse a result that is off by one voxel.
"""

import itertools
from collections.abc import Callable, Sequence

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from napari_film.preprocessing import Normalisation, Prepared, Preprocessing, prepare, restore
from napari_film.volume import SLICED_AXES, Grid, Reorder, Volume, anatomical, described, slicing

ORIENTATIONS = [(axes, flips) for axes in itertools.permutations(range(3)) for flips in itertools.product((False, True), repeat=3)]
ANATOMICAL = ["axial", "coronal", "sagittal"]
SLICE_AXES = [*ANATOMICAL, "acquired"]
TILT = {"angles": (12.0, -17.0, 9.0), "origin": (-31.0, 12.5, 88.0)}
UNIT = Normalisation(method="window", window=(0, 1))
GRADIENT = np.array([0.7, -1.1, 0.4])  # no two axes alike, so that no permutation or flip of the field is the field


def preprocessing(slice_axis: str, spacing: Sequence[float | None] = (None, None, None), channels: int = 1) -> Preprocessing:
    return Preprocessing(slice_axis=slice_axis, spacing=tuple(spacing), normalisation=(UNIT,) * channels)


def network_stack(prepared: Prepared) -> np.ndarray:
    """Give all channels of all network slices, (C, n, h + pad, w + pad): a network that answers with what it sees."""
    return np.stack([prepared.image(k) for k in range(prepared.network_shape[0])], axis=1)


def there_and_back(volume: Volume, settings_: Preprocessing) -> np.ndarray:
    prepared = prepare([volume], settings_)
    return restore(prepared, network_stack(prepared))[0]


def linear_volume(make_world: Callable, affine: np.ndarray, shape: tuple[int, ...]) -> Volume:
    """Make a volume with a field that is linear in RAS+ mm, scaled into 0.3 to 0.7 since probabilities end at 0 and 1."""
    field = make_world(affine, shape) @ GRADIENT
    low, high = field.min(), field.max()
    return Volume((0.3 + 0.4 * (field - low) / max(high - low, 1e-9)).astype(np.float32), affine)


def blob_volume(make_world: Callable, affine: np.ndarray, shape: tuple[int, ...], radius: float, offset: np.ndarray) -> Volume:
    """Make a volume with a Gaussian of ``radius`` mm, off the middle by ``offset`` voxels."""
    centre = affine[:3, :3] @ ((np.array(shape) - 1) / 2 + offset) + affine[:3, 3]
    distance = np.linalg.norm(make_world(affine, shape) - centre, axis=-1)
    return Volume(np.exp(-0.5 * (distance / radius) ** 2).astype(np.float32), affine)


def check_exact(result: np.ndarray, source: np.ndarray) -> None:
    assert np.array_equal(result, source)


def check_linear(result: np.ndarray, source: np.ndarray) -> None:
    np.testing.assert_allclose(result, source, rtol=0, atol=1e-4)


def check_centroid(result: np.ndarray, source: np.ndarray) -> None:
    centroids = [[(axis * array).sum() / array.sum() for axis in np.indices(array.shape)] for array in (result, source)]
    np.testing.assert_allclose(centroids[0], centroids[1], rtol=0, atol=0.1)


@pytest.mark.parametrize("slice_axis", SLICE_AXES)
@pytest.mark.parametrize(("axes", "flips"), ORIENTATIONS)
def test_identity_is_exact_to_the_voxel(axes: tuple, flips: tuple, slice_axis: str, make_affine: Callable, make_volume: Callable) -> None:
    noise = make_volume((5, 7, 9), make_affine(axes, flips, spacing=(0.8, 1.1, 3.0), **TILT))
    volume = Volume((noise.data / 1000).astype(np.float32), noise.affine)
    result = there_and_back(volume, preprocessing(slice_axis))
    check_exact(result, volume.data)
    own = [0.0] * 3
    for named, axis in zip(SLICED_AXES[slice_axis], slicing(volume.grid, slice_axis).axes, strict=True):
        own[named] = volume.spacing[axis] * 1.0005  # as far from the image's own as headers round
    check_exact(there_and_back(volume, preprocessing(slice_axis, own)), volume.data)


@pytest.mark.parametrize("slice_axis", SLICE_AXES)
@pytest.mark.parametrize(("axes", "flips"), ORIENTATIONS)
def test_sliced_layout_and_source_order_are_inverse(
    axes: tuple, flips: tuple, slice_axis: str, make_affine: Callable, make_volume: Callable
) -> None:
    volume = make_volume((5, 7, 9), make_affine(axes, flips, **TILT))
    prepared = prepare([volume], preprocessing(slice_axis))
    stack = np.stack([volume.data, volume.data + 1])
    assert prepared.from_source(stack).shape == (2, *prepared.shape)
    assert np.array_equal(prepared.to_source(prepared.from_source(stack)), stack)


@settings(max_examples=150, deadline=None)
@given(
    orientation=st.sampled_from(ORIENTATIONS),
    shape=st.tuples(*[st.integers(1, 9)] * 3),
    thick=st.integers(0, 2),
    spacing=st.tuples(*[st.floats(0.5, 2)] * 3),
    angles=st.tuples(*[st.floats(-90, 90)] * 3),
)
def test_acquired_slices_are_found_and_come_back_whatever_the_obliquity(
    orientation: tuple, shape: tuple, thick: int, spacing: tuple, angles: tuple, make_affine: Callable, make_volume: Callable
) -> None:
    steps = tuple(2 * max(spacing) if axis == thick else step for axis, step in enumerate(spacing))
    noise = make_volume(shape, make_affine(*orientation, spacing=steps, angles=angles, origin=(3, -5, 7)))
    volume = Volume((noise.data / 1000).astype(np.float32), noise.affine)
    across = max((axis for axis in range(3) if shape[axis] == 1), default=thick)
    rows, columns = (axis for axis in (2, 1, 0) if axis != across)
    prepared = prepare([volume], preprocessing("acquired"))
    assert slicing(volume.grid, "acquired") == Reorder((across, rows, columns), (False, False, False))
    assert prepared.shape == (shape[across], shape[rows], shape[columns])
    seen = network_stack(prepared)[0, :, : shape[rows], : shape[columns]]
    assert np.array_equal(seen, volume.data.transpose(across, rows, columns))  # the file's own order
    assert np.array_equal(restore(prepared, network_stack(prepared))[0], volume.data)
    # What is asked for along columns, rows and slices is given along these.
    coarse = prepare([volume], preprocessing("acquired", (steps[columns] / 2, steps[rows] / 3, None)))
    sides = [1 if shape[axis] == 1 else factor * shape[axis] for axis, factor in ((rows, 3), (columns, 2))]
    assert coarse.network_shape == (shape[across], *sides)
    assert described(volume.grid, "acquired").spacing == pytest.approx((steps[columns], steps[rows], steps[across]))


@pytest.mark.parametrize(
    ("spacing", "across"), [((3, 1, 1), 0), ((1, 3, 1), 1), ((1, 1, 3), 2), ((1, 1.05, 1), 2), ((2, 2, 1), 2), ((1.2, 1, 1), 0)]
)
def test_without_thick_slices_the_third_axis_of_the_file_is_the_slices(spacing: tuple, across: int, make_affine: Callable) -> None:
    grid = Grid((4, 5, 6), make_affine((1, 2, 0), (True, False, True), spacing=spacing, angles=(33, 12, -50)))
    assert slicing(grid, "acquired").axes[0] == across
    assert slicing(Grid((4, 1, 6), grid.affine), "acquired").axes[0] == 1


@pytest.mark.parametrize(("axes", "flips"), ORIENTATIONS)
def test_the_anatomical_axis_closest_to_acquired_slices(axes: tuple, flips: tuple, make_affine: Callable) -> None:
    grid = Grid((4, 5, 6), make_affine(axes, flips, spacing=(1.2, 1.1, 8), angles=(14, -17, 9)))
    assert anatomical(grid, "acquired") == ("sagittal", "coronal", "axial")[axes[2]]
    for slice_axis in ANATOMICAL:
        assert anatomical(grid, slice_axis) == slice_axis


@pytest.mark.parametrize("slice_axis", ANATOMICAL)
@pytest.mark.parametrize(("axes", "flips"), ORIENTATIONS)
def test_the_network_sees_the_body_the_same_way_round(
    axes: tuple, flips: tuple, slice_axis: str, make_affine: Callable, make_world: Callable
) -> None:
    affine = make_affine(axes, flips, spacing=(2.0, 1.0, 1.5))
    places = make_world(affine, (4, 5, 6))
    for world in range(3):
        stack = network_stack(
            prepare(
                [Volume(places[..., world], affine)],
                Preprocessing(slice_axis=slice_axis, normalisation=(Normalisation(method="window", window=(-100, 100)),), divisor=1),
            )
        )[0]
        slopes = [np.diff(stack, axis=axis) for axis in range(3)]
        for axis, along in enumerate(SLICED_AXES[slice_axis]):
            assert (slopes[axis] > 1e-4).all() if along == world else (np.abs(slopes[axis]) < 1e-6).all()


@pytest.mark.parametrize("target", [(0.9, 0.9, 0.9), (2.5, 2.0, 4.0), (0.7, 3.1, 1.9), (None, 1.7, None)])
@pytest.mark.parametrize(("axes", "flips"), ORIENTATIONS)
def test_linear_fields_survive_resampling(axes: tuple, flips: tuple, target: tuple, make_affine: Callable, make_world: Callable) -> None:
    volume = linear_volume(make_world, make_affine(axes, flips, spacing=(0.8, 1.3, 3.0), **TILT), (13, 9, 7))
    for slice_axis in SLICE_AXES:
        check_linear(there_and_back(volume, preprocessing(slice_axis, target)), volume.data)


@settings(max_examples=60, deadline=None)
@given(
    orientation=st.sampled_from(ORIENTATIONS),
    slice_axis=st.sampled_from(SLICE_AXES),
    shape=st.tuples(*[st.integers(1, 14)] * 3),
    spacing=st.tuples(*[st.floats(0.4, 5)] * 3),
    target=st.tuples(*[st.one_of(st.none(), st.floats(0.4, 5))] * 3),
    angles=st.tuples(*[st.floats(-60, 60)] * 3),
)
def test_any_linear_field_survives_any_resampling(
    orientation: tuple,
    slice_axis: str,
    shape: tuple,
    spacing: tuple,
    target: tuple,
    angles: tuple,
    make_affine: Callable,
    make_world: Callable,
) -> None:
    volume = linear_volume(make_world, make_affine(*orientation, spacing=spacing, angles=angles), shape)
    prepared = prepare([volume], preprocessing(slice_axis, target))
    # One sample cannot hold a slope.
    assume(all(new > 1 or old == 1 for old, new in zip(prepared.shape, prepared.network_shape, strict=True)))
    check_linear(restore(prepared, network_stack(prepared))[0], volume.data)


@pytest.mark.parametrize("slice_axis", SLICE_AXES)
def test_the_network_grid_lies_where_the_source_lies(slice_axis: str, make_affine: Callable, make_world: Callable) -> None:
    volume = linear_volume(make_world, make_affine((1, 2, 0), (True, False, True), spacing=(0.8, 1.3, 3.0), **TILT), (13, 9, 7))
    prepared = prepare([volume], preprocessing(slice_axis, (2.0, 1.0, 0.9)))
    sliced = slicing(volume.grid, slice_axis).grid(volume.grid)
    # Both grids have one centre, and the network's steps have the wanted length in the source's directions.
    middle = sliced.affine @ [*((np.array(sliced.shape) - 1) / 2), 1]
    steps = sliced.affine[:3, :3] / sliced.spacing * [(2.0, 1.0, 0.9)[world] for world in SLICED_AXES[slice_axis]]
    network = np.eye(4)
    network[:3, :3] = steps
    network[:3, 3] = middle[:3] - steps @ ((np.array(prepared.network_shape) - 1) / 2)
    np.testing.assert_allclose(prepared.network_grid.affine, network, atol=1e-9)
    field = make_world(volume.affine, volume.grid.shape) @ GRADIENT
    expected = 0.3 + 0.4 * (make_world(network, prepared.network_shape) @ GRADIENT - field.min()) / (field.max() - field.min())
    _, h, w = prepared.network_shape
    np.testing.assert_allclose(network_stack(prepared)[0, :, :h, :w], expected, atol=1e-4)


@pytest.mark.parametrize("target", [(1.0, 1.0, 1.0), (2.4, 2.0, 3.0), (0.7, 1.9, 4.0)])
@pytest.mark.parametrize(("axes", "flips"), ORIENTATIONS)
def test_centroids_survive_resampling(axes: tuple, flips: tuple, target: tuple, make_affine: Callable, make_world: Callable) -> None:
    affine = make_affine(axes, flips, spacing=(0.9, 1.2, 2.5), **TILT)
    volume = blob_volume(make_world, affine, (37, 29, 15), 3.5, np.array([2.3, -1.4, 0.6]))
    check_centroid(there_and_back(volume, preprocessing("axial", target)), volume.data)


@pytest.mark.parametrize("shift", [1, -1])
@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("check", [check_exact, check_linear, check_centroid])
def test_one_voxel_off_is_refused(check: Callable, axis: int, shift: int, make_affine: Callable, make_world: Callable) -> None:
    affine = make_affine((2, 0, 1), (True, True, False), spacing=(0.9, 1.2, 2.5), **TILT)
    if check is check_centroid:
        volume = blob_volume(make_world, affine, (37, 29, 15), 3.5, np.array([2.3, -1.4, 0.6]))
    else:
        volume = linear_volume(make_world, affine, (37, 29, 15))
    target = (None, None, None) if check is check_exact else (1.5, 1.5, 1.5)
    result = there_and_back(volume, preprocessing("coronal", target))
    check(result, volume.data)
    with pytest.raises(AssertionError, match=r"."):
        check(np.roll(result, shift, axis=axis), volume.data)


@pytest.mark.parametrize("slice_axis", SLICE_AXES)
@pytest.mark.parametrize(("axes", "flips"), ORIENTATIONS)
def test_channels_of_other_grids_meet_in_the_world(
    axes: tuple, flips: tuple, slice_axis: str, make_affine: Callable, make_world: Callable
) -> None:
    reference = make_affine((1, 0, 2), (False, True, False), spacing=(1.0, 1.2, 3.0), angles=(4, 8, -6), origin=(10, -20, 30))
    shape, other_shape = (15, 13, 7), (17, 11, 9)
    other = make_affine(axes, flips, spacing=(1.3, 1.1, 1.6), angles=(-9, 5, 14))
    # Middle upon middle, some voxels off.
    middle = reference @ [*((np.array(shape) - 1) / 2), 1]
    other[:3, 3] = middle[:3] - other[:3, :3] @ ((np.array(other_shape) - 1) / 2) + [2.0, -1.5, 1.0]
    scale = 0.005
    volumes = [
        Volume((0.5 + scale * ((make_world(affine, size) - middle[:3]) @ GRADIENT)).astype(np.float32), affine)
        for affine, size in ((reference, shape), (other, other_shape))
    ]
    prepared = prepare(volumes, preprocessing(slice_axis, channels=2))
    first, second = network_stack(prepared)[:, :, : prepared.network_shape[1], : prepared.network_shape[2]]
    places = np.moveaxis(prepared.from_source(np.moveaxis(make_world(reference, shape), -1, 0)), 0, -1)
    voxels = (places - other[:3, 3]) @ np.linalg.inv(other[:3, :3]).T
    held = ((voxels > -0.5) & (voxels < np.array(other_shape) - 0.5)).all(axis=-1)
    assert 0.2 < held.mean() < 0.95
    assert prepared.coverage == (1.0, pytest.approx(held.mean(), abs=1e-9))
    np.testing.assert_allclose(first[held], second[held], atol=1e-4)
    # One filling everywhere else, and it is the mean of what is covered.
    assert np.ptp(second[~held]) == 0
    assert second[~held][0] == pytest.approx(second[held].mean(), abs=1e-3)
    # By array index they would not have met.
    assert np.abs(first - second)[~held].max() > 0.01


@pytest.mark.parametrize(("axes", "flips"), ORIENTATIONS)
def test_channels_of_other_grids_meet_after_resampling(axes: tuple, flips: tuple, make_affine: Callable, make_world: Callable) -> None:
    reference = make_affine((1, 0, 2), (False, True, False), spacing=(1.0, 1.2, 3.0), angles=(4, 8, -6))
    other = make_affine(axes, flips, spacing=(2.3, 2.1, 2.6), angles=(-9, 5, 14))
    shape, other_shape = (15, 13, 7), (25, 26, 27)
    other[:3, 3] = (reference @ [7, 6, 3, 1])[:3] - other[:3, :3] @ [12, 12.5, 13]
    volumes = [
        Volume((0.5 + 0.005 * (make_world(affine, size) @ GRADIENT)).astype(np.float32), affine)
        for affine, size in ((reference, shape), (other, other_shape))
    ]
    prepared = prepare(volumes, preprocessing("axial", (0.8, 1.6, 2.0), channels=2))
    assert prepared.coverage == (1.0, 1.0)
    first, second = network_stack(prepared)
    np.testing.assert_allclose(first, second, atol=1e-4)
    np.testing.assert_allclose(restore(prepared, second[None])[0], volumes[0].data, atol=1e-4)


@pytest.mark.parametrize(("axes", "flips"), ORIENTATIONS)
def test_one_grid_in_two_storage_orders_is_taken_voxel_by_voxel(
    axes: tuple, flips: tuple, make_affine: Callable, make_volume: Callable
) -> None:
    volume = make_volume((5, 7, 9), make_affine((2, 0, 1), (True, False, False), spacing=(0.8, 1.1, 3.0), **TILT))
    order = Reorder(axes, flips)
    again = Volume(order.apply(volume.data), order.grid(volume.grid).affine)
    raw = Normalisation(method="window", window=(0, 1000))
    prepared = prepare([volume, again], Preprocessing(slice_axis="sagittal", normalisation=(raw, raw)))
    assert prepared.coverage == (1.0, 1.0)
    first, second = network_stack(prepared)
    assert np.array_equal(first, second)


@pytest.mark.parametrize(("shift", "taken"), [(5e-5, True), (0.01, False), (0.4, False)])
def test_a_channel_a_little_off_is_interpolated(shift: float, taken: bool, make_affine: Callable, make_world: Callable) -> None:
    affines = [make_affine((1, 0, 2), spacing=(1.0, 1.2, 3.0), angles=(4, 8, -6), origin=(x, 0, 0)) for x in (0.0, shift)]
    volumes = [Volume((0.5 + 0.005 * (make_world(affine, (9, 8, 7)) @ GRADIENT)).astype(np.float32), affine) for affine in affines]
    prepared = prepare(volumes, preprocessing("axial", channels=2))
    first, second = network_stack(prepared)
    raw = prepared.from_source(volumes[1].data)
    assert np.array_equal(second[:, : raw.shape[1], : raw.shape[2]], raw) == taken
    np.testing.assert_allclose(first[1:-1, 1:7, 1:7], second[1:-1, 1:7, 1:7], atol=1e-5)
