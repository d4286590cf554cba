"""Numbers for one mask, and for two masks A and B held against each other.

    Dice           2 |A and B| / (|A| + |B|)
    surface Dice   (surface voxels of A within t mm of B's surface + those of B within t of A's) / all surface voxels of both
    HD95           the larger of two 95th percentiles: distances from A's surface voxels to B's surface, and from B's to A's

Surface Dice is the normalised surface distance of Nikolov et al. 2018, with surface voxels as in `surface`, as MONAI counts
them. Percentiles are interpolated linearly.

Masks are boolean or uint8, where anything but 0 is foreground, on three axes of any one layout; ``spacing`` is mm along their
axes, and sheared voxels are taken as if they were not. Empty masks:

    |            | Dice | surface Dice | HD95 |
    | both empty | 1    | 1            | 0    |
    | one empty  | 0    | 0            | inf  |
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from napari_film.comparison.surface import Surface, box
from napari_film.inference.components import components

Mask = NDArray[np.bool_] | NDArray[np.uint8]

# Spacings come from affines, whose rounding shall not tell two steps of 1 mm from a tolerance of 2 mm.
_ROUNDING = 1e-6


def dice(a: Mask, b: Mask) -> float:
    """Overlap of two masks, 0 to 1.

    Raises
    ------
    ValueError
        If they differ in shape.
    """
    _check(a, b)
    total = int(np.count_nonzero(a)) + int(np.count_nonzero(b))
    if not total:
        return 1.0
    inside = box(a)
    return 2 * int(np.count_nonzero(np.logical_and(a[inside], b[inside]))) / total


def surface_dice(a: Mask, b: Mask, spacing: Sequence[float], *, tolerance: float) -> float:
    """Part of both surfaces that lies within ``tolerance`` mm of the other, 0 to 1; raises as `dice`."""
    _check(a, b)
    return surface_scores(Surface(a, spacing), Surface(b, spacing), tolerance=tolerance)[0]


def hausdorff95(a: Mask, b: Mask, spacing: Sequence[float]) -> float:
    """95 % Hausdorff distance in mm; raises as `dice`."""
    _check(a, b)
    return surface_scores(Surface(a, spacing), Surface(b, spacing), tolerance=0)[1]


def surface_scores(a: Surface, b: Surface, *, tolerance: float) -> tuple[float, float]:
    """Surface Dice within ``tolerance`` mm, and the 95 % Hausdorff distance in mm, from the same distances."""
    total = len(a.points) + len(b.points)
    if not total:
        return 1.0, 0.0
    if not len(a.points) or not len(b.points):
        return 0.0, float("inf")
    both = a.distances(b), b.distances(a)
    near = sum(int(np.count_nonzero(distances <= tolerance * (1 + _ROUNDING))) for distances in both)
    return near / total, max(float(np.percentile(distances, 95)) for distances in both)


def volume_ml(mask: Mask, voxel_mm3: float) -> float:
    """Volume in ml, where a voxel has ``voxel_mm3``."""
    return int(np.count_nonzero(mask)) * voxel_mm3 / 1000


def component_count(mask: Mask) -> int:
    """Count the connected parts; voxels are neighbours that share a face, an edge or a corner (26)."""
    return len(components(np.ascontiguousarray(mask[box(mask)]).astype(np.bool_, copy=False)).sizes)


def _check(a: Mask, b: Mask) -> None:
    if a.shape != b.shape:
        raise ValueError(f"masks of {a.shape} and {b.shape} voxels; expected one shape")
