"""Volumes on lattices of voxels, and the orders in which their voxels can be stored.

Voxel indices are (i, j, k) along the axes I, J, K of the file; world coordinates are RAS+ mm, that is
(x, y, z) grow towards the patient's Right, Anterior and Superior. An affine maps the first to the second:

    (x, y, z, 1) = A (i, j, k, 1)

The *sliced layout* (N, H, W) is got from (I, J, K) by flips and a permutation alone, so nothing is interpolated. Its slices
lie across an anatomical axis, or as they were *acquired*, whatever their obliquity; then nothing is flipped either.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from napari_film.errors import InputError

AnatomicalAxis = Literal["axial", "coronal", "sagittal"]
SliceAxis = Literal["axial", "coronal", "sagittal", "acquired"]

ACROSS: dict[AnatomicalAxis, tuple[int, int, int]] = {"axial": (2, 1, 0), "coronal": (1, 2, 0), "sagittal": (0, 2, 1)}
"""World axes (0: R, 1: A, 2: S) of the sliced layout's N, H and W."""

SLICED_AXES: dict[SliceAxis, tuple[int, int, int]] = {
    "axial": ACROSS["axial"],
    "coronal": ACROSS["coronal"],
    "sagittal": ACROSS["sagittal"],
    "acquired": (2, 1, 0),
}
"""Which of three numbers along R, A, S belong to N, H and W; of acquired slices the three are along columns, rows and slices."""

# How many times as thick as wide voxels are, at least, where their thickness tells which axis was acquired as slices.
_THICK = 1.1


class GeometryError(InputError):
    """Volumes whose geometry cannot be used, alone or together."""


@dataclass(frozen=True, eq=False)
class Grid:
    """A lattice of voxels.

    Parameters
    ----------
    shape
        Voxels along I, J, K.
    affine
        (4, 4), voxel index (i, j, k, 1) to RAS+ mm. Whole indices are voxel centres.

    Raises
    ------
    GeometryError
        If an axis has no voxels, or the affine is singular or not finite.
    """

    shape: tuple[int, int, int]
    affine: NDArray[np.float64]

    def __post_init__(self) -> None:
        if len(self.shape) != 3 or min(self.shape) < 1:
            raise GeometryError(f"The shape {tuple(self.shape)} was found where three axes of at least one voxel each are expected.")
        if self.affine.shape != (4, 4) or not np.isfinite(self.affine).all():
            raise GeometryError("The affine is not a 4 x 4 matrix of finite numbers; repair the file's geometry.")
        if is_singular(self.affine):
            raise GeometryError("The affine is singular: it folds the volume flat; repair the file's geometry.")

    @property
    def spacing(self) -> tuple[float, float, float]:
        """Distance in mm between neighbouring voxels along I, J, K."""
        i, j, k = np.linalg.norm(self.affine[:3, :3], axis=0)
        return float(i), float(j), float(k)

    @property
    def corners(self) -> NDArray[np.float64]:
        """Centres of the eight corner voxels, (8, 3), RAS+ mm."""
        ends = np.stack(np.meshgrid(*[(0, n - 1) for n in self.shape], indexing="ij"), axis=-1).reshape(8, 3)
        return np.asarray(ends @ self.affine[:3, :3].T + self.affine[:3, 3], dtype=np.float64)

    @property
    def axis_codes(self) -> str:
        """Where I, J and K point, closest: "RAS" for a canonical grid, "LPS" for a DICOM-like one."""
        return "".join(("LR", "PA", "IS")[axis][sign > 0] for axis, sign in closest_axes(self.affine))

    def agrees(self, other: "Grid", *, tolerance: float = 1e-3) -> bool:
        """Whether both have the same shape and no corner is more than ``tolerance`` mm off."""
        return self.shape == other.shape and bool(np.linalg.norm(self.corners - other.corners, axis=1).max() <= tolerance)


@dataclass(frozen=True, eq=False)
class FileGeometry:
    """What a NIfTI header said about geometry, so that a result can say the same.

    Matrices and sizes are as stored, in the file's own unit; ``Volume.affine`` is in mm.

    Parameters
    ----------
    ndim
        2, 3 or 4: axes of the file, without trailing axes of length one beyond the third.
    sform, sform_code, qform, qform_code
        (4, 4) matrices and their NIfTI codes; code 0 says that the matrix means nothing.
    spatial_unit, time_unit
        "mm", "meter", "micron" or "unknown"; "sec", "msec", "usec", "hz", "ppm", "rads" or "unknown".
    time_step
        Step of the fourth axis, in ``time_unit``.
    pixdim
        qfac and the voxel sizes along I, J, K as stored.
    quaternion
        quatern_b, quatern_c and quatern_d as stored.
    version
        1 for NIfTI-1, 2 for NIfTI-2.
    """

    ndim: int
    sform: NDArray[np.float64]
    sform_code: int
    qform: NDArray[np.float64]
    qform_code: int
    spatial_unit: str
    time_unit: str
    time_step: float
    pixdim: tuple[float, float, float, float]
    quaternion: tuple[float, float, float]
    version: int = 1

    @property
    def orientation_known(self) -> bool:
        """False where neither form has a code: the file does not tell left from right."""
        return self.sform_code > 0 or self.qform_code > 0


@dataclass(frozen=True, eq=False)
class Volume:
    """Voxels, where they lie, and what the file said.

    Parameters
    ----------
    data
        (I, J, K) or (I, J, K, T), any real numeric dtype; memory-mapped where the file allows.
    affine
        (4, 4), voxel index to RAS+ mm.
    name
        File name without its folders, since a folder can name a patient.
    file
        What the header said; None for a volume that was made in memory.

    Raises
    ------
    GeometryError
        If the data has not 3 or 4 axes, is not real numbers, or the grid is refused.
    """

    data: NDArray[Any]
    affine: NDArray[np.float64]
    name: str = ""
    file: FileGeometry | None = None

    def __post_init__(self) -> None:
        if self.data.ndim not in (3, 4) or 0 in self.data.shape:
            raise GeometryError(f"{self.label} has the shape {self.data.shape}; (I, J, K) or (I, J, K, T) is expected.")
        if self.data.dtype.kind not in "biuf":
            raise GeometryError(f"{self.label} holds {self.data.dtype} values; one real number per voxel is expected.")
        _ = self.grid

    @property
    def label(self) -> str:
        """The name for messages."""
        return self.name or "The volume"

    @cached_property
    def grid(self) -> Grid:
        """The lattice of one frame."""
        i, j, k = self.data.shape[:3]
        return Grid((int(i), int(j), int(k)), self.affine)

    @property
    def spacing(self) -> tuple[float, float, float]:
        """Distance in mm between neighbouring voxels along I, J, K."""
        return self.grid.spacing


@dataclass(frozen=True)
class Reorder:
    """Another storage order of the same voxels: a permutation of the axes, then flips.

    Parameters
    ----------
    axes
        Axis d of the result is axis ``axes[d]`` of the input.
    flips
        Whether axis d of the result runs against the input's.
    """

    axes: tuple[int, int, int]
    flips: tuple[bool, bool, bool]

    def apply(self, array: NDArray[Any], *, first: int = -3) -> NDArray[Any]:
        """Reorder three neighbouring axes of ``array``, the first of which is ``first``; a view, never a copy."""
        first %= array.ndim
        order = [*range(first), *(first + axis for axis in self.axes), *range(first + 3, array.ndim)]
        return array.transpose(order)[self._flip(first)]

    def undo(self, array: NDArray[Any], *, first: int = -3) -> NDArray[Any]:
        """Take back :meth:`apply`; a view, never a copy."""
        first %= array.ndim
        order = [*range(first), *(first + self.axes.index(axis) for axis in range(3)), *range(first + 3, array.ndim)]
        return array[self._flip(first)].transpose(order)

    def grid(self, grid: Grid) -> Grid:
        """Where the reordered voxels lie: the same places, other indices."""
        to_input = np.zeros((4, 4))
        to_input[3, 3] = 1
        for axis, (source, flip) in enumerate(zip(self.axes, self.flips, strict=True)):
            to_input[source, axis] = -1 if flip else 1
            to_input[source, 3] = grid.shape[source] - 1 if flip else 0
        n, h, w = (grid.shape[axis] for axis in self.axes)
        return Grid((n, h, w), grid.affine @ to_input)

    def _flip(self, first: int) -> tuple[slice, ...]:
        return (slice(None),) * first + tuple(slice(None, None, -1 if flip else 1) for flip in self.flips)


def is_singular(affine: NDArray[np.float64]) -> bool:
    """Whether ``affine`` (4, 4) loses a dimension, judged on its columns scaled to unit length."""
    lengths = np.linalg.norm(affine[:3, :3], axis=0)
    return bool(lengths.min() == 0 or abs(np.linalg.det(affine[:3, :3] / lengths)) < 1e-6)


def closest_axes(affine: NDArray[np.float64]) -> tuple[tuple[int, int], ...]:
    """For each voxel axis, the world axis closest to it (0: R, 1: A, 2: S) and +1 or -1 for its sense.

    The closest rotation to the affine's directions is found by singular values (their polar factor);
    world axes are then given out one by one, clearest first, so that no two voxel axes get the same.
    The rule is nibabel's ``io_orientation``.
    """
    directions = affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0)
    left, _, right = np.linalg.svd(directions)
    rotation = left @ right
    found: dict[int, tuple[int, int]] = {}
    for axis in np.argsort(-(rotation**2).max(axis=0), kind="stable"):
        world = int(np.abs(rotation[:, axis]).argmax())
        found[int(axis)] = (world, 1 if rotation[world, axis] > 0 else -1)
        rotation[world] = 0
    return tuple(found[axis] for axis in range(3))


def towards(grid: Grid, world_axes: tuple[int, int, int]) -> Reorder:
    """Give the order in which the axes run closest to ``world_axes`` (0: R, 1: A, 2: S), all in their positive sense."""
    closest = closest_axes(grid.affine)
    worlds = [world for world, _ in closest]
    first, second, third = (worlds.index(world) for world in world_axes)
    axes = (first, second, third)
    return Reorder(axes, (closest[first][1] < 0, closest[second][1] < 0, closest[third][1] < 0))


def slicing(grid: Grid, slice_axis: SliceAxis) -> Reorder:
    """Give the order from (I, J, K) to the sliced layout (N, H, W); ``axes[0]`` is the storage axis of the slices.

    Acquired slices lie along an axis of one voxel; else along that of the thickest voxels, where one is clearly that; else
    along the file's third. H is the later of the other two axes and W the earlier, as the file has them.
    """
    if slice_axis != "acquired":
        return towards(grid, ACROSS[slice_axis])
    across = _acquired(grid)
    earlier, later = (axis for axis in range(3) if axis != across)
    return Reorder((across, later, earlier), (False, False, False))


def _acquired(grid: Grid) -> int:
    single = [axis for axis in range(3) if grid.shape[axis] == 1]
    if single:
        return single[-1]
    _, second, thickest = sorted(range(3), key=lambda axis: grid.spacing[axis])
    return thickest if grid.spacing[thickest] >= _THICK * grid.spacing[second] else 2


def anatomical(grid: Grid, slice_axis: SliceAxis) -> AnatomicalAxis:
    """Give the anatomical axis that the slices of ``grid`` are stacked closest to: for acquired ones it depends on their obliquity."""
    world, _ = closest_axes(grid.affine)[slicing(grid, slice_axis).axes[0]]
    return next(name for name, axes in ACROSS.items() if axes[0] == world)


def described(grid: Grid, slice_axis: SliceAxis) -> Grid:
    """Give ``grid`` in the order in which spacings and sizes of a model are told: R, A, S; of acquired slices columns, rows, slices."""
    if slice_axis != "acquired":
        return towards(grid, (0, 1, 2)).grid(grid)
    slices, rows, columns = slicing(grid, slice_axis).axes
    return Reorder((columns, rows, slices), (False, False, False)).grid(grid)


def axis_names(slice_axis: SliceAxis) -> tuple[str, str, str]:
    """What the axes of `described` are called."""
    return ("columns", "rows", "slices") if slice_axis == "acquired" else ("R", "A", "S")


def reordering(source: Grid, target: Grid, *, tolerance: float = 1e-3) -> Reorder | None:
    """Give the order that turns ``source`` into ``target``, or None where they are not the same voxels.

    Parameters
    ----------
    source, target
        Grids in world coordinates.
    tolerance
        Distance in mm that the corners may be apart.
    """
    # From the matrices rather than from closest_axes: two orders of one grid tilted by 45 degrees may round differently.
    turn = np.rint(np.linalg.inv(target.affine)[:3, :3] @ source.affine[:3, :3])
    if not ((np.abs(turn).sum(axis=0) == 1).all() and (np.abs(turn).sum(axis=1) == 1).all()):
        return None
    first, second, third = (int(axis) for axis in np.abs(turn).argmax(axis=1))
    order = Reorder((first, second, third), (bool(turn[0, first] < 0), bool(turn[1, second] < 0), bool(turn[2, third] < 0)))
    return order if order.grid(source).agrees(target, tolerance=tolerance) else None


def pieces(array: NDArray[Any], voxels: int = 1 << 20) -> Iterator[NDArray[Any]]:
    """Cut ``array`` into views of at most ``voxels`` voxels each, in the order of a NIfTI file: I runs fastest.

    Where it is cut depends on its shape alone. A piece of an array in Fortran order is one stretch of its memory.
    """
    axis = max((axis for axis, length in enumerate(array.shape) if length > 1), default=None)
    if axis is None or array.size <= voxels:
        yield array
        return
    before, middle = (slice(None),) * axis, array.shape[axis] // 2
    yield from pieces(array[(*before, slice(middle))], voxels)
    yield from pieces(array[(*before, slice(middle, None))], voxels)


def canonical(volume: Volume) -> Volume:
    """Show ``volume`` with its axes closest to R, A, S: a view of its data and the affine that belongs to it.

    The result has no ``file``, since the header describes another order.
    """
    order = towards(volume.grid, (0, 1, 2))
    return Volume(order.apply(volume.data, first=0), order.grid(volume.grid).affine, volume.name)
