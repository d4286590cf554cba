"""Linear resampling along axes, and between oblique grids.

Along an axis, an output sample at position x (in input voxels) is the value at x of the line that fits the
input samples f_j best, weighted by a hat kernel (local linear regression; Lancaster & Salkauskas 1981):

    min over a, b of  sum_j k_j (f_j - a - b (j - x))^2,   k_j = max(0, 1 - |j - x| / r),   r = max(1, t / s)

    w_j = k_j (S_2 - S_1 (j - x)) / (S_0 S_2 - S_1^2),     S_m = sum_j k_j (j - x)^m

where s and t are the spacings of input and output. Without downsampling this is linear interpolation; with it,
the kernel widens and keeps out what the coarser grid cannot hold. Linear fields are reproduced everywhere, also
in the part of a voxel beyond the first and last centre, so resampling neither shifts nor shrinks anything.

Axes: n_in and n_out are the samples of one axis; (N, H, W) is the sliced layout of a grid.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from napari_film.volume import Grid

# Spacings this close (relative) are the same: the axis is not resampled.
SPACING_TOLERANCE = 1e-3
# Kernel weights below this are rounding, and would divide by nothing.
_NEGLIGIBLE = 1e-9
_POINTS = 1 << 14  # interpolated at a time: what is known of them stays in the cache


def resampled_length(length: int, spacing: float, target: float) -> int:
    """Count the samples at ``target`` mm that cover the field of view of ``length`` samples at ``spacing`` mm, at least one."""
    # Half rounds up, whatever the parity: the same field of view gives the same count in every language.
    return max(1, int(np.floor(length * spacing / target + 0.5)))


def axis_weights(length: int, spacing: float, new_length: int, new_spacing: float) -> sparse.csr_matrix:
    """Give the matrix that resamples one axis; both fields of view have the same centre.

    Parameters
    ----------
    length, spacing
        Input samples and their distance in mm.
    new_length, new_spacing
        Output samples and their distance in mm.

    Returns
    -------
    scipy.sparse.csr_matrix
        (new_length, length), float32; every row sums to one.
    """
    ratio = new_spacing / spacing
    position = (np.arange(new_length) + 0.5 - new_length / 2) * ratio + length / 2 - 0.5
    if length == 1:
        return sparse.csr_matrix(np.ones((new_length, 1), dtype=np.float32))
    radius = max(1.0, ratio)
    reach = int(np.ceil(radius))
    sample = np.floor(position).astype(np.int64)[:, None] + np.arange(-reach, reach + 2)
    kernel = np.where((sample >= 0) & (sample < length), 1 - np.abs(sample - position[:, None]) / radius, 0)
    kernel[kernel < _NEGLIGIBLE] = 0
    # A line needs two samples: where the kernel holds fewer, the nearest two stand in.
    lonely = (kernel > 0).sum(axis=1) < 2
    nearest = np.clip(np.floor(position[lonely]).astype(np.int64), 0, length - 2)
    sample[lonely, :2] = nearest[:, None] + np.arange(2)
    kernel[lonely] = 0
    kernel[lonely, :2] = 1
    offset = sample - position[:, None]
    moment_0, moment_1, moment_2 = ((kernel * offset**power).sum(axis=1, keepdims=True) for power in range(3))
    weights = kernel * (moment_2 - moment_1 * offset) / (moment_0 * moment_2 - moment_1**2)
    row, column = np.nonzero(np.abs(weights) > _NEGLIGIBLE)
    entries = (weights[row, column].astype(np.float32), (row, sample[row, column]))
    return sparse.csr_matrix(entries, shape=(new_length, length))


def resample_plane(plane: NDArray[Any], rows: sparse.csr_matrix | None, columns: sparse.csr_matrix | None) -> NDArray[Any]:
    """Resample ``plane`` (H, W) along both axes; None leaves an axis as it is."""
    if rows is not None:
        plane = rows @ plane
    if columns is not None:
        plane = (columns @ plane.T).T
    return plane


def positions(start: NDArray[np.float64], grid: Grid, axes: list[NDArray[np.float64]]) -> list[NDArray[np.float64]]:
    """Give the voxel coordinates in ``grid`` of a lattice of points.

    Parameters
    ----------
    start
        (4, 4) affine of the grid that ``axes`` index, to RAS+ mm.
    grid
        The grid whose coordinates are asked for.
    axes
        Indices along each of the three axes; they need not be whole.

    Returns
    -------
    list of numpy.ndarray
        Three arrays, each of the lattice's shape: i, j and k in ``grid``.
    """
    turn = np.linalg.inv(grid.affine) @ start
    first, second, third = axes[0][:, None, None], axes[1][None, :, None], axes[2][None, None, :]
    return [row[0] * first + row[1] * second + row[2] * third + row[3] for row in turn[:3]]


def inside(coordinates: list[NDArray[np.float64]], shape: tuple[int, int, int]) -> NDArray[np.bool_]:
    """Tell which voxel coordinates lie in the field of view: within half a voxel of some voxel's centre along each axis."""
    slack = 1e-6
    held = np.ones(coordinates[0].shape, dtype=np.bool_)
    for coordinate, length in zip(coordinates, shape, strict=True):
        held &= (coordinate >= -0.5 - slack) & (coordinate <= length - 0.5 + slack)
    return held


def interpolate(data: NDArray[Any], coordinates: list[NDArray[np.float64]]) -> NDArray[np.float32]:
    """Interpolate ``data`` (I, J, K) trilinearly at voxel coordinates inside its field of view.

    The half voxel beyond the outermost centres is extrapolated linearly, so that linear fields stay linear.

    Parameters
    ----------
    data
        (I, J, K), any real dtype; only the voxels around the points are read.
    coordinates
        i, j and k, each (P,).

    Returns
    -------
    numpy.ndarray
        (P,)
    """
    flat, strides = _flattened(np.asarray(data))
    steps = [stride if length > 1 else 0 for stride, length in zip(strides, data.shape, strict=True)]
    value = np.zeros(coordinates[0].shape, dtype=np.float32)
    for start in range(0, len(value), _POINTS):
        part = slice(start, start + _POINTS)
        base: NDArray[np.intp] = np.zeros(value[part].shape, dtype=np.intp)
        sides = []
        for coordinate, length, stride in zip(coordinates, data.shape, strides, strict=True):
            below = np.clip(np.floor(coordinate[part]), 0, max(length - 2, 0))
            fraction = (coordinate[part] - below if length > 1 else np.zeros_like(below)).astype(np.float32)
            sides.append((1 - fraction, fraction))
            base += below.astype(np.intp) * stride
        for i, j, k in np.ndindex(2, 2, 2):
            weight = sides[0][i] * sides[1][j]
            weight *= sides[2][k]
            corner = flat.take(base + (i * steps[0] + j * steps[1] + k * steps[2]), mode="clip")  # all are inside; "raise" is slower
            weight *= corner.astype(np.float32, copy=False)
            value[part] += weight
    return value


def _flattened(data: NDArray[Any]) -> tuple[NDArray[Any], tuple[int, int, int]]:
    """Give all voxels in one row without a copy where the storage allows, and the row's steps along I, J, K."""
    i, j, k = data.shape
    if data.flags.c_contiguous:
        return data.reshape(-1), (j * k, k, 1)
    return data.reshape(-1, order="F"), (1, i, i * j)
