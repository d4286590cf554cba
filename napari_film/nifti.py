"""Read and write NIfTI-1 and NIfTI-2 files (.nii, .nii.gz); the sole user of nibabel.

Headers are read raw: nibabel's own loading mends them in silence (a voxel size of 0 becomes 1), where a person
should be told. The affine is the sform where its code is above 0, else the qform, else nibabel's guess from the
voxel sizes, of which ``FileGeometry.orientation_known`` then says that it tells nothing about left and right.
"""

import gzip
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO, Literal, Protocol, cast

import numpy as np
from nibabel.nifti1 import Nifti1Extension, Nifti1Header
from nibabel.nifti2 import Nifti2Header
from nibabel.spatialimages import HeaderDataError
from numpy.typing import DTypeLike, NDArray

from napari_film.atomic import atomic_path
from napari_film.nifti_storage import NiftiError, is_compressed, open_stream, read_exactly, scaled, stored_type
from napari_film.volume import FileGeometry, GeometryError, Volume, is_singular, pieces

__all__ = ["NiftiError", "Planes", "label_names", "read", "write"]

_MILLIMETRES = {"unknown": 1.0, "meter": 1000.0, "mm": 1.0, "micron": 0.001}
_SPATIAL_UNITS = {1: "meter", 2: "mm", 3: "micron"}
_TIME_UNITS = {8: "sec", 16: "msec", 24: "usec", 32: "hz", 40: "ppm", 48: "rads"}
_Header = Any  # nibabel's headers carry no types
# By the size of the header, its first four bytes.
_KINDS: dict[bytes, tuple[_Header, str]] = {
    np.array(size, f"{mark}i4").tobytes(): (kind, mark) for size, kind in ((348, Nifti1Header), (540, Nifti2Header)) for mark in "<>"
}
_COMMENT = 6  # the extension code for text
# zlib's levels. A mask of 79 MB: 0.2 s at level 6, and a third of level 1's bytes. 21 MB of probabilities: 1.1 s at level 6,
# 0.2 s at level 1, for 20 % more bytes.
_LEVELS = {"f": 1, "i": 6, "u": 6}
_FORMS = ("srow_x", "srow_y", "srow_z", "quatern_b", "quatern_c", "quatern_d", "qoffset_x", "qoffset_y", "qoffset_z")


class Planes(Protocol):
    """Floats (I, J, K) or (I, J, K, X) that are made when they are written: in place of an array that memory need not hold."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Voxels along the axes."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the planes."""

    def __getitem__(self, index: tuple[Any, ...], /) -> NDArray[Any]:
        """Give the plane (I, J) at ``[:, :, k]`` or ``[:, :, k, x]``; no other index is asked for."""


def read(path: str | os.PathLike[str]) -> Volume:
    """Read a volume as it is stored.

    Uncompressed files without scaling are memory-mapped; others are read once, in their stored dtype. Integers that are
    scaled by whole numbers stay integers where 32 bits hold them; others become float32, or float64 where float32 cannot
    tell their steps apart. Lengths become mm.

    Parameters
    ----------
    path
        A .nii or .nii.gz file of 2, 3 or 4 dimensions; a 2D one becomes (I, J, 1).

    Raises
    ------
    NiftiError
        If the file cannot be read, or its contents or geometry cannot be used.
    """
    path = Path(path)
    header = _read_header(path)
    shape = _shape(header, path.name)
    geometry = _geometry(header, shape, path.name)
    affine = _affine(header, geometry, path.name)
    data = scaled(_stored(path, header, shape), float(header["scl_slope"]), float(header["scl_inter"]), path.name)
    try:
        return Volume(data, affine, path.name, geometry)
    except GeometryError as error:
        raise NiftiError(str(error)) from error


def write(
    path: str | os.PathLike[str],
    array: NDArray[Any] | Planes,
    like: Volume,
    *,
    names: Mapping[int, str] | None = None,
    dtype: DTypeLike | None = None,
) -> None:
    """Write ``array`` with the geometry of ``like``: whole or not at all, and the same bytes each time.

    Parameters
    ----------
    path
        A .nii or .nii.gz file.
    array
        (I, J, K) or (I, J, K, X) on the voxels of ``like``, in its storage order; read plane by plane.
    like
        Gives the affine, both forms and their codes, the units and the dimension. Without a file of its own the
        sform is written, with code 2.
    names
        Names of the labels in a mask, kept in the header; see :func:`label_names`.
    dtype
        None stores floats as float32, and whole numbers in the smallest type that holds them: uint8 for masks.

    Raises
    ------
    NiftiError
        If the ending is neither .nii nor .nii.gz, the array is not on the voxels of ``like``, or ``dtype`` cannot hold its values.
    """
    path = Path(path)
    compressed = is_compressed(path)
    if len(array.shape) not in (3, 4) or array.shape[:3] != like.grid.shape:
        raise NiftiError(
            f"An array of shape {array.shape} cannot be written on the {like.grid.shape} voxels of {like.label}; restore it first."
        )
    stored = stored_type(cast(NDArray[Any], array), dtype)  # of planes, which are floats, it reads the type alone
    header = _new_header(array.shape, stored, like)
    if names:
        content = json.dumps({"napari_film": {"labels": {str(label): names[label] for label in sorted(names)}}})
        header.extensions.append(Nifti1Extension("comment", content.encode()))
    with atomic_path(path) as temporary, open(temporary, "wb") as file:
        if compressed:
            # Without a name and a time in the stream, equal volumes are equal files.
            with gzip.GzipFile(filename="", mode="wb", fileobj=file, mtime=0, compresslevel=_LEVELS[stored.kind]) as stream:
                _write_to(cast(BinaryIO, stream), header, array, stored)
        else:
            _write_to(file, header, array, stored)


def label_names(path: str | os.PathLike[str]) -> dict[int, str]:
    """Give the names of the labels that :func:`write` stored in a mask; empty where there are none.

    Raises
    ------
    NiftiError
        If the file is no NIfTI.
    """
    path = Path(path)
    header = _read_header(path)
    size = int(header["sizeof_hdr"])
    order: Literal["big", "little"] = "big" if header.endianness == ">" else "little"
    end = _offset(header, path.name)
    with open_stream(path) as file:
        block = bytes(read_exactly(file, end, path.name)) if size + 4 < end else b""
    offset = size + 4
    while block and block[size] and offset + 8 <= end:
        length = int.from_bytes(block[offset : offset + 4], order)
        if length < 16:
            break
        if int.from_bytes(block[offset + 4 : offset + 8], order) == _COMMENT:
            try:
                found = json.loads(block[offset + 8 : offset + length].rstrip(b"\0"))["napari_film"]["labels"]
                return {int(label): str(name) for label, name in found.items()}
            except (ValueError, KeyError, TypeError, AttributeError):
                pass  # a comment of another program
        offset += length
    return {}


def _read_header(path: Path) -> _Header:
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


def _shape(header: _Header, name: str) -> tuple[int, ...]:
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


def _geometry(header: _Header, shape: tuple[int, ...], name: str) -> FileGeometry:
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


def _affine(header: _Header, geometry: FileGeometry, name: str) -> NDArray[np.float64]:
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


def _offset(header: _Header, name: str) -> int:
    """Give the byte at which the voxels begin."""
    offset, least = float(header["vox_offset"]), int(header["sizeof_hdr"]) + 4
    if offset == 0:
        return least
    if not least <= offset < 2**40:
        raise NiftiError(f"The header of {name} lets the voxels begin at byte {offset:g}; the first free one is {least}, so copy it again.")
    return int(offset)


def _stored(path: Path, header: _Header, shape: tuple[int, ...]) -> NDArray[Any]:
    """Give the voxels as stored, (I, J, K) or (I, J, K, T), without scaling."""
    try:
        dtype = np.dtype(header.get_data_dtype())
    except (HeaderDataError, KeyError):
        dtype = np.dtype(np.void)
    if dtype.fields is not None:
        raise NiftiError(f"{path.name} is a colour (RGB) image; one number per voxel is expected, so convert it to grey values.")
    if dtype.kind == "V":
        raise NiftiError(
            f"{path.name} has a data type, {int(header['datatype'])}, that cannot be read here; convert it to float32 or an integer."
        )
    if dtype.kind not in "iuf":
        raise NiftiError(f"{path.name} holds {dtype.name} values; real numbers are expected, so save one real number per voxel.")
    offset = _offset(header, path.name)
    full = (*shape, 1)[:3] if len(shape) < 3 else shape
    size = int(np.prod(full, dtype=object)) * dtype.itemsize
    data: NDArray[Any]
    if is_compressed(path):
        with open_stream(path) as file:
            read_exactly(file, offset, path.name)
            data = np.ndarray(full, dtype, buffer=read_exactly(file, size, path.name), order="F")
            read_exactly(file, 0, path.name, drain=True)  # the checksum stands at the end
    else:
        if (present := path.stat().st_size) < offset + size:
            raise NiftiError(f"{path.name} is cut short: {present} bytes came where {offset + size} are expected; copy it again.")
        data = np.memmap(path, dtype, mode="r", offset=offset, shape=full, order="F")
    return data.astype(np.float64) if dtype.itemsize > 8 else data


def _new_header(whole: tuple[int, ...], dtype: np.dtype[Any], like: Volume) -> _Header:
    """Make a header for ``whole`` voxels with the geometry of ``like``; free text of its file can name a patient, and stays out."""
    file = like.file
    shape = whole[:2] if file is not None and file.ndim == 2 and len(whole) == 3 else whole
    version = 2 if max(shape) > np.iinfo(np.int16).max else (1 if file is None else file.version)
    kind: _Header = Nifti2Header if version == 2 else Nifti1Header
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


def _write_to(stream: BinaryIO, header: _Header, array: NDArray[Any] | Planes, dtype: np.dtype[Any]) -> None:
    header["vox_offset"] = 0  # let the header count its extensions
    header.write_to(stream)
    stream.write(b"\0" * (int(header["vox_offset"]) - stream.tell()))
    # One plane at a time, or a volume of probabilities would stand in memory twice; and of a large plane a piece.
    for index in np.ndindex(array.shape[:1:-1]):
        for piece in pieces(array[(slice(None), slice(None), *reversed(index))]):
            # A transposed copy in C order is the piece in the file's, and no copy where it lies so already.
            stream.write(np.ascontiguousarray(piece.T, dtype=dtype.newbyteorder("<")).data)
