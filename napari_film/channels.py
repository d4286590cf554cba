"""One channel of a patient, seen slice by slice on the reference's grid.

Channels of one patient rarely share a grid: they are brought together through their affines, never by array index.
"""

from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_film.normalisation import Normalisation, statistics
from napari_film.resampling import inside, interpolate, positions
from napari_film.volume import Grid, Reorder, reordering

# Corners this close, in mm, make two grids the same: their voxels are taken as they are.
SAME_GRID = 1e-4
# Points along each axis of the lattice on which coverage is measured.
_LATTICE = 32
# Interpolated slices that are kept: neighbours on a network grid share them where the spacing along N differs.
_KEPT = 8


class Channel:
    """Voxels of one channel on the reference's sliced layout (N, H, W); nothing is read before it is asked for.

    Any thread may ask. What is kept (statistics, filling, the last interpolated slices) comes out the same in each, and is put
    in its place whole: two threads at a time may compute it twice, and never see a part of it.

    Parameters
    ----------
    data
        (I, J, K) of this channel's own file.
    grid
        Where they lie.
    reference
        Grid of the reference channel as stored.
    order
        From the reference's storage order to its sliced layout.
    normalisation
        Of this channel.

    Attributes
    ----------
    coverage
        Part of the reference's voxels inside this channel's field of view, measured on a lattice of at most 32^3 of them.
    """

    def __init__(self, data: NDArray[Any], grid: Grid, *, reference: Grid, order: Reorder, normalisation: Normalisation) -> None:
        self.data = data
        self.grid = grid
        self.normalisation = normalisation
        self._sliced = order.grid(reference)
        same = reordering(grid, reference, tolerance=SAME_GRID)
        self._aligned = None if same is None else order.apply(same.apply(data))
        self.coverage = 1.0 if same is not None else float(inside(self._lattice, grid.shape).mean())
        if self._aligned is None and not (data.flags.c_contiguous or data.flags.f_contiguous):
            self.data = np.asfortranarray(data)  # once here, or interpolation would copy it for every slice
        self._kept: tuple[tuple[int, NDArray[np.float32]], ...] = ()  # newest first; replaced, never changed

    @property
    def aligned(self) -> bool:
        """Whether the channel has the reference's voxels, in whatever storage order."""
        return self._aligned is not None

    @cached_property
    def statistics(self) -> tuple[float, float]:
        """Mean and standard deviation of the channel's own voxels."""
        return statistics(self.data)

    @cached_property
    def fill(self) -> float:
        """What stands where the channel has no voxels: the mean of its covered part, taken on the lattice of the coverage."""
        held = inside(self._lattice, self.grid.shape)
        return float(interpolate(self.data, [axis[held] for axis in self._lattice]).mean(dtype=np.float64)) if held.any() else 0.0

    def slice(self, i: int) -> NDArray[np.float32]:
        """Give slice ``i`` of the reference, (H, W), not normalised and not to be written to.

        A channel on the reference's grid is taken voxel by voxel, others are interpolated trilinearly through the affines;
        beyond their field of view stands :attr:`fill`.
        """
        if self._aligned is not None:
            return np.asarray(self._aligned[i], dtype=np.float32)
        kept = self._kept
        plane = next((plane for index, plane in kept if index == i), None)
        if plane is None:
            plane = self._interpolated(i)
            plane.flags.writeable = False
        self._kept = ((i, plane), *(pair for pair in kept if pair[0] != i))[:_KEPT]
        return plane

    def normalised(self, image: NDArray[np.float32], *, out: NDArray[np.float32] | None = None) -> NDArray[np.float32]:
        """Normalise a network slice (h, w) of this channel, into ``out`` or a new array."""
        return self.normalisation.apply(image, volume=self.statistics if self.normalisation.needs_volume else None, out=out)

    def _interpolated(self, i: int) -> NDArray[np.float32]:
        _, height, width = self._sliced.shape
        axes = [np.array([i], dtype=np.float64), np.arange(height, dtype=np.float64), np.arange(width, dtype=np.float64)]
        coordinates = [axis[0] for axis in positions(self._sliced.affine, self.grid, axes)]
        held = inside(coordinates, self.grid.shape)
        plane = np.full((height, width), self.fill, dtype=np.float32)
        plane[held] = interpolate(self.data, [axis[held] for axis in coordinates])
        return plane

    @cached_property
    def _lattice(self) -> list[NDArray[np.float64]]:
        counts = [min(length, _LATTICE) for length in self._sliced.shape]
        spread = [(np.arange(m, dtype=np.float64) + 0.5) * (n / m) - 0.5 for m, n in zip(counts, self._sliced.shape, strict=True)]
        return positions(self._sliced.affine, self.grid, spread)
