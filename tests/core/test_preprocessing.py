"""Normalisation, padding, frames and channels, masks for training, and what is refused."""

import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from pydantic import ValidationError

from napari_film import channels
from napari_film.normalisation import slabs, statistics
from napari_film.preprocessing import GeometryError, Normalisation, Preprocessing, prepare, restore
from napari_film.resampling import interpolate
from napari_film.volume import Reorder, Volume

ZSCORE = Normalisation()
RAW = Normalisation(method="window", window=(0, 1000))


def axial(*normalisation: Normalisation, **options: Any) -> Preprocessing:
    return Preprocessing(slice_axis="axial", normalisation=normalisation or (RAW,), **options)


def stack(prepared: Any) -> np.ndarray:
    return np.stack([prepared.image(k) for k in range(prepared.network_shape[0])])


def test_zscore_of_a_slice_is_over_its_pixels_before_padding(make_volume: Callable) -> None:
    volume = make_volume((5, 7, 3))
    image = prepare([volume], axial(ZSCORE)).image(1)
    pixels = volume.data[:, :, 1].T.astype(np.float64)
    assert image.shape == (1, 16, 16)
    assert image.dtype == np.float32
    np.testing.assert_allclose(image[0, :7, :5], (pixels - pixels.mean()) / pixels.std(), atol=1e-5)


@pytest.mark.parametrize("dtype", [np.int16, np.float32, np.uint8, ">i4"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_zscore_of_the_volume_is_over_its_own_voxels(dtype: Any, order: str, make_volume: Callable) -> None:
    noise = make_volume((5, 7, 3)).data % 200
    volume = Volume(np.asarray(noise, dtype=dtype, order=order), np.diag([1.0, 1, 3, 1]))
    voxels = noise.astype(np.float64)
    result = stack(prepare([volume], axial(Normalisation(scope="volume"), divisor=1)))[:, 0]
    np.testing.assert_allclose(result, ((voxels - voxels.mean()) / voxels.std()).T, atol=1e-5)
    # Resampled or not, the statistics are of the source.
    fine = stack(prepare([volume], axial(Normalisation(scope="volume"), spacing=(0.5, 0.5, 0.7))))
    raw = stack(prepare([volume], axial(Normalisation(method="window", window=(-1e4, 1e4)), spacing=(0.5, 0.5, 0.7)))) * 2e4 - 1e4
    np.testing.assert_allclose(fine, (raw - voxels.mean()) / voxels.std(), atol=1e-3)


def test_statistics_hold_far_from_zero(make_volume: Callable) -> None:
    values = make_volume((9, 8, 7)).data / 1000
    mean, deviation = statistics(values + 1e8)
    assert mean == pytest.approx(1e8 + values.mean(), rel=1e-12)
    assert deviation == pytest.approx(values.std(), rel=1e-6)


@settings(max_examples=60, deadline=None)
@given(
    image=arrays(np.float32, st.tuples(st.integers(1, 20), st.integers(1, 20)), elements=st.floats(-1e4, 1e4, width=32)),
    offset=st.sampled_from([0, 1e3, 1e6]),
)
def test_zscore_is_that_of_the_textbook(image: np.ndarray, offset: float) -> None:
    image = image + np.float32(offset)
    before = image.copy()
    mean, deviation = image.mean(dtype=np.float64), image.std(dtype=np.float64)
    least = 1e-6 * max(abs(mean), np.abs(image).max())
    assume(not 0.999 * least < deviation < 1.001 * least)  # sums in another order may fall on the other side
    flat = deviation <= least
    near = 1e-6 + (0 if flat else 2 * np.spacing(np.float32(abs(mean))) / deviation)  # or round the mean the other way
    expected = np.zeros_like(image) if flat else (image - np.float32(mean)) / np.float32(deviation)
    put = np.full((image.shape[0] + 2, image.shape[1] + 3), 9, np.float32)
    for order in ("C", "F"):
        np.testing.assert_allclose(ZSCORE.apply(np.asarray(image, order=order)), expected, rtol=1e-6, atol=near)
        ZSCORE.apply(np.asarray(image, order=order), out=put[1:-1, 1:-2])
        np.testing.assert_allclose(put[1:-1, 1:-2], expected, rtol=1e-6, atol=near)
    assert put.sum() == pytest.approx(put[1:-1, 1:-2].sum() + 9 * (put.size - image.size), abs=1e-2)
    assert np.array_equal(image, before)


def test_slabs_of_a_2d_image_are_its_lines() -> None:
    assert len(slabs(np.zeros((5, 7, 1), order="F"))) == 7
    assert len(slabs(np.zeros((5, 7, 1)))) == 5
    assert len(slabs(np.zeros((5, 7, 3), order="F"))) == 3


def test_nothing_is_copied_on_the_way_back_where_nothing_is_resampled(make_volume: Callable) -> None:
    prepared = prepare([make_volume((9, 7, 5))], axial())
    probabilities = np.random.default_rng(0).random((2, *prepared.padded_shape), dtype=np.float32)
    assert np.shares_memory(prepared.restore_slice(3, {3: probabilities}), probabilities)


def test_volumes_are_left_as_they_are(make_volume: Callable) -> None:
    volume = make_volume((9, 7, 5), dtype=np.float32)
    before = volume.data.copy()
    for normalisation in (ZSCORE, RAW, Normalisation(scope="volume")):
        for spacing in ((None, None, None), (None, None, 0.7), (0.6, None, None)):
            prepared = prepare([volume], axial(normalisation, spacing=spacing))
            passed = np.random.default_rng(0).random((1, prepared.network_shape[0], *prepared.padded_shape), dtype=np.float32)
            kept = passed.copy()
            stack(prepared)
            restore(prepared, passed)
            assert np.array_equal(passed, kept)
    assert np.array_equal(volume.data, before)


@pytest.mark.parametrize("scope", ["slice", "volume"])
@pytest.mark.parametrize("value", [0, 7, 1000.1])
def test_what_is_constant_becomes_zeros(scope: str, value: float) -> None:
    volume = Volume(np.full((5, 7, 4), value, np.float32), np.eye(4))
    assert not stack(prepare([volume], axial(Normalisation(scope=scope), spacing=(0.7, 0.9, 1.3)))).any()


def test_a_window_is_clipped() -> None:
    volume = Volume(np.array([-2000, -100, 0, 50, 100, 900], np.int16).reshape(6, 1, 1), np.eye(4))
    image = prepare([volume], axial(Normalisation(method="window", window=(-100, 100)), divisor=1)).image(0)
    np.testing.assert_allclose(image[0, 0], [0, 0, 0.5, 0.75, 1, 1])


def test_slices_are_padded_with_their_edges_at_the_far_ends(make_volume: Callable) -> None:
    volume = make_volume((5, 7, 2))
    image = prepare([volume], axial(divisor=8)).image(0)
    expected = (volume.data[:, :, 0].T / 1000).astype(np.float32)
    assert image.shape == (1, 8, 8)
    np.testing.assert_allclose(image[0, :7, :5], expected, atol=1e-6)
    assert np.array_equal(image[0, 7], image[0, 6])
    assert np.array_equal(image[0, :, 5:], np.repeat(image[0, :, 4:5], 3, axis=1))
    assert prepare([make_volume((8, 16, 2))], axial(divisor=8)).padded_shape == (16, 8)


def test_a_tile_cuts_nothing_away(make_volume: Callable) -> None:
    volume = make_volume((50, 70, 2))
    prepared = prepare([volume], axial(divisor=8, tile=16))
    assert prepared.image(0).shape == (1, 72, 56)
    np.testing.assert_allclose(restore(prepared, stack(prepared).swapaxes(0, 1))[0], volume.data / 1000, atol=1e-6)


def test_the_frame_is_taken_from_4d_files_alone(make_volume: Callable) -> None:
    four, three = make_volume((5, 6, 4, 3)), make_volume((5, 6, 4), seed=1)
    image = prepare([four, three], axial(RAW, RAW, frame=2, divisor=1)).image(3)
    np.testing.assert_allclose(image[0], four.data[:, :, 3, 2].T / 1000, atol=1e-6)
    np.testing.assert_allclose(image[1], three.data[:, :, 3].T / 1000, atol=1e-6)


def test_a_fourth_axis_of_channels_gives_channels(make_volume: Callable) -> None:
    four, three = make_volume((5, 6, 4, 3)), make_volume((5, 6, 4), seed=1)
    image = prepare([four, three], axial(*[RAW] * 4, fourth_axis="channels", divisor=1)).image(3)
    np.testing.assert_allclose(image[:3], four.data[:, :, 3].T / 1000, atol=1e-6)
    np.testing.assert_allclose(image[3], three.data[:, :, 3].T / 1000, atol=1e-6)


def test_a_2d_image_is_one_slice(make_volume: Callable) -> None:
    volume = make_volume((9, 11, 1), np.diag([1.0, 1, 1, 1]))
    prepared = prepare([volume], axial(spacing=(0.5, 0.5, 0.3)))
    assert prepared.network_shape == (1, 22, 18)
    assert restore(prepared, stack(prepared).swapaxes(0, 1)).shape == (1, 9, 11, 1)


@pytest.mark.parametrize("spacing", [(None, None, None), (1.5, 0.8, 2.2), (None, None, 0.7)])
@pytest.mark.parametrize("slice_axis", ["axial", "coronal", "sagittal", "acquired"])
def test_slice_by_slice_is_the_whole(slice_axis: str, spacing: tuple, make_affine: Callable, make_volume: Callable) -> None:
    volume = make_volume((9, 7, 5), make_affine((2, 0, 1), (True, False, True), spacing=(1, 1.2, 1.5), angles=(5, 9, 2)))
    prepared = prepare([volume], Preprocessing(slice_axis=slice_axis, spacing=spacing, normalisation=(RAW,)))
    probabilities = np.random.default_rng(0).random((2, prepared.network_shape[0], *prepared.padded_shape), dtype=np.float32)
    whole = prepared.from_source(restore(prepared, probabilities))
    for i in range(prepared.shape[0]):
        needed = {k: probabilities[:, k] for k in prepared.network_slices(i)}
        assert 1 <= len(needed) <= 6
        assert np.array_equal(prepared.restore_slice(i, needed), whole[:, i])
    assert whole.min() >= 0
    assert whole.max() <= 1


def test_padding_never_comes_back(make_volume: Callable) -> None:
    prepared = prepare([make_volume((9, 7, 5))], axial(spacing=(0.8, 1.4, 0.9)))
    probabilities = np.full((1, prepared.network_shape[0], *prepared.padded_shape), np.nan, np.float32)
    probabilities[:, :, : prepared.network_shape[1], : prepared.network_shape[2]] = 0.5
    np.testing.assert_allclose(restore(prepared, probabilities), 0.5, atol=1e-6)


class Watched(np.ndarray):
    """An array that notes which of its slices are taken."""

    taken: list[int]

    def __array_finalize__(self, parent: Any) -> None:
        self.taken = getattr(parent, "taken", [])

    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, int):
            self.taken.append(key)
        return super().__getitem__(key)


@pytest.mark.parametrize(("target", "read"), [(None, [4]), (1.0, [1, 2]), (6.0, [4, 5, 6, 7, 8, 9])])
def test_only_the_source_slices_of_a_slice_are_read(target: float | None, read: list[int]) -> None:
    data = np.zeros((4, 5, 20), np.int16).view(Watched)
    prepared = prepare([Volume(data, np.diag([1.0, 1, 2, 1]))], axial(spacing=(None, None, target)))
    assert data.taken == []
    prepared.image(4 if target is None else 3 if target == 1.0 else 2)
    assert data.taken == read


@pytest.fixture
def apart(make_affine: Callable, make_volume: Callable) -> Callable[[], Any]:
    """Give a maker of prepared volumes of two grids, resampled along the slices."""
    near, far = make_affine(spacing=(1.0, 1.2, 2.0)), make_affine(spacing=(1.1, 1.2, 1.9), angles=(4, -3, 5))
    volumes = [make_volume((19, 17, 30), near), make_volume((18, 18, 33), far, seed=1)]
    return lambda: prepare(volumes, axial(ZSCORE, Normalisation(scope="volume"), spacing=(1.5, 0.9, 3.1)))


def test_slices_that_neighbours_share_are_interpolated_once(apart: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = 0

    def counted(*arguments: Any) -> np.ndarray:
        nonlocal asked
        asked += 1
        return interpolate(*arguments)

    prepared = apart()
    expected = [np.stack([apart().image(k) for k in range(prepared.network_shape[0])])]
    monkeypatch.setattr(channels, "interpolate", counted)
    expected.append(stack(prepared))
    assert np.array_equal(*expected)
    assert asked == prepared.shape[0] + 1  # and once for the filling
    with pytest.raises(ValueError, match="read-only"):
        prepared.channels[1].slice(3)[0, 0] = 1


def test_two_threads_see_the_same_slices(apart: Callable) -> None:
    prepared = apart()
    expected = stack(apart())
    orders = [np.random.default_rng(seed).integers(0, len(expected), 60) for seed in range(2)]
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        with ThreadPoolExecutor(2) as pool:
            found = list(pool.map(lambda order: [prepared.image(int(k)) for k in order], orders))
    finally:
        sys.setswitchinterval(interval)
    for order, images in zip(orders, found, strict=True):
        assert np.array_equal(np.stack(images), expected[order])


def test_a_mask_is_exact_where_nothing_is_resampled(make_affine: Callable) -> None:
    affine = make_affine((1, 2, 0), (True, False, True), spacing=(0.8, 1.1, 3), angles=(4, 5, 6))
    mask = np.random.default_rng(0).integers(0, 9, size=(5, 6, 7))
    image = Volume(np.zeros((5, 6, 7)), affine)
    prepared = prepare([image], Preprocessing(slice_axis="coronal"))
    assert np.array_equal(prepared.labels(Volume(mask.astype(np.float32), affine)), prepared.from_source(mask))
    order = Reorder((2, 0, 1), (True, True, False))
    again = Volume(order.apply(mask), order.grid(image.grid).affine)
    assert np.array_equal(prepared.labels(again), prepared.from_source(mask))


def test_a_mask_is_resampled_as_the_image_is(make_affine: Callable, make_world: Callable) -> None:
    affine = make_affine((1, 2, 0), (True, False, True), spacing=(0.8, 1.1, 2), angles=(4, 5, 6))
    i, j, k = np.indices((24, 20, 16))
    mask = np.zeros(i.shape, np.uint8)
    mask[(i - 8) ** 2 + (j - 9) ** 2 + (k - 7) ** 2 < 25] = 1
    mask[(i - 16) ** 2 + (j - 9) ** 2 + (k - 7) ** 2 < 20] = 200
    prepared = prepare([Volume(mask, affine)], axial(spacing=(1.5, 0.7, 1.0)))
    labels = prepared.labels(Volume(mask, affine))
    assert labels.shape == prepared.network_shape
    assert labels.dtype == np.uint8
    assert set(np.unique(labels)) == {0, 1, 200}
    places, grid = make_world(affine, mask.shape), prepared.network_grid
    for label in (1, 200):
        found = make_world(grid.affine, grid.shape)[labels == label].mean(axis=0)
        np.testing.assert_allclose(found, places[mask == label].mean(axis=0), atol=0.3)  # labels have edges: less than half a voxel
        volume = (labels == label).sum() * abs(np.linalg.det(grid.affine))
        assert volume == pytest.approx((mask == label).sum() * abs(np.linalg.det(affine)), rel=0.1)


def test_a_tie_is_background() -> None:
    for pair in ([0, 1], [3, 0]):
        mask = np.array(pair, np.uint8).reshape(2, 1, 1)
        assert prepare([Volume(mask, np.eye(4))], axial(spacing=(2.0, None, None))).labels(Volume(mask, np.eye(4))).ravel().tolist() == [0]
    wide = np.array([0, 0, 1, 1, 1, 1, 0, 0], np.uint8).reshape(8, 1, 1)
    prepared = prepare([Volume(wide, np.eye(4))], axial(spacing=(2.0, None, None)))
    assert prepared.labels(Volume(wide, np.eye(4))).ravel().tolist() == [0, 1, 1, 0]


@pytest.mark.parametrize("value", [0.5, -1, 256, np.nan, np.inf])
def test_a_mask_of_other_than_labels_is_refused(value: float) -> None:
    data = np.zeros((3, 4, 5))
    data[1, 2, 3] = value
    prepared = prepare([Volume(np.zeros((3, 4, 5)), np.eye(4))], axial())
    with pytest.raises(GeometryError, match=r"seg\.nii holds values that are not whole numbers from 0 to 255"):
        prepared.labels(Volume(data, np.eye(4), "seg.nii"))


def test_a_mask_on_another_grid_is_refused(make_affine: Callable) -> None:
    prepared = prepare([Volume(np.zeros((3, 4, 5)), np.eye(4), "t1.nii")], axial())
    with pytest.raises(GeometryError, match=r"seg\.nii is 3 x 4 x 5 x 2 voxels"):
        prepared.labels(Volume(np.zeros((3, 4, 5, 2)), np.eye(4), "seg.nii"))
    for shape, affine in (((3, 4, 6), np.eye(4)), ((3, 4, 5), make_affine(origin=(1, 0, 0))), ((3, 4, 5), np.diag([1.0, 1, 1.1, 1]))):
        with pytest.raises(
            GeometryError, match=r"seg\.nii is 3 x 4 x \d voxels of .* mm, while t1\.nii is 3 x 4 x 5 voxels of 1 x 1 x 1 mm"
        ):
            prepared.labels(Volume(np.zeros(shape), affine, "seg.nii"))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e300])
@pytest.mark.parametrize("channel", [0, 1])
def test_voxels_that_are_no_number_are_counted(bad: float, channel: int) -> None:
    volumes = [Volume(np.zeros((3, 4, 5)), np.eye(4), name) for name in ("a.nii", "b.nii")]
    volumes[channel].data[1, 2, 3:] = bad
    with pytest.raises(GeometryError, match=rf"{'ab'[channel]}\.nii holds 2 of 60 voxels that are NaN, infinite"):
        prepare(volumes, axial(ZSCORE, ZSCORE))


@pytest.mark.parametrize("count", [0, 1, 3])
def test_a_wrong_number_of_channels_is_refused(count: int, make_volume: Callable) -> None:
    with pytest.raises(GeometryError, match=rf"{count} channel\(s\) came from .* 2 are expected"):
        prepare([make_volume((3, 4, 5))] * count, axial(RAW, RAW))


def test_a_frame_out_of_range_is_refused(make_volume: Callable) -> None:
    with pytest.raises(GeometryError, match=r"Frame 3 is wanted of noise\.nii, which has 0 to 2"):
        prepare([make_volume((3, 4, 5, 3))], axial(frame=3))


@pytest.mark.parametrize(("shift", "percent"), [(30, "0%"), (8.6, "10%")])
def test_channels_that_hardly_overlap_are_refused(shift: float, percent: str, make_affine: Callable, make_volume: Callable) -> None:
    near, far = make_volume((10, 10, 10)), make_volume((10, 10, 10), make_affine(origin=(shift, 0, 0)))
    with pytest.raises(GeometryError, match=f"covers {percent} of .* at least 20% is expected"):
        prepare([near, far], axial(RAW, RAW))
    assert prepare([near, make_volume((10, 10, 10), make_affine(origin=(7.5, 0, 0)))], axial(RAW, RAW)).coverage == (
        1.0,
        pytest.approx(0.3),
    )


def test_probabilities_of_another_shape_are_refused(make_volume: Callable) -> None:
    prepared = prepare([make_volume((3, 4, 5))], axial())
    with pytest.raises(ValueError, match=r"\(classes, 5, 16, 16\) is expected"):
        restore(prepared, np.zeros((1, 5, 4, 3)))


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"spacing": (0, 1, 1)}, "greater than 0"),
        ({"spacing": (1, float("inf"), 1)}, "finite"),
        ({"normalisation": ()}, "at least 1"),
        ({"frame": -1}, "greater than or equal to 0"),
        ({"divisor": 0}, "greater than or equal to 1"),
        ({"tile": 100}, "not a multiple"),
        ({"slice_axis": "transverse"}, "axial"),
        ({"normalisation": ({"method": "window"},)}, "needs"),
        ({"normalisation": ({"method": "window", "window": (5, 5)},)}, "lower first"),
        ({"normalisation": ({"method": "zscore", "window": (0, 5)},)}, "leave it out"),
        ({"crop": 3}, "Extra inputs"),
    ],
)
def test_a_preprocessing_that_cannot_be_is_refused(options: dict, complaint: str) -> None:
    with pytest.raises(ValidationError, match=complaint):
        Preprocessing(**({"slice_axis": "axial"} | options))


def test_preprocessing_survives_json() -> None:
    first = axial(ZSCORE, RAW, spacing=(0.7, None, 3), tile=64)
    assert Preprocessing.model_validate_json(first.model_dump_json()) == first
