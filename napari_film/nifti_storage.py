"""How a NIfTI file keeps its bytes and numbers: compression, truncation, scaling and data types."""

import gzip
import zlib
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np
from numpy.typing import DTypeLike, NDArray

from napari_film.errors import InputError
from napari_film.volume import pieces

_CHUNK = 1 << 16  # bytes read at a time: they stay in the cache, and malloc has room for them without asking for pages
_SMALL = ("int16", "uint16", "int32")  # what scaled integers may become, where their own type cannot hold them
_EXACT = 2.0**53  # float64 counts exactly to here


class NiftiError(InputError):
    """A file that cannot be read or written as NIfTI."""


def is_compressed(path: Path) -> bool:
    """Tell by its ending whether a file is compressed, refusing other endings than .nii and .nii.gz."""
    lower = path.name.lower()
    if not lower.endswith((".nii", ".nii.gz")):
        raise NiftiError(f"{path.name} is named for neither .nii nor .nii.gz; give the file one of these endings.")
    return lower.endswith(".gz")


def open_stream(path: Path) -> BinaryIO:
    """Open the file for reading, uncompressed."""
    return cast(BinaryIO, gzip.open(path, "rb")) if is_compressed(path) else open(path, "rb")


def read_exactly(file: BinaryIO, count: int, name: str, *, drain: bool = False) -> NDArray[np.uint8]:
    """Read ``count`` bytes into one buffer, or say that they are not there; ``drain`` reads on to the end and forgets."""
    try:
        buffer = np.empty(count, dtype=np.uint8)
    except (MemoryError, ValueError, OverflowError):  # a damaged header can claim any number of voxels
        buffer = None
    done = 0
    try:
        if buffer is None:
            while done < count and (block := file.read(_CHUNK)):
                done += len(block)
        else:
            while done < count and (got := cast(Any, file).readinto(buffer[done : done + _CHUNK])):
                done += got
        while drain and file.read(_CHUNK):
            pass
    except gzip.BadGzipFile as error:
        raise NiftiError(f"{name} is not gzip-compressed, or its compressed data is damaged; copy or convert it again.") from error
    except (EOFError, zlib.error) as error:
        raise NiftiError(f"{name} is cut short or damaged; copy it again.") from error
    if done < count:
        raise NiftiError(f"{name} is cut short: {done} bytes came where {count} are expected; copy it again.")
    if buffer is None:
        raise NiftiError(f"{name} needs {count / 2**30:.1f} GB of memory, which is not there; close other programs, or crop the image.")
    return buffer


def scaled(data: NDArray[Any], slope: float, inter: float, name: str) -> NDArray[Any]:
    """Apply the slope and intercept of a header to ``data``; in place where the type stays and the memory is its own.

    Integers stay integers where slope and intercept are whole and 32 bits hold the result: in their own type, or else the
    first of int16, uint16 and int32 that does. Others become float32, or float64 where float32 cannot tell the steps apart.
    """
    if slope == 0 or np.isnan(slope):  # the standard's and nibabel's words for "not scaled"
        return data
    if not (np.isfinite(slope) and np.isfinite(inter)):
        raise NiftiError(f"{name} has a scaling (slope {slope:g}, intercept {inter:g}) that is not finite; repair its header.")
    if (slope, inter) == (1, 0):
        return data
    own = data.dtype.newbyteorder("=")
    kind = own if own.kind == "f" else _scaled_type(own, np.array([float(data.min()), float(data.max())]), slope, inter)
    result = data if data.flags.writeable and data.dtype == kind else np.empty(data.shape, kind, order="F")
    for piece, out in zip(pieces(data), pieces(result), strict=True):
        out[...] = piece * np.float64(slope) + np.float64(inter)
    return result


def _scaled_type(own: np.dtype[Any], ends: NDArray[np.float64], slope: float, inter: float) -> np.dtype[Any]:
    """Give the type for integers of type ``own`` between ``ends`` when they are scaled."""
    results = ends * slope + inter
    if slope.is_integer() and inter.is_integer() and max(np.abs(ends).max(), np.abs(results).max()) < _EXACT:
        for kind in (own, *map(np.dtype, _SMALL)):
            if np.iinfo(kind).min <= results.min() and results.max() <= np.iinfo(kind).max:
                return kind
    # float32 counts exactly to 2**24: that many steps may lie between zero and the farthest value.
    large = np.abs(results).max() > np.finfo(np.float32).max
    return np.dtype(np.float64 if large or np.abs(ends + inter / slope).max() > 2**24 else np.float32)


def stored_type(array: NDArray[Any], dtype: DTypeLike | None) -> np.dtype[Any]:
    """Give the type that ``array`` is stored in, losing nothing but digits of floats; None chooses the smallest."""
    if array.dtype.kind not in "biuf":
        raise NiftiError(f"An array of {array.dtype} cannot be written; real numbers are expected.")
    if dtype is None:
        return _smallest_type(array)
    wanted = np.dtype(dtype)
    if wanted.kind == "f" or wanted == array.dtype:
        return wanted
    with np.errstate(invalid="ignore", over="ignore"):
        fits = all(np.array_equal(piece.astype(wanted), piece) for piece in pieces(array))
    if not fits:
        raise NiftiError(f"The values {array.min()} to {array.max()} do not fit into {wanted}; choose another data type.")
    return wanted


def _smallest_type(array: NDArray[Any]) -> np.dtype[Any]:
    if array.dtype.kind == "f":
        return np.dtype(np.float32)
    if array.dtype in (np.bool_, np.uint8):
        return np.dtype(np.uint8)
    low, high = int(array.min()), int(array.max())
    choices = [np.dtype(name) for name in ("uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64")]
    return next(choice for choice in choices if np.iinfo(choice).min <= low and high <= np.iinfo(choice).max)
