"""A reference segmentation, brought to the voxels of a mask.

Labels are classes: between grids the nearest reference voxel is taken, found through both affines, and never an average. A
place is inside a grid where it is within half a voxel of some voxel's centre along each axis; beyond it is background.
"""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_film.comparison.surface import box
from napari_film.errors import InputError
from napari_film.resampling import inside, positions
from napari_film.volume import Grid, Volume, pieces, reordering

Coordinates = list[NDArray[np.float64]]

_MOST_LABELS = 1000  # more, and it is an image that somebody took for a mask
_SPAN = 1 << 16  # labels closer together than this are found without sorting
_FEWEST_INSIDE = 0.5
_LATTICE = 32


def labels_in(volume: Volume) -> tuple[int, ...]:
    """Labels above zero in ``volume``, ascending.

    Raises
    ------
    InputError
        If it has four axes, or its values are no labels: not whole, not finite, or too many.
    """
    found: set[int] = set()
    for piece in pieces(_labels(volume)):
        found |= _values(piece, volume.label)
        if len(found) > _MOST_LABELS:
            raise InputError(f"{volume.label} holds more than {_MOST_LABELS} different values, as images do; choose a mask of labels.")
    return tuple(sorted(value for value in found if value > 0))


def reference_mask(reference: Volume, grid: Grid, *, label: int | None) -> tuple[NDArray[np.bool_], str]:
    """Tell which voxels of ``grid`` are foreground in ``reference``.

    Parameters
    ----------
    reference
        (I, J, K) labels on a grid of its own.
    grid
        Where the mask is wanted; sliced layouts are grids, too.
    label
        The label that is foreground; None takes everything above zero.

    Returns
    -------
    mask : numpy.ndarray
        Of ``grid``'s shape; where both have the same voxels nothing is resampled.
    notice : str
        A sentence for a person where it was resampled, else empty.

    Raises
    ------
    InputError
        If the reference is no mask, has nothing of the label, or less than half of that lies inside ``grid``.
    """
    present = labels_in(reference)
    if not present:
        raise InputError(f"{reference.label} has no voxel above zero; choose a mask that has some.")
    if label is not None and label not in present:
        raise InputError(f"{reference.label} has no voxel of label {label}; choose one of {', '.join(map(str, present))}.")
    labels = _labels(reference)
    foreground: NDArray[np.bool_] = labels > 0 if label is None else labels == label
    order = reordering(reference.grid, grid)
    if order is not None:
        return order.apply(foreground), ""
    share = _share_inside(foreground, reference.grid, grid)
    sizes = f"{_size(reference.grid)}, the image {_size(grid)}"
    if share == 0:
        raise InputError(f"No foreground of {reference.label} lies inside the image: it has {sizes}. Choose a mask of this image.")
    if share < _FEWEST_INSIDE:
        raise InputError(
            f"Only {100 * share:.0f} % of the foreground of {reference.label} lies inside the image: it has {sizes}. "
            "Choose a mask of this image."
        )
    notice = f"{reference.label} was resampled from {_size(reference.grid)} to {_size(grid)} (nearest voxel)."
    if share < 1:
        notice += f" {max(100 * (1 - share), 0.1):.1f} % of its foreground lies beyond the image."
    if (covered := _share_covered(reference.grid, grid)) < 1:
        notice += f" It covers {math.floor(100 * covered)} % of the image; the rest counts as background."
    return _nearest(foreground, reference.grid, grid), notice


def _labels(volume: Volume) -> NDArray[Any]:
    """The voxels of a volume of three axes; a fourth of length one is none."""
    if volume.data.ndim == 4 and volume.data.shape[3] != 1:
        raise InputError(f"{volume.label} has the shape {volume.data.shape}; a mask has three axes, choose one.")
    return volume.data if volume.data.ndim == 3 else volume.data[..., 0]


def _values(piece: NDArray[Any], name: str) -> set[int]:
    """The different values in ``piece``, all of them whole; ``name`` is for the message."""
    if piece.dtype.kind == "f":
        odd = piece[~np.isfinite(piece) | (piece != np.rint(piece))]
        if odd.size:
            raise InputError(f"{name} holds {odd[0]:.3g} where a mask has whole numbers; choose a mask of labels.")
    low, high = int(piece.min()), int(piece.max())
    if high - low >= _SPAN or abs(high) >= 1 << 62:
        return {int(value) for value in np.unique(piece)}
    marked = np.zeros(high - low + 1, dtype=np.bool_)  # labels are few and close together: marked rather than sorted
    marked[piece.astype(np.int64) - low] = True
    return set((np.flatnonzero(marked) + low).tolist())


def _share_inside(foreground: NDArray[np.bool_], own: Grid, grid: Grid) -> float:
    """Part of the foreground's voxels whose centres lie inside ``grid``."""
    held = count = 0
    for part, coordinates in _slabs(own, grid, box(foreground)):
        marked = foreground[part]
        count += int(np.count_nonzero(marked))
        held += int(np.count_nonzero(marked & inside(coordinates, grid.shape)))
    return held / count


def _share_covered(own: Grid, grid: Grid) -> float:
    """Part of ``grid`` that lies inside ``own``, measured on a lattice."""
    counts = [min(length, _LATTICE) for length in grid.shape]
    spread = [(np.arange(m, dtype=np.float64) + 0.5) * (n / m) - 0.5 for m, n in zip(counts, grid.shape, strict=True)]
    return float(inside(positions(grid.affine, own, spread), own.shape).mean())


def _nearest(foreground: NDArray[np.bool_], own: Grid, grid: Grid) -> NDArray[np.bool_]:
    """Voxels of ``grid`` whose nearest voxel of ``own`` is foreground."""
    mask = np.zeros(grid.shape, dtype=np.bool_)
    there = box(foreground)
    # Only there can the foreground be: its box, half a voxel wider, as seen from the wanted grid.
    ends = [np.array([side.start - 0.5, side.stop - 0.5]) for side in there]
    reach = [(coordinate.min(), coordinate.max()) for coordinate in positions(own.affine, grid, ends)]
    wanted = [
        slice(max(0, int(np.ceil(low - 1e-6))), min(length, int(np.floor(high + 1e-6)) + 1))
        for (low, high), length in zip(reach, grid.shape, strict=True)
    ]
    for part, coordinates in _slabs(grid, own, (wanted[0], wanted[1], wanted[2])):
        held = inside(coordinates, own.shape)
        i, j, k = (
            np.clip(np.floor(coordinate[held] + 0.5), 0, length - 1).astype(np.intp)
            for coordinate, length in zip(coordinates, own.shape, strict=True)
        )
        mask[part][held] = foreground[i, j, k]
    return mask


def _slabs(start: Grid, grid: Grid, part: tuple[slice, slice, slice]) -> Iterator[tuple[tuple[slice, slice, slice], Coordinates]]:
    """Cut ``part`` of ``start`` into planes along its first axis, each with the coordinates in ``grid`` of its voxels."""
    axes = [np.arange(side.start, side.stop, dtype=np.float64) for side in part]
    for index in range(part[0].start, part[0].stop):
        yield (slice(index, index + 1), *part[1:]), positions(start.affine, grid, [np.array([float(index)]), *axes[1:]])


def _size(grid: Grid) -> str:
    """Shape and spacing in words."""
    shape = " x ".join(str(length) for length in grid.shape)
    spacing = " x ".join(f"{step:.3g}" for step in grid.spacing)
    return f"{shape} at {spacing} mm"
