"""Read and write NIfTI-1 and NIfTI-2 files (.nii, .nii.gz).

What their headers say is read raw, see `nifti_header`; these two modules are the sole users of nibabel.
"""

import gzip
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO, Literal, Protocol, cast

import numpy as np
from nibabel.nifti1 import Nifti1Extension
from nibabel.spatialimages import HeaderDataError
from numpy.typing import DTypeLike, NDArray

from napari_film.atomic import atomic_path
from napari_film.nifti_header import RawHeader, file_affine, file_geometry, new_header, read_header, stored_shape, voxel_offset
from napari_film.nifti_storage import NiftiError, is_compressed, open_stream, read_exactly, scaled, stored_type
from napari_film.volume import GeometryError, Volume, pieces

__all__ = ["NiftiError", "Planes", "label_names", "read", "write"]

_COMMENT = 6  # the extension code for text
# zlib's levels. A mask of 79 MB: 0.2 s at level 6, and a third of level 1's bytes. 21 MB of probabilities: 1.1 s at level 6,
# 0.2 s at level 1, for 20 % more bytes.
_LEVELS = {"f": 1, "i": 6, "u": 6}


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
    header = read_header(path)
    shape = stored_shape(header, path.name)
    geometry = file_geometry(header, shape, path.name)
    affine = file_affine(header, geometry, path.name)
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
    header = new_header(array.shape, stored, like)
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
    header = read_header(path)
    size = int(header["sizeof_hdr"])
    order: Literal["big", "little"] = "big" if header.endianness == ">" else "little"
    end = voxel_offset(header, path.name)
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


def _stored(path: Path, header: RawHeader, shape: tuple[int, ...]) -> NDArray[Any]:
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
    offset = voxel_offset(header, path.name)
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


def _write_to(stream: BinaryIO, header: RawHeader, array: NDArray[Any] | Planes, dtype: np.dtype[Any]) -> None:
    header["vox_offset"] = 0  # let the header count its extensions
    header.write_to(stream)
    stream.write(b"\0" * (int(header["vox_offset"]) - stream.tell()))
    # One plane at a time, or a volume of probabilities would stand in memory twice; and of a large plane a piece.
    for index in np.ndindex(array.shape[:1:-1]):
        for piece in pieces(array[(slice(None), slice(None), *reversed(index))]):
            # A transposed copy in C order is the piece in the file's, and no copy where it lies so already.
            stream.write(np.ascontiguousarray(piece.T, dtype=dtype.newbyteorder("<")).data)
