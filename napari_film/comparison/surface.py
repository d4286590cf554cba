"""The surface of a mask, and distances between surfaces.

A *surface voxel* is a foreground voxel with at least one of its six face neighbours in the background; beyond the array is
background. Distances run between the centres of surface voxels in mm, to the nearest one of the other surface. This is the
convention of MONAI's metrics (those that take no spacing for the surface itself).

An axis of a single voxel, as pictures have, has no border: the surface of a mask there is its outline, as MONAI has it in 2D.
"""

from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import KDTree


class Surface:
    """The surface voxels of one mask.

    Kept between comparisons: what is found out of one mask is found once, however many it is held against.

    Parameters
    ----------
    mask
        Three axes, any one layout; anything but 0 is foreground.
    spacing
        mm along its axes. Voxels that are sheared are taken as if they were not.

    Attributes
    ----------
    points
        (P, 3) centres of surface voxels in mm along the axes; (0, 3) of an empty mask.
    """

    def __init__(self, mask: NDArray[np.bool_] | NDArray[np.uint8], spacing: Sequence[float]) -> None:
        inside = box(mask)
        part = np.ascontiguousarray(mask[inside]).astype(np.bool_, copy=False)
        start = [side.start for side in inside]
        axes = [axis for axis, length in enumerate(mask.shape) if length > 1] or range(3)
        self.points: NDArray[np.float64] = (np.argwhere(part & ~_inner(part, axes)) + start) * np.asarray(spacing, dtype=np.float64)

    def distances(self, other: "Surface") -> NDArray[np.float64]:
        """How far in mm each point (P,) is from the nearest of ``other``; inf where that has none."""
        if not len(other.points):
            return np.full(len(self.points), np.inf)
        distances: NDArray[np.float64] = other._tree.query(self.points)[0]
        return distances

    @cached_property
    def _tree(self) -> KDTree:
        # Thousands of voxels of a surface, against millions of a distance transform of the box around two masks.
        return KDTree(self.points, leafsize=32)


def box(mask: NDArray[Any]) -> tuple[slice, slice, slice]:
    """Give the smallest box that holds the foreground; an empty one for an empty mask."""
    planes = np.asarray(mask.any(axis=2), dtype=np.bool_)
    sides = [np.flatnonzero(along) for along in (planes.any(axis=1), planes.any(axis=0), mask.any(axis=(0, 1)))]
    first, second, third = (slice(int(side[0]), int(side[-1]) + 1) if len(side) else slice(0, 0) for side in sides)
    return first, second, third


def _inner(mask: NDArray[np.bool_], axes: Iterable[int]) -> NDArray[np.bool_]:
    """Voxels that have both face neighbours along each of ``axes``."""
    inner = mask.copy()
    for axis in axes:
        moved, kept = np.moveaxis(mask, axis, 0), np.moveaxis(inner, axis, 0)
        kept[1:] &= moved[:-1]
        kept[:-1] &= moved[1:]
        kept[:1] = kept[-1:] = False
    return inner
