"""What a NIfTI header says, read raw, and a header that says the same for a result.

nibabel's own loading mends headers in silence (a voxel size of 0 becomes 1), where a person should be told. The affine is the
sform where its code is above 0, else the qform, else nibabel's guess from the voxel sizes, of which
``FileGeometry.orientation_known`` then says that it tells nothing about left and right.
"""

from pathlib import Path
from typing import Any

import numpy as np
from nibabel.nifti1 import Nifti1Header
from nibabel.nifti2 import Nifti2Header
from nibabel.spatialimages import HeaderDataError
from numpy.typing import NDArray

from napari_film.nifti_storage import NiftiError, is_compressed, open_stream, read_exactly
from napari_film.volume import FileGeometry, Volume, is_singular

_MILLIMETRES = {"unknown": 1.0, "meter": 1000.0, "mm": 1.0, "micron": 0.001}
_SPATIAL_UNITS = {1: "meter", 2: "mm", 3: "micron"}
_TIME_UNITS = {8: "sec", 16: "msec", 24: "usec", 32: "hz", 40: "ppm", 48: "rads"}
RawHeader = Any  # nibabel's headers carry no types
# By the size of the header, its first four bytes.
_KINDS: dict[bytes, tuple[RawHeader, str]] = {
    np.array(size, f"{mark}i4").tobytes(): (kind, mark) for size, kind in ((348, Nifti1Header), (540, Nifti2Header)) for mark in "<>"
}
_FORMS = ("srow_x", "srow_y", "srow_z", "quatern_b", "quatern_c", "quatern_d", "qoffset_x", "qoffset_y", "qoffset_z")


def read_header(path: Path) -> RawHeader:
    """Read the header without mending it."""
    is_compressed(path)
    if path.is_dir():
        raise NiftiError(f"{path.name} is a folder; choose a .nii or .nii.gz file.")
    try:
        empty = path.stat().st_size == 0
        if empty:
            raise NiftiError(f"{path.name} is empty; copy it again.")
        with open_stream(path) as file:
            start = bytes(read_exactly(file, 4, path.name))
            kind, endianness = _KINDS.get(start, (None, ""))
            if kind is None:
                hint = "it is compressed, so rename it to .nii.gz" if start[:2] == b"\x1f\x8b" else "choose another file"
                raise NiftiError(f"{path.name} does not hold NIfTI data, whatever its name says; {hint}.")
            block = start + bytes(read_exactly(file, kind.sizeof_hdr - 4, path.name))
    except FileNotFoundError as error:
        raise NiftiError(f"{path.name} does not exist; check the name.") from error
    except OSError as error:
        raise NiftiError(f"{path.name} cannot be read ({error.strerror or 'damaged'}); check its permissions.") from error
    header = kind(block, endianness=endianness, check=False)
    if header["magic"].item() not in (b"n+1", b"n+2"):
        raise NiftiError(f"{path.name} is not a single-file NIfTI (magic {header['magic'].item()!r}); convert it to .nii.gz.")
    return header


def stored_shape(header: RawHeader, name: str) -> tuple[int, ...]:
    """Give the axes without trailing ones of length one beyond the third."""
    count = int(header["dim"][0])
    if not 1 <= count <= 7:
        raise NiftiError(f"The header of {name} claims {count} dimensions; 2, 3 or 4 are expected, so the file is damaged.")
    shape = [int(length) for length in header["dim"][1 : count + 1]]
    if min(shape) < 1:
        raise NiftiError(f"{name} has the shape {tuple(shape)}, with an axis without voxels; export it again.")
    while len(shape) > 3 and shape[-1] == 1:
        del shape[-1]
    if not 2 <= len(shape) <= 4:
        raise NiftiError(f"{name} has {len(shape)} dimensions, {tuple(shape)}; 2, 3 or 4 are expected, so split or convert it.")
    return tuple(shape)


def file_geometry(header: RawHeader, shape: tuple[int, ...], name: str) -> FileGeometry:
    """Keep what the header says, refusing voxel sizes that cannot be."""
    sizes = [float(size) for size in header["pixdim"][1:4]]
    # A 2D file need not give its thickness.
    used = sizes[: min(len(shape), 3)]
    if not all(np.isfinite(size) and size > 0 for size in used):
        given = " x ".join(f"{size:g}" for size in used)
        raise NiftiError(f"{name} gives a voxel size of {given}; numbers above zero are expected, so repair its header.")
    if sizes[2] <= 0 or not np.isfinite(sizes[2]):
        header["pixdim"][3] = 1
    if header["pixdim"][0] not in (1, -1):
        header["pixdim"][0] = 1  # as the standard says of other values
    units = int(header["xyzt_units"])
    try:
        qform = np.asarray(header.get_qform(), dtype=np.float64)
    except (HeaderDataError, ValueError) as error:
        if int(header["qform_code"]) > 0 and int(header["sform_code"]) <= 0:
            raise NiftiError(f"{name} has a rotation (qform) that is none; repair its header.") from error
        qform = np.eye(4)  # nobody reads it, its code says so
        qform[:3, 3] = header["qoffset_x"], header["qoffset_y"], header["qoffset_z"]
    return FileGeometry(
        ndim=len(shape),
        sform=np.asarray(header.get_sform(), dtype=np.float64),
        sform_code=int(header["sform_code"]),
        qform=qform,
        qform_code=int(header["qform_code"]),
        spatial_unit=_SPATIAL_UNITS.get(units & 7, "unknown"),
        time_unit=_TIME_UNITS.get(units & 56, "unknown"),
        time_step=float(header["pixdim"][4]),
        pixdim=(float(header["pixdim"][0]), sizes[0], sizes[1], float(header["pixdim"][3])),
        quaternion=(float(header["quatern_b"]), float(header["quatern_c"]), float(header["quatern_d"])),
        version=2 if isinstance(header, Nifti2Header) else 1,
    )


def file_affine(header: RawHeader, geometry: FileGeometry, name: str) -> NDArray[np.float64]:
    """Choose the form that counts, in mm."""
    if geometry.sform_code > 0:
        affine = geometry.sform.copy()
    elif geometry.qform_code > 0:
        affine = geometry.qform.copy()
    else:
        affine = np.asarray(header.get_base_affine(), dtype=np.float64)
    affine[:3] *= _MILLIMETRES[geometry.spatial_unit]
    if geometry.ndim == 2 and not affine[:3, 2].any():
        # The plane's own normal, for a form that leaves the third axis out.
        normal = np.cross(affine[:3, 0], affine[:3, 1])
        affine[:3, 2] = normal / (np.linalg.norm(normal) or 1)
    if not np.isfinite(affine).all() or is_singular(affine):
        raise NiftiError(f"The affine of {name} is singular or not finite, so its voxels have no place; repair its header.")
    return affine


def voxel_offset(header: RawHeader, name: str) -> int:
    """Give the byte at which the voxels begin."""
    offset, least = float(header["vox_offset"]), int(header["sizeof_hdr"]) + 4
    if offset == 0:
        return least
    if not least <= offset < 2**40:
        raise NiftiError(f"The header of {name} lets the voxels begin at byte {offset:g}; the first free one is {least}, so copy it again.")
    return int(offset)


def new_header(whole: tuple[int, ...], dtype: np.dtype[Any], like: Volume) -> RawHeader:
    """Make a header for ``whole`` voxels with the geometry of ``like``; free text of its file can name a patient, and stays out."""
    file = like.file
    shape = whole[:2] if file is not None and file.ndim == 2 and len(whole) == 3 else whole
    version = 2 if max(shape) > np.iinfo(np.int16).max else (1 if file is None else file.version)
    kind: RawHeader = Nifti2Header if version == 2 else Nifti1Header
    header = kind()
    header.set_data_dtype(dtype)
    header.set_data_shape(shape)
    header["scl_slope"], header["scl_inter"] = 1, 0
    if file is None:
        header.set_xyzt_units("mm")
        header["pixdim"][1:4] = like.spacing
        header.set_sform(like.affine, code=2)
        return header
    units = {name: code for table in (_SPATIAL_UNITS, _TIME_UNITS) for code, name in table.items()}
    header["xyzt_units"] = units.get(file.spatial_unit, 0) + units.get(file.time_unit, 0)
    header["pixdim"][:4] = file.pixdim
    if len(whole) == 3 or whole == like.data.shape:  # else the fourth axis is another than the source's
        header["pixdim"][4] = file.time_step
    header["sform_code"], header["qform_code"] = file.sform_code, file.qform_code
    values = [*file.sform[:3], *file.quaternion, *file.qform[:3, 3]]
    for name, value in zip(_FORMS, values, strict=True):
        header[name] = value
    return header
