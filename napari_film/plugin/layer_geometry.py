"""Where the voxels of a layer lie: in its file, in napari's display and in the patient.

Layers that we make have the axes (S, A, R): closest to canonical, all in their positive sense, so that ``scale`` and
``translate`` alone place them and napari can slice them. The display is de-obliqued: with Q the rotation that an affine is
closest to, it shows the world turned by Q⁻¹. That keeps volumes of one session (one Q) aligned, and is the world itself
where Q is the identity.

    RAS mm = to_ras @ world        world: napari's axes of the last three dimensions, in mm

A picture, which has two axes, counts as the one slice of a volume: its rows and columns are the last two of the three, and
that it has no first one is its layer's business alone.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_film.volume import AnatomicalAxis, FileGeometry, Grid, Reorder, SliceAxis, Volume, anatomical, closest_axes, slicing, towards

REVERSED = np.eye(4)[[2, 1, 0, 3]]
"""(x, y, z) to (z, y, x) and back."""


@dataclass(frozen=True, eq=False)
class LayerGeometry:
    """How the axes of a layer, of the display and of a patient belong together.

    Parameters
    ----------
    grid
        Where the voxels lie, in the order of their file (I, J, K).
    order
        From (I, J, K) to the layer's last three axes.
    world
        (4, 4), index along the layer's last three axes to napari's last three world axes, in mm.
    file
        What the file's header said, if there was a file.
    flat
        Whether the layer has two axes alone, rows and columns: it lacks the first of the three, along which it is one voxel.
    """

    grid: Grid
    order: Reorder
    world: NDArray[np.float64]
    file: FileGeometry | None = None
    flat: bool = False

    @cached_property
    def lattice(self) -> tuple[int, int, int]:
        """Voxels along the three axes; 1 along the first of a flat layer."""
        return self.order.grid(self.grid).shape

    @cached_property
    def shape(self) -> tuple[int, ...]:
        """Voxels along the layer's own axes: its last three, or its two."""
        return self.lattice[1:] if self.flat else self.lattice

    @cached_property
    def to_ras(self) -> NDArray[np.float64]:
        """(4, 4), napari's last three world axes (mm) to RAS mm."""
        return np.asarray(self.order.grid(self.grid).affine @ np.linalg.inv(self.world), dtype=np.float64)

    @cached_property
    def letters(self) -> tuple[str, str, str]:
        """Where napari's last three world axes point, closest, no two along one axis: ("S", "A", "R") for layers of ours."""
        a, b, c = (("LR", "PA", "IS")[ras][sense > 0] for ras, sense in closest_axes(self.to_ras))
        return a, b, c

    def anatomical(self, slice_axis: SliceAxis) -> AnatomicalAxis:
        """Which anatomical axis the slices are stacked closest to; the display is turned to it."""
        return anatomical(self.grid, slice_axis)

    def slice_dimension(self, slice_axis: SliceAxis) -> int:
        """Which of the layer's last three axes slices are stacked along: 0, 1 or 2."""
        return self.order.axes.index(slicing(self.grid, slice_axis).axes[0])

    def slice_of(self, index: int, slice_axis: SliceAxis) -> int:
        """Turn an index along the layer's slice dimension into the N of the sliced layout, or back: it is its own inverse."""
        dimension = self.slice_dimension(slice_axis)
        against = slicing(self.grid, slice_axis).flips[0] != self.order.flips[dimension]
        return self.lattice[dimension] - 1 - index if against else index

    def to_layer(self, stack: NDArray[Any], slice_axis: SliceAxis) -> NDArray[Any]:
        """Show (..., N, H, W) in the layer's order; a view, so what is written to the stack shows in the layer."""
        shown = self.order.apply(slicing(self.grid, slice_axis).undo(stack))
        return shown[..., 0, :, :] if self.flat else shown

    def to_sliced(self, array: NDArray[Any], slice_axis: SliceAxis) -> NDArray[Any]:
        """Take back :meth:`to_layer`; a view."""
        whole = array[..., None, :, :] if self.flat else array
        return slicing(self.grid, slice_axis).apply(self.order.undo(whole))


def pictured(grid: Grid) -> LayerGeometry:
    """Show a picture (I, J, 1) as its rows and columns (J, I), as it is stored: nobody's left and right are known of it."""
    return LayerGeometry(grid, Reorder((2, 1, 0), (False, False, False)), REVERSED @ grid.affine @ REVERSED, flat=True)


def displayed(volume: Volume) -> LayerGeometry:
    """Choose how to show ``volume``: (S, A, R) axes, with scale and translate alone."""
    order = towards(volume.grid, (2, 1, 0))
    affine = REVERSED @ order.grid(volume.grid).affine
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    left, _, right = np.linalg.svd(affine[:3, :3] / spacing)
    world = np.diag([*spacing, 1.0])
    world[:3, 3] = (left @ right).T @ affine[:3, 3]
    return LayerGeometry(volume.grid, order, world, volume.file)
