"""Connected components of a mask, found by its runs of voxels.

A run is an unbroken row of voxels along the last axis. Two runs belong together where voxels of theirs are neighbours, and
a component is what such pairs link. There are far fewer runs than voxels, so nothing but the mask is as large as the mask.

Axes: (N, H, W), R runs, C components.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, sparse
from scipy.sparse import csgraph

# A run costs about as many bytes as this many labels of single voxels: a mask of noise is cheaper voxel by voxel.
_RUN = 20


@dataclass(frozen=True)
class Components:
    """The components of one mask.

    Parameters
    ----------
    starts, stops
        (R,) the first voxel of each run and the one after its last, counted in C order through the mask.
    owners
        (R,) the component that each run belongs to.
    sizes
        (C,) voxels of each component. The order of components means nothing.
    """

    starts: NDArray[np.int64]
    stops: NDArray[np.int64]
    owners: NDArray[np.int32]
    sizes: NDArray[np.int64]

    def voxels(self, chosen: NDArray[np.bool_]) -> NDArray[np.int64]:
        """Give the voxels, counted in C order, of the components that are ``chosen`` (C,)."""
        runs = chosen[self.owners]
        starts, lengths = self.starts[runs], (self.stops - self.starts)[runs]
        before = np.cumsum(lengths) - lengths
        return np.repeat(starts - before, lengths) + np.arange(lengths.sum())


def components(mask: NDArray[np.bool_], *, corners: bool = True) -> Components:
    """Find the components of ``mask`` (N, H, W).

    Parameters
    ----------
    mask
        In any one layout: the components are the same in each.
    corners
        Whether voxels that share an edge or a corner are neighbours (26 of them), or those alone that share a face (6).
    """
    starts, stops = _runs(mask)
    if len(starts) * _RUN > mask.size:
        structure = ndimage.generate_binary_structure(3, 3 if corners else 1)
        owners = ndimage.label(mask, structure)[0].reshape(-1)[starts] - 1
    else:
        first, second = _neighbours(starts, stops, mask.shape, corners)
        links = sparse.coo_matrix((np.ones(len(first), dtype=np.bool_), (first, second)), shape=(len(starts),) * 2)
        _, owners = csgraph.connected_components(links, directed=False)
    sizes = np.bincount(owners, weights=stops - starts).astype(np.int64)  # exact: float64 counts to 2^53
    return Components(starts, stops, owners.astype(np.int32, copy=False), sizes)


def _runs(mask: NDArray[np.bool_]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Where runs start, and the voxels after their ends, (R,) each, ascending."""
    _, height, width = mask.shape
    changes = [np.empty(0, dtype=np.int64)]
    edges = np.zeros((height, width + 1), dtype=np.bool_)
    for n, plane in enumerate(mask):  # one slice at a time stays in the cache
        if not plane.any():
            continue
        edges[:, 0], edges[:, -1] = plane[:, 0], plane[:, -1]
        np.not_equal(plane[:, 1:], plane[:, :-1], out=edges[:, 1:-1])
        found = np.flatnonzero(edges)
        changes.append(found - found // (width + 1) + n * height * width)
    change = np.concatenate(changes)
    return change[::2], change[1::2]


def _neighbours(
    starts: NDArray[np.int64], stops: NDArray[np.int64], shape: tuple[int, ...], corners: bool
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Pairs of runs that are neighbours, each pair once: (P,) and (P,)."""
    _, height, width = shape
    # Places in a mask with an empty voxel all around, so that no step leads over an edge into another row or slice.
    row, column = np.divmod(starts, width)
    start = ((row // height) * (height + 2) + row % height + 1) * (width + 2) + column + 1
    stop = start + (stops - starts)
    reach = int(corners)
    first, second = [], []
    for n, h in [(0, 1), (1, -1), (1, 0), (1, 1)] if corners else [(0, 1), (1, 0)]:
        step = (n * (height + 2) + h) * (width + 2)
        low = np.searchsorted(stop, start + (step - reach), side="right")
        high = np.searchsorted(start, stop + (step + reach), side="left")
        count = np.maximum(high - low, 0)
        before = np.cumsum(count) - count
        first.append(np.repeat(np.arange(len(start), dtype=np.int32), count))
        second.append((np.repeat(low - before, count) + np.arange(count.sum())).astype(np.int32))
    return np.concatenate(first), np.concatenate(second)
