"""How a NIfTI file keeps its bytes and numbers: compression, truncation, scaling and data types."""

import gzip
import zlib
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np
from numpy.typing import DTypeLike, NDArray

from napari_film.errors import InputError


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


def read_exactly(file: BinaryIO, count: int, name: str, *, drain: bool = False) -> bytearray:
    """Read ``count`` bytes, or say that they are not there; ``drain`` reads on to the end and forgets."""
    buffer = bytearray()
    try:
        while len(buffer) < count and (block := file.read(min(count - len(buffer), 1 << 24))):
            buffer += block
        while drain and file.read(1 << 20):
            pass
    except gzip.BadGzipFile as error:
        raise NiftiError(f"{name} is not gzip-compressed, or its compressed data is damaged; copy or convert it again.") from error
    except (EOFError, zlib.error) as error:
        raise NiftiError(f"{name} is cut short or damaged; copy it again.") from error
    if len(buffer) < count:
        raise NiftiError(f"{name} is cut short: {len(buffer)} bytes came where {count} are expected; copy it again.")
    return buffer


def scaled(data: NDArray[Any], slope: float, inter: float, name: str) -> NDArray[Any]:
    """Apply the slope and intercept of a header to ``data``: float32, or float64 where float32 cannot tell the steps apart."""
    if slope == 0 or np.isnan(slope):  # the standard's and nibabel's words for "not scaled"
        return data
    if not (np.isfinite(slope) and np.isfinite(inter)):
        raise NiftiError(f"{name} has a scaling (slope {slope:g}, intercept {inter:g}) that is not finite; repair its header.")
    if (slope, inter) == (1, 0):
        return data
    if data.dtype.kind == "f":
        kind = data.dtype.newbyteorder("=")
    else:
        # float32 counts exactly to 2**24: that many steps may lie between zero and the farthest value.
        ends = np.array([float(data.min()), float(data.max())])
        farthest = np.abs(ends + inter / slope).max()
        large = np.abs(ends * slope + inter).max() > np.finfo(np.float32).max
        kind = np.dtype(np.float64 if large or farthest > 2**24 else np.float32)
    scaled = np.empty(data.shape, kind, order="F")
    for plane, out in zip(np.moveaxis(data, -1, 0), np.moveaxis(scaled, -1, 0), strict=True):
        out[...] = plane * np.float64(slope) + np.float64(inter)
    return scaled


def converted(array: NDArray[Any], dtype: DTypeLike | None) -> NDArray[Any]:
    """Give ``array`` in the dtype it is stored in, losing nothing but digits of floats."""
    if array.dtype.kind not in "biuf":
        raise NiftiError(f"An array of {array.dtype} cannot be written; real numbers are expected.")
    if dtype is not None:
        wanted = np.dtype(dtype)
    elif array.dtype.kind == "f":
        wanted = np.dtype(np.float32)
    else:
        low, high = int(array.min()), int(array.max())
        choices = [np.dtype(name) for name in ("uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64")]
        wanted = next(choice for choice in choices if np.iinfo(choice).min <= low and high <= np.iinfo(choice).max)
    with np.errstate(invalid="ignore", over="ignore"):
        stored = array.astype(wanted, copy=False)
    if wanted.kind != "f" and not np.array_equal(stored, array):
        raise NiftiError(f"The values {array.min()} to {array.max()} do not fit into {wanted}; choose another data type.")
    return stored
