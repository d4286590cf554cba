"""Real volumes: read, prepared, restored and written, they lie where they lay; and so when stored in other orders.

The volumes stand beside a checkout; a clone elsewhere has none of them.
"""

from dataclasses import replace
from pathlib import Path

import nibabel
import numpy as np
import pytest

from napari_film import nifti
from napari_film.nifti import NiftiError
from napari_film.preprocessing import Normalisation, Prepared, Preprocessing, prepare, restore
from napari_film.volume import Reorder, Volume

SHARED = Path(__file__).resolve().parents[2].parent / "shared" / "data"
FILES = sorted(path for path in SHARED.rglob("*.nii.gz") if "not_supported" not in path.name)
ORDERS = [Reorder((0, 1, 2), (True, True, False)), Reorder((2, 0, 1), (False, True, True)), Reorder((1, 0, 2), (True, False, True))]
FIELDS = ("pixdim", "sform_code", "qform_code", "srow_x", "srow_y", "srow_z", "quatern_b", "quatern_c", "quatern_d", "xyzt_units")
SPINE = "mri_spine_bids/sub-unf01/anat/sub-unf01_{}.nii.gz"

pytestmark = pytest.mark.skipif(not FILES, reason="the shared volumes are not beside this checkout")


def full_window(volume: Volume) -> Normalisation:
    low, high = float(volume.data.min()), float(volume.data.max())
    return Normalisation(method="window", window=(low, max(high, low + 1)))


def normalised(volume: Volume) -> np.ndarray:
    return np.moveaxis(np.stack([full_window(volume).apply(plane.astype(np.float32)) for plane in np.moveaxis(volume.data, 2, 0)]), 0, 2)


def answer(prepared: Prepared, channel: int = 0) -> np.ndarray:
    """Give the network's slices back as its probabilities."""
    return restore(prepared, np.stack([prepared.image(k)[channel : channel + 1] for k in range(prepared.network_shape[0])], axis=1))[0]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_there_and_back_is_exact_and_says_the_same(path: Path, tmp_path: Path) -> None:
    volume = nifti.read(path)
    expected = normalised(volume)
    result = answer(prepare([volume], Preprocessing(slice_axis="coronal", normalisation=(full_window(volume),))))
    assert np.array_equal(result, expected)
    nifti.write(tmp_path / "result.nii", result, volume)
    source, written = nibabel.load(path), nibabel.load(tmp_path / "result.nii")
    assert np.array_equal(written.affine, source.affine)
    assert np.array_equal(np.asanyarray(written.dataobj), expected)
    for field in FIELDS:
        assert np.array_equal(written.header[field], source.header[field]), field


@pytest.mark.parametrize("order", ORDERS, ids=str)
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_stored_in_another_order_it_is_the_same_patient(path: Path, order: Reorder, tmp_path: Path) -> None:
    volume = nifti.read(path)
    assert volume.file is not None
    moved = order.grid(volume.grid).affine
    again = Volume(order.apply(volume.data), moved, file=replace(volume.file, sform=moved))
    nifti.write(tmp_path / "again.nii", again.data, again, dtype=volume.data.dtype)
    again = nifti.read(tmp_path / "again.nii")
    preprocessing = Preprocessing(slice_axis="axial", normalisation=(full_window(volume),))
    first, second = prepare([volume], preprocessing), prepare([again], preprocessing)
    assert first.network_shape == second.network_shape
    middle = first.network_shape[0] // 2
    assert np.array_equal(first.image(middle), second.image(middle))
    np.testing.assert_allclose(second.network_grid.affine, first.network_grid.affine, atol=1e-4)
    assert np.array_equal(answer(second), order.apply(normalised(volume)))


@pytest.mark.parametrize(
    "path", [path for path in FILES if "seg" not in path.name and "derivatives" not in path.parts], ids=lambda path: path.name
)
def test_resampled_it_stays_in_its_place(path: Path) -> None:
    volume = nifti.read(path)
    # A ramp on the real grid: an error of a hundredth of a voxel along any axis shows.
    ramp = sum(axis / (9 * max(length - 1, 1)) for axis, length in zip(np.indices(volume.grid.shape), volume.grid.shape, strict=True)) + 0.3
    ramp = Volume(np.asarray(ramp, dtype=np.float32), volume.affine)
    spacing = tuple(1.7 if size < 1.7 else 0.6 * size for size in np.abs(np.diag(volume.affine))[:3])
    prepared = prepare(
        [ramp], Preprocessing(slice_axis="sagittal", spacing=spacing, normalisation=(Normalisation(method="window", window=(0, 1)),))
    )
    assert prepared.network_shape != prepared.shape
    np.testing.assert_allclose(answer(prepared), ramp.data, atol=1e-4)


def test_three_contrasts_of_one_patient_meet() -> None:
    volumes = [nifti.read(SHARED / SPINE.format(contrast)) for contrast in ("T1w", "T2w", "T2star")]
    prepared = prepare(volumes, Preprocessing(slice_axis="axial", normalisation=tuple(map(full_window, volumes))))
    assert min(prepared.coverage) > 0.9
    assert prepared.image(8).shape == (3, 144, 144)


@pytest.mark.parametrize("contrast", ["T1w", "T2w", "T2star"])
def test_a_real_mask_comes_back_from_another_spacing(contrast: str) -> None:
    image = nifti.read(SHARED / SPINE.format(contrast))
    mask = nifti.read(SHARED / "mri_spine_bids" / "derivatives" / "labels" / SPINE.format(contrast + "_seg-manual").partition("/")[2])
    prepared = prepare([image], Preprocessing(slice_axis="axial", spacing=(0.5, 0.5, None)))
    labels = prepared.labels(mask)
    height, width = (padded - length for padded, length in zip(prepared.padded_shape, prepared.network_shape[1:], strict=True))
    result = restore(prepared, np.pad(labels.astype(np.float32), ((0, 0), (0, height), (0, width)))[None])[0] > 0.5
    truth = mask.data > 0.5
    assert truth.sum() > 100
    assert 2 * (result & truth).sum() / (result.sum() + truth.sum()) > 0.98


def test_colour_is_refused() -> None:
    with pytest.raises(NiftiError, match=r"rgb_not_supported\.nii\.gz is a colour \(RGB\) image"):
        nifti.read(SHARED / "rgb_not_supported.nii.gz")
