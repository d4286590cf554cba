"""Intensity normalisation of one channel, and the statistics that it needs.

    zscore:  y = (x - mean) / standard deviation         window:  y = clip((x - low) / (high - low), 0, 1)

The standard deviation is the population's. A constant slice or volume becomes zeros.
"""

import math
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, model_validator

from napari_film.volume import GeometryError

# A spread this small against the values themselves is rounding of float32, not contrast.
_FLAT = 1e-6


class Normalisation(BaseModel, frozen=True, extra="forbid"):
    """How the intensities of one channel are brought to the network's range.

    Parameters
    ----------
    method
        "zscore", or "window" for scanners with absolute units.
    scope
        For "zscore": "slice" takes the statistics of each network slice before padding, "volume" those of the
        channel's own voxels as stored in its file.
    window
        For "window": low and high, in the volume's unit (HU for CT).
    """

    method: Literal["zscore", "window"] = "zscore"
    scope: Literal["slice", "volume"] = "slice"
    window: tuple[float, float] | None = None

    @model_validator(mode="after")
    def _check_window(self) -> Self:
        if self.method == "zscore" and self.window is not None:
            raise ValueError('"window" was given with method "zscore"; leave it out or choose method "window"')
        if self.method == "window":
            if self.window is None:
                raise ValueError('method "window" needs "window": [low, high]')
            low, high = self.window
            if not (math.isfinite(low) and math.isfinite(high) and low < high):
                raise ValueError(f"window [{low}, {high}] needs two finite numbers, the lower first")
        return self

    @property
    def needs_volume(self) -> bool:
        """Whether the whole volume is read before the first slice."""
        return self.method == "zscore" and self.scope == "volume"

    def apply(
        self, image: NDArray[np.float32], *, volume: tuple[float, float] | None = None, out: NDArray[np.float32] | None = None
    ) -> NDArray[np.float32]:
        """Normalise one network slice (h, w).

        Parameters
        ----------
        image
            The slice, before padding; it stays as it is.
        volume
            Mean and standard deviation of the channel; only read where :attr:`needs_volume`.
        out
            (h, w), where the result is put; None makes a new array.
        """
        out = np.empty(image.shape, dtype=np.float32) if out is None else out
        if self.window is not None:
            low, high = self.window
            np.subtract(image, np.float32(low), out=out)
            out /= np.float32(high - low)
            return np.clip(out, 0, 1, out=out)
        if self.scope == "volume":
            if volume is None:
                raise ValueError("normalisation over the volume needs its mean and standard deviation")
            mean, deviation = volume
        else:
            mean, deviation = _moments(image)
        if deviation <= _FLAT * max(abs(mean), float(image.max()), -float(image.min())):
            out[...] = 0
            return out
        np.subtract(image, np.float32(mean), out=out)
        out /= np.float32(deviation)
        return out


def _moments(image: NDArray[np.float32]) -> tuple[float, float]:
    """Mean and population standard deviation, in float64: of one copy, in the order of the memory."""
    values = image.ravel(order="K").astype(np.float64)
    mean = float(values.mean())
    values -= mean
    return mean, math.sqrt(float(np.einsum("i,i->", values, values)) / values.size)


def slabs(data: NDArray[Any]) -> list[NDArray[Any]]:
    """Cut ``data`` (I, J, K) along the axis that lies farthest apart in memory, so that a file is read front to back."""
    # The step of an axis of length one says nothing: a 2D image would be one slab.
    steps = [abs(step) if length > 1 else 0 for step, length in zip(data.strides, data.shape, strict=True)]
    return list(np.moveaxis(np.asarray(data), int(np.argmax(steps)), 0))


def statistics(data: NDArray[Any]) -> tuple[float, float]:
    """Mean and population standard deviation of ``data`` (I, J, K), one slab in memory at a time, in float64."""
    shift = float(slabs(data)[0].mean(dtype=np.float64))  # keeps the squares small: values far from zero would cancel
    total = squares = 0.0
    for slab in slabs(data):
        values = slab.ravel(order="K").astype(np.float64) - shift
        total += float(values.sum())
        squares += float(np.einsum("i,i->", values, values))  # not BLAS, whose threads wait for each other on a busy machine
    mean = total / data.size
    return mean + shift, math.sqrt(max(squares / data.size - mean**2, 0.0))


def require_finite(data: NDArray[Any], name: str) -> None:
    """Refuse ``data`` (I, J, K) with voxels that are no finite float32 number; integers pass unread.

    Raises
    ------
    GeometryError
        With the count of such voxels.
    """
    if data.dtype.kind != "f":
        return
    limit = np.finfo(np.float32).max
    bad = sum(slab.size - int(np.count_nonzero(np.abs(slab) <= limit)) for slab in slabs(data))
    if bad:
        raise GeometryError(
            f"{name} holds {bad} of {data.size} voxels that are NaN, infinite or beyond float32; every voxel needs a finite number, "
            "so replace them first."
        )
