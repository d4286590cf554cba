"""From kept probabilities (256ths) to integer labels.

    label(x) = 1 + argmax_c q_c(x)  over the classes with q_c(x) >= t_c;   0 where there is none

Where masks overlap the higher probability wins, the first where they are equal. What was not computed is neither
background nor a class: it is NOT_COMPUTED.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from napari_film.volume import pieces

NOT_COMPUTED = 255
"""Label of voxels that no network has looked at yet."""


def label_mask(
    q: NDArray[np.uint8] | Sequence[NDArray[np.uint8]], thresholds: Sequence[int], *, out: NDArray[np.uint8] | None = None
) -> NDArray[np.uint8]:
    """Labels (...) of ``q``, K arrays (...), under one threshold per class, 256ths; into ``out`` or a new array.

    Raises
    ------
    ValueError
        If the thresholds are not one per class, or the classes more than labels of 8 bits can tell apart.
    """
    if len(thresholds) != len(q) or len(q) >= NOT_COMPUTED:
        raise ValueError(f"{len(thresholds)} thresholds for {len(q)} classes; expected one each, for at most {NOT_COMPUTED - 1}")
    out = np.empty(q[0].shape, dtype=np.uint8) if out is None else out
    if len(q) == 1:
        np.greater_equal(q[0], thresholds[0], out=out.view(np.bool_))
        return out
    for *parts, target in zip(*(pieces(plane.T) for plane in q), pieces(out.T), strict=True):
        _put_highest(parts, thresholds, target)
    return out


def _put_highest(q: Sequence[NDArray[np.uint8]], thresholds: Sequence[int], out: NDArray[np.uint8]) -> None:
    """Put into ``out`` the label of the class that is highest among those that pass their thresholds, 0 where none does."""
    # By one number of 16 bits: the probability, and below it the label, counted down since the first wins a tie. Background
    # is probability 0 and label 0. No branch and no index, which cost more than these passes.
    best = np.full(out.shape, 255, dtype=np.uint16)
    for label, (probability, threshold) in enumerate(zip(q, thresholds, strict=True), start=1):
        rank = np.left_shift(probability * (probability >= threshold), 8, dtype=np.uint16)
        rank |= np.uint16(255 - label)
        np.maximum(best, rank, out=best)
    np.subtract(255, best & 255, out=out, casting="unsafe")
