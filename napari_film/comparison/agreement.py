"""How far K masks agree with one another: the Dice of each with each.

All are read slice by slice in one pass, so that forty masks of a large volume need no more memory than forty slices.
"""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

Slices = Callable[[int], NDArray[np.bool_]] | NDArray[np.bool_]
"""A mask by its slices: a function that gives slice i, (H, W), or all of them, (N, H, W)."""


def agreement(masks: Sequence[Slices], count: int, *, cancelled: Callable[[], bool] | None = None) -> NDArray[np.float64] | None:
    """Dice of each of K masks with each.

    Parameters
    ----------
    masks
        K masks of one shape.
    count
        Slices of each, N.
    cancelled
        Asked before each slice.

    Returns
    -------
    numpy.ndarray or None
        (K, K), symmetric, ones on the diagonal; two empty masks agree, 1. None where it was cancelled.
    """
    common = np.zeros((len(masks), len(masks)), dtype=np.int64)
    for index in range(count):
        if cancelled is not None and cancelled():
            return None
        plane = np.stack([(mask[index] if isinstance(mask, np.ndarray) else mask(index)).reshape(-1) for mask in masks])
        # float32 counts the voxels of a slice exactly, to 2^24, and multiplies faster than any integer.
        for start in range(0, plane.shape[1], 1 << 20):
            part = plane[:, start : start + (1 << 20)]
            inside = part[:, part.any(axis=0)].astype(np.float32)
            common += (inside @ inside.T).astype(np.int64)
    sizes = common.diagonal()
    total = sizes[:, None] + sizes
    scores: NDArray[np.float64] = np.where(total > 0, 2 * common / np.maximum(total, 1), 1.0)
    return scores
