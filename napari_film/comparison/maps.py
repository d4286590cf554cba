"""What several condition values do to each voxel.

    sensitivity    max over k of p_k  -  min over k of p_k        how far the probability moves
    disagreement   count of k where mask_k                        how many values call it foreground

Voxel by voxel: any part of a volume may be given, in any layout, as long as all values give the same.
"""

from collections.abc import Sequence
from functools import reduce

import numpy as np
from numpy.typing import NDArray


def sensitivity(planes: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
    """How far the probability moves over K condition values, 0 to 255/256.

    Parameters
    ----------
    planes
        K arrays (...) of probabilities in 256ths.

    Raises
    ------
    ValueError
        If there are none.
    """
    if not planes:
        raise ValueError("0 planes of probabilities; expected at least one")
    moved = np.subtract(reduce(np.maximum, planes), reduce(np.minimum, planes))
    return np.multiply(moved, np.float32(1 / 256), dtype=np.float32)


def disagreement(masks: Sequence[NDArray[np.bool_]]) -> NDArray[np.uint8]:
    """How many of K masks (...) call a voxel foreground.

    Raises
    ------
    ValueError
        If there are none, or more than 8 bits can count.
    """
    if not 0 < len(masks) <= 255:
        raise ValueError(f"{len(masks)} masks; expected 1 to 255")
    count = np.zeros(masks[0].shape, dtype=np.uint8)
    for mask in masks:
        count += mask
    return count
