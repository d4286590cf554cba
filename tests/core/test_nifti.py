"""What is read is what the file holds, what is written says the same, and bad files are told in a sentence."""

import gzip
import warnings
from collections.abc import Callable
from pathlib import Path

import nibabel
import numpy as np
import pytest

from napari_film import nifti
from napari_film.nifti import NiftiError
from napari_film.volume import Volume

GEOMETRY = ("pixdim", "sform_code", "qform_code", "srow_x", "srow_y", "srow_z", "quatern_b", "quatern_c", "quatern_d", "xyzt_units")


@pytest.fixture
def oblique(make_affine: Callable) -> np.ndarray:
    return make_affine((1, 2, 0), (True, False, True), spacing=(0.8, 1.25, 3.0), angles=(10, -20, 15), origin=(-31, 12, 88))


def save(path: Path, data: np.ndarray, affine: np.ndarray, *, kind: type = nibabel.Nifti1Image, **header: object) -> Path:
    """Write a file with nibabel, then overwrite raw header fields, as no library would let us."""
    image = kind(data, affine, dtype=data.dtype)
    content = bytearray(image.to_bytes())
    raw = type(image.header)(bytes(content[: image.header.sizeof_hdr]), check=False)
    for name, value in header.items():
        raw[name] = value
    content[: image.header.sizeof_hdr] = raw.binaryblock
    path.write_bytes(gzip.compress(bytes(content)) if path.name.lower().endswith(".gz") else bytes(content))
    return path


@pytest.mark.parametrize("ending", [".nii", ".nii.gz", ".NII.GZ"])
@pytest.mark.parametrize("dtype", ["u1", "i1", "i2", "u2", "i4", "u4", "i8", "u8", "f4", "f8"])
def test_any_numeric_type_is_read_as_stored(dtype: str, ending: str, oblique: np.ndarray, tmp_path: Path) -> None:
    data = np.random.default_rng(0).integers(0, 120, size=(3, 4, 5)).astype(dtype)
    volume = nifti.read(save(tmp_path / f"a{ending}", data, oblique))
    assert volume.data.dtype == np.dtype(dtype)
    assert np.array_equal(volume.data, data)
    np.testing.assert_allclose(volume.affine, oblique, atol=1e-5)
    assert volume.name == f"a{ending}"
    assert isinstance(volume.data, np.memmap) == (ending == ".nii")


def test_big_endian_files_are_read(oblique: np.ndarray, tmp_path: Path) -> None:
    data = np.arange(24, dtype=np.int16).reshape(2, 3, 4)
    header = nibabel.Nifti1Header(endianness=">")
    header.set_data_dtype(">i2")
    nibabel.Nifti1Image(data, oblique, header).to_filename(tmp_path / "a.nii")
    volume = nifti.read(tmp_path / "a.nii")
    assert np.array_equal(volume.data, data)
    np.testing.assert_allclose(volume.affine, oblique, atol=1e-5)


def test_nifti_2_is_read_and_kept(oblique: np.ndarray, tmp_path: Path) -> None:
    volume = nifti.read(save(tmp_path / "a.nii.gz", np.ones((2, 3, 4), np.uint8), oblique, kind=nibabel.Nifti2Image))
    nifti.write(tmp_path / "b.nii.gz", volume.data, volume)
    assert isinstance(nibabel.load(tmp_path / "b.nii.gz"), nibabel.Nifti2Image)
    assert np.array_equal(nifti.read(tmp_path / "b.nii.gz").affine, oblique)


@pytest.mark.parametrize(
    ("dtype", "slope", "inter", "expected"),
    [
        ("i2", 0.5, -10, "f4"),
        ("u1", 0.5, 0, "f4"),
        ("u2", 0.1, 3, "f4"),
        ("i2", 1, -0.5, "f4"),
        ("u1", 2, 0, "u1"),
        ("u1", 3, 0, "i2"),
        ("u2", 1, -1024, "i2"),
        ("i2", 1, -1024, "i2"),
        (">i2", -1, 0, "i2"),
        ("i1", 400, 0, "u2"),
        ("i2", 1, 40000, "u2"),
        ("u4", 1, -100000, "i4"),
        ("i8", -2, 5, "i8"),
        ("u8", 1, -5, "i2"),
        ("i4", 2**25, 0, "f4"),
        ("i2", 1, 2.0**31, "f8"),
        ("i4", 1e-3, 1e6, "f8"),
        ("u1", 1e37, 0, "f8"),
        ("f4", 2, 1, "f4"),
        ("f8", 2, 1, "f8"),
    ],
)
@pytest.mark.parametrize("ending", [".nii", ".nii.gz"])
def test_scaled_values_are_scaled(dtype: str, slope: float, inter: float, expected: str, ending: str, tmp_path: Path) -> None:
    data = np.random.default_rng(0).integers(0, 120, size=(3, 4, 5)).astype(dtype)
    volume = nifti.read(save(tmp_path / f"a{ending}", data, np.eye(4), scl_slope=slope, scl_inter=inter))
    assert volume.data.dtype == np.dtype(expected)
    np.testing.assert_allclose(volume.data, data.astype(np.float64) * np.float32(slope) + np.float32(inter), rtol=2e-7)


def test_scaled_integers_are_exact_to_the_ends_of_their_type(tmp_path: Path) -> None:
    for dtype, inter, expected in (("i2", -1024, "i4"), ("u2", -32768, "i2"), ("i4", -1, "f8"), ("u1", -128, "i2")):
        data = np.array([np.iinfo(dtype).min, 0, np.iinfo(dtype).max], dtype).reshape(3, 1, 1)
        volume = nifti.read(save(tmp_path / "a.nii", data, np.eye(4), scl_slope=1, scl_inter=inter))
        assert volume.data.dtype == np.dtype(expected)
        assert volume.data.ravel().tolist() == [int(value) + inter for value in data.ravel()]


@pytest.mark.parametrize("ending", [".nii", ".nii.gz"])
def test_a_header_that_claims_more_than_there_is_memory_for(ending: str, tmp_path: Path) -> None:
    path = save(tmp_path / f"a{ending}", np.ones((2, 3, 4), np.int16), np.eye(4), dim=[4, 32767, 32767, 32767, 32767, 1, 1, 1])
    with pytest.raises(NiftiError, match=rf"a{ending} is cut short: \d+ bytes came where \d+ are expected"):
        nifti.read(path)


def test_a_file_of_several_gzip_members_is_read_whole(tmp_path: Path) -> None:
    data = np.random.default_rng(0).integers(0, 120, size=(30, 40, 50)).astype(np.int16)
    content = gzip.decompress(save(tmp_path / "a.nii.gz", data, np.eye(4)).read_bytes())
    (tmp_path / "b.nii.gz").write_bytes(
        b"".join(gzip.compress(content[start : start + 10_000]) for start in range(0, len(content), 10_000))
    )
    assert np.array_equal(nifti.read(tmp_path / "b.nii.gz").data, data)


def test_planes_are_made_as_they_are_written(oblique: np.ndarray, tmp_path: Path) -> None:
    values = np.random.default_rng(0).random((5, 6, 7, 2)).astype(np.float32)

    class Made:
        def __init__(self, array: np.ndarray) -> None:
            self.array, self.shape, self.dtype, self.asked = array, array.shape, array.dtype, []

        def __getitem__(self, index: tuple) -> np.ndarray:
            self.asked.append(index[2:])
            return self.array[index]

    like = Volume(np.zeros((5, 6, 7)), oblique)
    for array in (values, values[..., 0]):
        made = Made(array)
        nifti.write(tmp_path / "a.nii.gz", made, like)
        nifti.write(tmp_path / "b.nii.gz", array, like)
        assert (tmp_path / "a.nii.gz").read_bytes() == (tmp_path / "b.nii.gz").read_bytes()
        assert np.array_equal(nifti.read(tmp_path / "a.nii.gz").data, array)
        assert len(made.asked) == len(set(made.asked)) == array.size // 30


def test_a_unit_scaling_is_none(tmp_path: Path) -> None:
    volume = nifti.read(save(tmp_path / "a.nii", np.ones((2, 3, 4), np.int16), np.eye(4), scl_slope=1, scl_inter=0))
    assert volume.data.dtype == np.int16


@pytest.mark.parametrize(
    ("shape", "read", "ndim"),
    [
        ((4, 5), (4, 5, 1), 2),
        ((4, 5, 1), (4, 5, 1), 3),
        ((4, 5, 6, 1, 1), (4, 5, 6), 3),
        ((4, 5, 6, 3), (4, 5, 6, 3), 4),
        ((4, 5, 6, 3, 1), (4, 5, 6, 3), 4),
        ((4, 5, 1, 3), (4, 5, 1, 3), 4),
    ],
)
def test_dimensions_come_back(shape: tuple, read: tuple, ndim: int, oblique: np.ndarray, tmp_path: Path) -> None:
    data = np.arange(np.prod(shape), dtype=np.int16).reshape(shape)
    volume = nifti.read(save(tmp_path / "a.nii", data, oblique))
    assert volume.data.shape == read
    assert volume.file is not None
    assert volume.file.ndim == ndim
    nifti.write(tmp_path / "mask.nii", np.ones(read[:3], np.uint8), volume)
    assert nibabel.load(tmp_path / "mask.nii").shape == shape[:3]
    nifti.write(tmp_path / "same.nii", volume.data, volume)
    assert np.array_equal(nifti.read(tmp_path / "same.nii").data, volume.data)


def test_the_plane_of_a_2d_file_needs_no_thickness(tmp_path: Path) -> None:
    affine = np.array([[0, 2.0, 0, 5], [3, 0, 0, 6], [0, 0, 0, 7], [0, 0, 0, 1]])
    path = save(
        tmp_path / "a.nii",
        np.ones((4, 5), np.uint8),
        np.eye(4),
        srow_x=affine[0],
        srow_y=affine[1],
        srow_z=affine[2],
        pixdim=[1, 3, 2, 0, 1, 1, 1, 1],
    )
    np.testing.assert_allclose(nifti.read(path).affine[:, [0, 1, 3]], affine[:, [0, 1, 3]])
    np.testing.assert_allclose(nifti.read(path).affine[:3, 2], [0, 0, -1])


@pytest.mark.parametrize(("unit", "code", "factor"), [("meter", 1, 1000), ("mm", 2, 1), ("micron", 3, 0.001), ("unknown", 0, 1)])
def test_units_are_converted_and_come_back(unit: str, code: int, factor: float, oblique: np.ndarray, tmp_path: Path) -> None:
    path = save(tmp_path / "a.nii", np.ones((2, 3, 4, 2), np.int16), oblique, xyzt_units=code + 16, pixdim=[1, 0.8, 1.25, 3, 700, 1, 1, 1])
    volume = nifti.read(path)
    np.testing.assert_allclose(volume.affine[:3], oblique[:3] * factor, rtol=1e-5)
    assert volume.file is not None
    assert (volume.file.spatial_unit, volume.file.time_unit, volume.file.time_step) == (unit, "msec", 700)
    nifti.write(tmp_path / "b.nii", volume.data, volume)
    first, second = (nibabel.load(file).header for file in (path, tmp_path / "b.nii"))
    for field in GEOMETRY:
        assert np.array_equal(first[field], second[field]), field
    nifti.write(tmp_path / "c.nii", np.zeros((2, 3, 4, 5), np.float32), volume)
    assert nibabel.load(tmp_path / "c.nii").header["pixdim"][4] == 1


@pytest.mark.parametrize(("sform_code", "qform_code"), [(1, 0), (0, 1), (2, 1), (4, 3), (0, 0)])
def test_forms_and_codes_come_back(sform_code: int, qform_code: int, make_affine: Callable, oblique: np.ndarray, tmp_path: Path) -> None:
    image = nibabel.Nifti1Image(np.ones((3, 4, 5), np.int16), None)
    image.set_sform(oblique, sform_code)
    image.set_qform(make_affine(spacing=(0.8, 1.25, 3), angles=(5, 6, 7), origin=(1, 2, 3)), qform_code)
    image.header["pixdim"][0] = -1 if qform_code == 3 else 1
    path = tmp_path / "a.nii.gz"
    image.to_filename(path)
    volume = nifti.read(path)
    expected = nibabel.load(path)
    assert np.array_equal(volume.affine, expected.affine)
    assert volume.file is not None
    assert volume.file.orientation_known == (sform_code + qform_code > 0)
    nifti.write(tmp_path / "b.nii.gz", np.ones((3, 4, 5), np.uint8), volume)
    written = nibabel.load(tmp_path / "b.nii.gz")
    for field in (*GEOMETRY, "qoffset_x", "qoffset_y", "qoffset_z"):
        assert np.array_equal(expected.header[field], written.header[field]), field
    assert np.array_equal(written.affine, expected.affine)


def test_a_volume_made_in_memory_gets_an_sform(oblique: np.ndarray, tmp_path: Path) -> None:
    nifti.write(tmp_path / "a.nii", np.ones((2, 3, 4), np.uint8), Volume(np.zeros((2, 3, 4)), oblique))
    header = nibabel.load(tmp_path / "a.nii").header
    assert (int(header["sform_code"]), int(header["qform_code"]), header.get_xyzt_units()[0]) == (2, 0, "mm")
    np.testing.assert_allclose(header.get_sform(), oblique, atol=1e-5)
    np.testing.assert_allclose(header.get_zooms(), (0.8, 1.25, 3), rtol=1e-6)


def test_text_of_the_source_header_is_left_behind(tmp_path: Path) -> None:
    volume = nifti.read(
        save(tmp_path / "a.nii", np.ones((2, 3, 4), np.uint8), np.eye(4), descrip=b"Jane Doe", aux_file=b"Jane", db_name=b"Jane")
    )
    nifti.write(tmp_path / "b.nii", volume.data, volume)
    assert b"Jane" not in (tmp_path / "b.nii").read_bytes()


@pytest.mark.parametrize(
    ("array", "dtype", "stored"),
    [
        (np.array([0, 255]), None, "u1"),
        (np.array([False, True]), None, "u1"),
        (np.array([0, 256]), None, "i2"),
        (np.array([-1, 3]), None, "i2"),
        (np.array([0, 40000]), None, "u2"),
        (np.array([0, 70000]), None, "i4"),
        (np.array([0.25, 1.0]), None, "f4"),
        (np.array([0.0, 3.0]), "u1", "u1"),
        (np.array([1, 2]), "f8", "f8"),
    ],
)
@pytest.mark.parametrize("order", ["C", "F"])
def test_the_type_is_the_smallest_that_holds_the_values(
    array: np.ndarray, dtype: str | None, stored: str, order: str, tmp_path: Path
) -> None:
    values = np.asarray(np.resize(array, (3, 4, 5)), order=order)
    nifti.write(tmp_path / "a.nii.gz", values, Volume(values, np.eye(4)), dtype=dtype)
    result = nifti.read(tmp_path / "a.nii.gz").data
    assert result.dtype == np.dtype(stored)
    assert np.array_equal(result, values)


@pytest.mark.parametrize("ending", [".nii", ".nii.gz"])
def test_label_names_come_back_and_change_no_voxel(ending: str, oblique: np.ndarray, tmp_path: Path) -> None:
    mask = np.random.default_rng(0).integers(0, 3, size=(3, 4, 5))
    like = Volume(mask, oblique)
    nifti.write(tmp_path / f"a{ending}", mask, like, names={2: "Ödem 浮腫", 1: "tumor"})
    assert nifti.label_names(tmp_path / f"a{ending}") == {1: "tumor", 2: "Ödem 浮腫"}
    assert np.array_equal(nifti.read(tmp_path / f"a{ending}").data, mask)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert np.array_equal(np.asanyarray(nibabel.load(tmp_path / f"a{ending}").dataobj), mask)
    nifti.write(tmp_path / f"b{ending}", mask, like)
    assert nifti.label_names(tmp_path / f"b{ending}") == {}


def test_comments_of_others_are_no_label_names(tmp_path: Path) -> None:
    image = nibabel.Nifti1Image(np.ones((2, 3, 4), np.uint8), np.eye(4))
    for content in (b"hello", b"[1]", b'{"napari_film": 3}', b'{"napari_film": {"labels": {"x": "y"}}}'):
        image.header.extensions.append(nibabel.nifti1.Nifti1Extension("comment", content))
    image.to_filename(tmp_path / "a.nii.gz")
    assert nifti.label_names(tmp_path / "a.nii.gz") == {}


def test_equal_masks_are_equal_files_and_nothing_else_is_left(tmp_path: Path) -> None:
    mask = np.arange(24).reshape(2, 3, 4)
    for name in ("a.nii.gz", "b.nii.gz"):
        nifti.write(tmp_path / name, mask, Volume(mask, np.eye(4)), names={1: "x"})
    assert (tmp_path / "a.nii.gz").read_bytes() == (tmp_path / "b.nii.gz").read_bytes()
    assert sorted(file.name for file in tmp_path.iterdir()) == ["a.nii.gz", "b.nii.gz"]


def test_what_cannot_be_written_leaves_the_old_file(tmp_path: Path) -> None:
    like = Volume(np.zeros((2, 3, 4)), np.eye(4), "t1.nii")
    nifti.write(tmp_path / "a.nii", np.zeros((2, 3, 4)), like)
    before = (tmp_path / "a.nii").read_bytes()
    with pytest.raises(NiftiError, match=r"shape \(2, 3, 5\) .* t1\.nii"):
        nifti.write(tmp_path / "a.nii", np.zeros((2, 3, 5)), like)
    with pytest.raises(NiftiError, match="do not fit into uint8"):
        nifti.write(tmp_path / "a.nii", np.full((2, 3, 4), 300), like, dtype=np.uint8)
    with pytest.raises(NiftiError, match="do not fit into uint8"):
        nifti.write(tmp_path / "a.nii", np.full((2, 3, 4), 0.5), like, dtype=np.uint8)
    with pytest.raises(NiftiError, match="complex128"):
        nifti.write(tmp_path / "a.nii", np.zeros((2, 3, 4), complex), like)
    with pytest.raises(NiftiError, match=r"a\.mha is named for neither"):
        nifti.write(tmp_path / "a.mha", np.zeros((2, 3, 4)), like)
    assert (tmp_path / "a.nii").read_bytes() == before


@pytest.mark.parametrize(
    ("header", "complaint"),
    [
        ({"pixdim": [1, 1, 0, 1, 1, 1, 1, 1]}, "voxel size of 1 x 0 x 1"),
        ({"pixdim": [1, 1, -2, 1, 1, 1, 1, 1]}, "voxel size of 1 x -2 x 1"),
        ({"pixdim": [1, 1, np.nan, 1, 1, 1, 1, 1]}, "voxel size of 1 x nan x 1"),
        ({"pixdim": [1, 1, np.inf, 1, 1, 1, 1, 1]}, "voxel size of 1 x inf x 1"),
        ({"srow_z": [0, 0, 0, 0]}, "affine of a.nii.gz is singular"),
        ({"srow_z": [0, 0, np.nan, 0]}, "singular or not finite"),
        ({"sform_code": 0, "qform_code": 1, "quatern_b": 2}, "rotation"),
        ({"dim": [3, 2, 0, 4, 1, 1, 1, 1]}, r"shape \(2, 0, 4\)"),
        ({"dim": [3, 2, -3, 4, 1, 1, 1, 1]}, r"shape \(2, -3, 4\)"),
        ({"dim": [5, 2, 1, 1, 2, 6, 1, 1]}, "has 5 dimensions"),
        ({"dim": [1, 24, 1, 1, 1, 1, 1, 1]}, "has 1 dimensions"),
        ({"dim": [9, 2, 3, 4, 1, 1, 1, 1]}, "claims 9 dimensions"),
        ({"dim": [3, 2, 3, 40, 1, 1, 1, 1]}, "cut short: 48 bytes came where 480"),
        ({"datatype": 32}, "complex64 values"),
        ({"datatype": 128}, "colour"),
        ({"datatype": 0}, "data type, 0, that cannot be read"),
        ({"datatype": 9999}, "data type, 9999, that cannot be read"),
        ({"scl_slope": np.inf}, "slope inf"),
        ({"scl_slope": 1, "scl_inter": np.nan}, "intercept nan"),
        ({"vox_offset": 12}, "begin at byte 12"),
        ({"vox_offset": np.nan}, "begin at byte nan"),
        ({"magic": b"ni1"}, "not a single-file NIfTI"),
    ],
)
def test_a_header_that_cannot_be_is_told(header: dict, complaint: str, tmp_path: Path) -> None:
    path = save(tmp_path / "a.nii.gz", np.ones((2, 3, 4), np.int16), np.eye(4), **header)
    with pytest.raises(NiftiError, match=complaint) as caught:
        nifti.read(path)
    assert "a.nii.gz" in str(caught.value)
    assert str(tmp_path) not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_none_is_told(tmp_path: Path) -> None:
    good = save(tmp_path / "good.nii.gz", np.random.default_rng(0).integers(0, 99, size=(20, 20, 20)), np.eye(4)).read_bytes()
    damaged = bytearray(good)
    damaged[len(good) // 2] ^= 0xFF
    plain = gzip.decompress(good)
    (tmp_path / "folder.nii").mkdir()
    contents = {
        "empty.nii.gz": (b"", "is empty"),
        "empty.nii": (b"", "is empty"),
        "half.nii.gz": (good[: len(good) // 2], "cut short"),
        "head.nii.gz": (good[:30], "cut short"),
        "tail.nii.gz": (good[:-4], "cut short"),
        "hole.nii.gz": (bytes(damaged), "cut short or damaged|data is damaged"),
        "half.nii": (plain[: len(plain) // 2], "cut short: 3[0-9]+ bytes came where 64352"),
        "head.nii": (plain[:200], "cut short: "),
        "short.nii.gz": (gzip.compress(plain[:-1]), "cut short: 63999 bytes came where 64000"),
        "text.nii": (b"subject,age\n1,2\n" * 100, "does not hold NIfTI data"),
        "text.nii.gz": (b"subject,age\n1,2\n" * 100, "not gzip-compressed"),
        "gz.nii": (good, r"rename it to \.nii\.gz"),
        "image.png": (good, r"neither \.nii nor \.nii\.gz"),
    }
    for name, (content, _) in contents.items():
        (tmp_path / name).write_bytes(content)
    cases = {name: complaint for name, (_, complaint) in contents.items()}
    for name, complaint in (cases | {"folder.nii": "is a folder", "missing.nii.gz": "does not exist"}).items():
        with pytest.raises(NiftiError, match=complaint) as caught:
            nifti.read(tmp_path / name)
        assert str(caught.value).startswith(name)
        assert str(tmp_path) not in str(caught.value)
