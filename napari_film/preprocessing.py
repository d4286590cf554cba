"""From a patient's volumes to the slices a network sees, and from its probabilities back to the source grid.

    prepare:  sliced layout -> channels onto the reference's grid -> spacing -> normalise -> pad
    restore:  crop the padding -> spacing of the source -> source order, the inverse

Orientation is flips and permutations; resampling changes spacing and never rotates. An axis whose spacing is the wanted
one is not resampled, so the way there and back is exact to the voxel. Nothing is ever cropped away.

Axes: (I, J, K) source voxels as stored; (N, H, W) the same voxels in sliced layout, slices first; (n, h, w) the
network grid; C channels. Units: mm, along R, A, S.
"""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, Field, model_validator

from napari_film.channels import Channel
from napari_film.normalisation import Normalisation, require_finite
from napari_film.respacing import Respacing
from napari_film.volume import SLICED_AXES, GeometryError, Grid, SliceAxis, Volume, reordering, slicing

__all__ = ["GeometryError", "Normalisation", "Prepared", "Preprocessing", "prepare", "restore"]

# Channels that cover less of the reference than this are of another patient or session.
LEAST_COVERAGE = 0.2
# Scores this close are a tie: rounding shall not choose between two labels.
_TIE = 1e-6

Millimetres = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class Preprocessing(BaseModel, frozen=True, extra="forbid"):
    """What a checkpoint wants done to volumes before its network sees them.

    Parameters
    ----------
    slice_axis
        Anatomical axis that the slices are stacked along; or "acquired", the axis that the file has them along.
    spacing
        Wanted spacing in mm along R, A, S, of acquired slices along columns, rows, slices; None keeps the image's own there.
    normalisation
        One per channel, the reference first.
    fourth_axis
        What the fourth axis of a 4D file is: "frame" takes frame number ``frame``, "channels" takes each as a channel.
    frame
        Frame that is taken from 4D files, counted from 0.
    divisor
        Slices are padded with their edge values, at the far ends, to multiples of this.
    tile
        Longest side that the network is given in one piece; None for no limit.
    """

    slice_axis: SliceAxis
    spacing: tuple[Millimetres | None, Millimetres | None, Millimetres | None] = (None, None, None)
    normalisation: tuple[Normalisation, ...] = Field(default=(Normalisation(),), min_length=1)
    fourth_axis: Literal["frame", "channels"] = "frame"
    frame: int = Field(default=0, ge=0)
    divisor: int = Field(default=16, ge=1)
    tile: int | None = Field(default=None, ge=1)

    @model_validator(mode="after")
    def _check_tile(self) -> Self:
        if self.tile is not None and self.tile % self.divisor:
            raise ValueError(f"tile {self.tile} is not a multiple of divisor {self.divisor}")
        return self


class Prepared:
    """Volumes of one patient, ready to be asked for network slices; made by :func:`prepare`.

    Lazy: a slice is read, resampled and normalised when it is asked for. Unchanging, so that any thread may ask: what the
    channels keep comes out the same in each.

    Attributes
    ----------
    reference
        The first volume, whose grid results come back on.
    preprocessing
        What was asked for.
    channels
        The channels on the reference's grid, not normalised.
    shape
        (N, H, W) of the source in sliced layout.
    network_shape
        (n, h, w) on the network grid, before padding.
    network_grid
        Where those voxels lie: index (n, h, w) to RAS+ mm.
    padded_shape
        (h + pad, w + pad) of a network slice.
    coverage
        Per channel, the part of the reference's voxels inside its field of view.
    """

    def __init__(self, reference: Volume, channels: Sequence[Channel], preprocessing: Preprocessing) -> None:
        self.reference = reference
        self.preprocessing = preprocessing
        self.channels = tuple(channels)
        self._order = slicing(reference.grid, preprocessing.slice_axis)
        self.coverage: tuple[float, ...] = tuple(channel.coverage for channel in channels)
        sliced = self._order.grid(reference.grid)
        self.shape: tuple[int, int, int] = sliced.shape
        wanted = [preprocessing.spacing[world] for world in SLICED_AXES[preprocessing.slice_axis]]
        self._respacing = Respacing(sliced, wanted)
        self.network_shape: tuple[int, int, int] = self._respacing.shape
        self.network_grid: Grid = self._respacing.grid
        height, width = (_padded(length, preprocessing.divisor) for length in self.network_shape[1:])
        self.padded_shape: tuple[int, int] = (height, width)

    def image(self, k: int) -> NDArray[np.float32]:
        """Give network slice ``k``: (C, h + pad, w + pad), normalised."""
        height, width = self.network_shape[1:]
        image = np.empty((len(self.channels), *self.padded_shape), dtype=np.float32)
        for channel, out in zip(self.channels, image, strict=True):
            channel.normalised(self._respacing.forward(k, channel.slice), out=out[:height, :width])
            out[:height, width:] = out[:height, width - 1 : width]
            out[height:] = out[height - 1]
        return image

    def notices(self, least: int) -> tuple[str, ...]:
        """Give what a person must be told where the network needs sides of ``least`` pixels before it halves them."""
        height, width = self.network_shape[1:]
        if min(height, width) >= least:
            return ()
        return (
            f"{self.reference.label} has slices of {height} x {width} pixels, and this network needs {least} x {least} or more: they were "
            "filled up with the pixels of their edges, so trust the mask less.",
        )

    def network_slices(self, i: int) -> tuple[int, ...]:
        """Give the network slices that source slice ``i`` is restored from."""
        return self._respacing.network_slices(i)

    def restore_slice(self, i: int, probabilities: Mapping[int, NDArray[Any]]) -> NDArray[np.float32]:
        """Bring source slice ``i`` back from the network's slices.

        Parameters
        ----------
        i
            Index along N.
        probabilities
            At least the slices that :meth:`network_slices` names, each (classes, h + pad, w + pad), between 0 and 1.

        Returns
        -------
        numpy.ndarray
            (classes, H, W), between 0 and 1; where nothing is resampled it may be a view of what was given.
        """
        height, width = self.network_shape[1:]
        return self._respacing.back(i, lambda k: probabilities[k][:, :height, :width])

    def labels(self, mask: Volume) -> NDArray[np.uint8]:
        """Bring a mask onto the network grid, for training.

        Each label is resampled as the image is; a voxel takes the strongest, and the background where it ties.

        Parameters
        ----------
        mask
            Whole numbers from 0 to 255 on the reference's grid, in its storage order or another.

        Returns
        -------
        numpy.ndarray
            (n, h, w), not padded.

        Raises
        ------
        GeometryError
            If the mask is on another grid, or holds other than whole numbers from 0 to 255.
        """
        order = reordering(mask.grid, self.reference.grid)
        if order is None or mask.data.ndim != 3:
            raise GeometryError(
                f"{mask.label} is {_describe(mask)}, while {self.reference.label} is {_describe(self.reference)}: "
                "a mask needs the voxels of its image, so resample it onto them first."
            )
        # One row of files may be memory-mapped and large: checked and converted once.
        values = np.asarray(mask.data)
        codes = values.astype(np.uint8) if values.dtype.kind != "f" else np.clip(np.nan_to_num(values), 0, 255).astype(np.uint8)
        if not np.array_equal(codes, values):
            raise GeometryError(f"{mask.label} holds values that are not whole numbers from 0 to 255; a mask needs one label per voxel.")
        stack = self.from_source(order.apply(codes))
        if self._respacing.exact:
            return np.ascontiguousarray(stack)
        present = np.unique(codes)
        result = np.empty(self.network_shape, dtype=np.uint8)
        for k in range(self.network_shape[0]):
            best = self._score(stack, 0, k)
            result[k] = 0
            for label in present[present > 0]:
                score = self._score(stack, int(label), k)
                better = score > best + _TIE
                result[k][better] = label
                best = np.where(better, score, best)
        return result

    def to_source(self, stack: NDArray[Any]) -> NDArray[Any]:
        """Bring (..., N, H, W) to (..., I, J, K) by flips and permutations alone; a view."""
        return self._order.undo(stack)

    def from_source(self, array: NDArray[Any]) -> NDArray[Any]:
        """Bring (..., I, J, K) to (..., N, H, W), the inverse of :meth:`to_source`; a view."""
        return self._order.apply(array)

    def _score(self, stack: NDArray[np.uint8], label: int, k: int) -> NDArray[np.float32]:
        return self._respacing.forward(k, lambda i: (stack[i] == label).astype(np.float32))


def prepare(volumes: Sequence[Volume], preprocessing: Preprocessing) -> Prepared:
    """Make the volumes of one patient ready for the network.

    Parameters
    ----------
    volumes
        One per channel, the reference first; a 4D volume counts as preprocessing.fourth_axis says.
    preprocessing
        What the checkpoint wants.

    Raises
    ------
    GeometryError
        If the channels are too few or too many, do not overlap, a frame is out of range, or voxels are not finite.
    """
    sources = [(volume, data) for volume in volumes for data in _frames(volume, preprocessing)]
    if len(sources) != len(preprocessing.normalisation):
        raise GeometryError(
            f"{len(sources)} channel(s) came from {', '.join(v.label for v in volumes) or 'no file'}, "
            f"but {len(preprocessing.normalisation)} are expected; give one volume per channel."
        )
    reference = sources[0][0]
    order = slicing(reference.grid, preprocessing.slice_axis)
    channels = []
    for (volume, data), normalisation in zip(sources, preprocessing.normalisation, strict=True):
        channel = Channel(data, volume.grid, reference=reference.grid, order=order, normalisation=normalisation)
        if channel.coverage < LEAST_COVERAGE:
            raise GeometryError(
                f"{volume.label} covers {channel.coverage:.0%} of {reference.label}, and at least {LEAST_COVERAGE:.0%} is expected; "
                "check that the files belong to one patient and session."
            )
        require_finite(data, volume.label)
        channels.append(channel)
    return Prepared(reference, channels, preprocessing)


def restore(prepared: Prepared, probabilities: NDArray[Any]) -> NDArray[np.float32]:
    """Bring a whole stack of probabilities back to the source grid, the inverse of the preparation's geometry.

    Parameters
    ----------
    prepared
        What the network slices came from.
    probabilities
        (classes, n, h + pad, w + pad)

    Returns
    -------
    numpy.ndarray
        (classes, I, J, K), clipped to [0, 1].

    Raises
    ------
    ValueError
        If the stack is not on the network grid.
    """
    expected = (prepared.network_shape[0], *prepared.padded_shape)
    if probabilities.ndim != 4 or probabilities.shape[1:] != expected:
        raise ValueError(f"probabilities are {probabilities.shape}; (classes, {', '.join(map(str, expected))}) is expected")
    result = np.empty((probabilities.shape[0], *prepared.reference.grid.shape), dtype=np.float32)
    stack = prepared.from_source(result)
    for i in range(prepared.shape[0]):
        stack[:, i] = prepared.restore_slice(i, {k: probabilities[:, k] for k in prepared.network_slices(i)})
    return result


def _frames(volume: Volume, preprocessing: Preprocessing) -> list[NDArray[Any]]:
    """Give the channels (I, J, K) that one volume holds."""
    if volume.data.ndim == 3:
        return [volume.data]
    frames = volume.data.shape[3]
    if preprocessing.fourth_axis == "channels":
        return [volume.data[..., t] for t in range(frames)]
    if preprocessing.frame >= frames:
        raise GeometryError(f"Frame {preprocessing.frame} is wanted of {volume.label}, which has 0 to {frames - 1}; choose one of these.")
    return [volume.data[..., preprocessing.frame]]


def _padded(length: int, divisor: int) -> int:
    return -(-length // divisor) * divisor


def _describe(volume: Volume) -> str:
    shape = " x ".join(map(str, volume.data.shape))
    return f"{shape} voxels of {' x '.join(f'{size:.3g}' for size in volume.spacing)} mm"
