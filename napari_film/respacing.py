"""The way from a sliced layout to the network's grid and back: other spacings, the same centre and directions.

Both ways are linear along each axis in turn, so that a slice needs only those few that it is made of. An axis that has the
wanted spacing is left alone; then the way there and back is exact.

Axes: (N, H, W) the source in sliced layout; (n, h, w) the network grid. Units: mm.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from napari_film.resampling import SPACING_TOLERANCE, axis_weights, resample_plane, resampled_length
from napari_film.volume import Grid

_Weights = tuple[sparse.csr_matrix | None, sparse.csr_matrix | None, sparse.csr_matrix | None]  # None leaves an axis alone


class Respacing:
    """From ``source`` to the spacings ``wanted`` along its axes, None for its own.

    Attributes
    ----------
    shape
        (n, h, w)
    grid
        Where those voxels lie: index (n, h, w) to RAS+ mm.
    """

    def __init__(self, source: Grid, wanted: Sequence[float | None]) -> None:
        forward: list[sparse.csr_matrix | None] = [None] * 3
        back: list[sparse.csr_matrix | None] = [None] * 3
        lengths, spacings = list(source.shape), list(source.spacing)
        for axis, target in enumerate(wanted):
            old = lengths[axis], spacings[axis]
            # A single voxel has no neighbour to interpolate with, and a 2D file's thickness says little.
            if target is None or old[0] == 1 or math.isclose(old[1], target, rel_tol=SPACING_TOLERANCE):
                continue
            new = resampled_length(*old, target), target
            forward[axis], back[axis] = axis_weights(*old, *new), axis_weights(*new, *old)
            lengths[axis], spacings[axis] = new
        self._forward: _Weights = (forward[0], forward[1], forward[2])
        self._back: _Weights = (back[0], back[1], back[2])
        self.shape: tuple[int, int, int] = (lengths[0], lengths[1], lengths[2])
        self.grid = _centred(source, self.shape, spacings)

    @property
    def exact(self) -> bool:
        """Whether no axis is resampled."""
        return all(weights is None for weights in self._forward)

    def forward(self, k: int, read: Callable[[int], NDArray[Any]]) -> NDArray[np.float32]:
        """Give network slice ``k`` (h, w) of what ``read`` gives: source slices (H, W). Not to be written to: it may be that slice."""
        plane = _combined(self._forward[0], k, read)
        return np.asarray(resample_plane(plane, self._forward[1], self._forward[2]), dtype=np.float32)

    def network_slices(self, i: int) -> tuple[int, ...]:
        """Give the network slices that source slice ``i`` comes back from."""
        return tuple(k for k, _ in _row(self._back[0], i))

    def back(self, i: int, read: Callable[[int], NDArray[Any]]) -> NDArray[np.float32]:
        """Give source slice ``i`` (classes, H, W) of what ``read`` gives: network slices (classes, h, w).

        Clipped to [0, 1] where it is resampled, since extrapolation at the border may pass the ends of the range; else it may
        be a view of what was read.
        """
        stack = _combined(self._back[0], i, read)
        if self.exact:
            return stack
        planes = [resample_plane(plane, self._back[1], self._back[2]) for plane in stack]
        for plane in planes:
            np.clip(plane, 0, 1, out=plane)
        return planes[0][None] if len(planes) == 1 else np.stack(planes)


def _centred(source: Grid, shape: tuple[int, int, int], spacing: Sequence[float]) -> Grid:
    """Give the grid of ``shape`` and ``spacing`` (mm) with the centre and the directions of ``source``."""
    affine = source.affine.copy()
    affine[:3, :3] *= np.asarray(spacing) / source.spacing
    affine[:3, 3] += source.affine[:3, :3] @ ((np.array(source.shape) - 1) / 2) - affine[:3, :3] @ ((np.array(shape) - 1) / 2)
    return Grid(shape, affine)


def _row(weights: sparse.csr_matrix | None, index: int) -> list[tuple[int, np.float32]]:
    """Give the samples that output sample ``index`` is made of, and their weights."""
    if weights is None:
        return [(index, np.float32(1))]
    span = slice(weights.indptr[index], weights.indptr[index + 1])
    return [(int(k), weight) for k, weight in zip(weights.indices[span], weights.data[span], strict=True)]


def _combined(weights: sparse.csr_matrix | None, index: int, read: Callable[[int], NDArray[Any]]) -> NDArray[np.float32]:
    """Resample along the slices: the weighted sum of those that output slice ``index`` is made of."""
    if weights is None:
        return np.asarray(read(index), dtype=np.float32)
    (first, weight), *others = _row(weights, index)
    total: NDArray[np.float32] = np.multiply(read(first), weight, dtype=np.float32)
    for k, weight in others:
        total += np.multiply(read(k), weight, dtype=np.float32)
    return total
